package labelled

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/test/golden"
)

func TestReadForms(t *testing.T) {
	required, optional, ignored := ReadOptions{}, ReadOptions{Labels: LabelsOptional}, ReadOptions{Labels: LabelsIgnored}
	nan := math.NaN()
	for _, c := range []struct {
		name    string
		file    string
		schema  Schema
		opt     ReadOptions
		content string
		want    []Example // File is not compared
	}{
		{"reference", "dev.tsv", sentence, required, "label\tqid\ttext_a\n1\t7\tgood .\n0\t8\t\n", []Example{
			{ID: "7", TextA: "good .", Label: "positive", Class: 1, Score: nan, Line: 2},
			{ID: "8", TextA: "", Label: "negative", Class: 0, Score: nan, Line: 3}}},
		{"reference pair", "dev.tsv", inference, required, "text_b\ttext_a\tlabel\nb\ta\t2\n", []Example{
			{TextA: "a", TextB: "b", Label: "neutral", Class: 2, Score: nan, Line: 2}}},
		{"sst-2", "dev.tsv", sentence, required, "sentence\tlabel\nnice \tpositive\n", []Example{
			{TextA: "nice ", Label: "positive", Class: 1, Score: nan, Line: 2}}},
		{"sst-2 test", "test.tsv", sentence, optional, "index\tsentence\n0\tuneasy mishmash\n", []Example{
			{ID: "0", TextA: "uneasy mishmash", Class: -1, Score: nan, Line: 2}}},
		{"reference test with placeholders", "test.tsv", sentence, ignored, "qid\ttext_a\tlabel\n3\tx\t-1\n", []Example{
			{ID: "3", TextA: "x", Class: -1, Score: nan, Line: 2}}},
		{"cola", "in_domain_dev.tsv", acceptability, required, "gj04\t1\t\tIt works.\nc-05\t0\t*\tWorks it.\n", []Example{
			{TextA: "It works.", Label: "acceptable", Class: 1, Score: nan, Line: 1},
			{TextA: "Works it.", Label: "unacceptable", Class: 0, Score: nan, Line: 2}}},
		{"cola without labels wanted", "dev.tsv", acceptability, ignored, "gj04\t1\t\tIt works.\n", []Example{
			{TextA: "It works.", Class: -1, Score: nan, Line: 1}}},
		{"cola line of column names", "dev.tsv", acceptability, required, "label\t1\tqid\tsentence\n", []Example{
			{TextA: "sentence", Label: "acceptable", Class: 1, Score: nan, Line: 1}}},
		{"cola test", "test.tsv", acceptability, optional, "index\tsentence\n0\tBill ran.\n", []Example{
			{ID: "0", TextA: "Bill ran.", Class: -1, Score: nan, Line: 2}}},
		{"mnli", "dev_matched.tsv", inference, required,
			"index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tlabel2\tgold_label\n" +
				"0\t1\t1n\tslate\t( a )\t( b )\t(ROOT a)\t(ROOT b)\tpremise\thypothesis\tneutral\tentailment\tentailment\n", []Example{
				{ID: "0", TextA: "premise", TextB: "hypothesis", Label: "entailment", Class: 1, Score: nan, Line: 2}}},
		{"diagnostic", "AX.tsv", inference, optional, "index\tsentence1\tsentence2\n0\tp\th\n", []Example{
			{ID: "0", TextA: "p", TextB: "h", Class: -1, Score: nan, Line: 2}}},
		{"sts-b", "dev.tsv", similarity, required,
			"index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n" +
				"4\tmain\tMSRvid\t2012\t9\tnone\tnone\ta \"b\n\tc\t3.800\n", nil},
		{"sts-b intact", "dev.tsv", similarity, required,
			"index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n" +
				"4\tmain\tMSRvid\t2012\t9\tnone\tnone\ta \"b\tc\t3.800\n", []Example{
				{ID: "4", TextA: `a "b`, TextB: "c", Label: "3.800", Class: -1, Score: 3.8, Line: 2}}},
		{"csv without header", "stsb-en-dev.csv", similarity, required, "a,b,5\r\n\"c, \"\"d\"\"\",\"e\nf\",0.25\ng,h,1", []Example{
			{TextA: "a", TextB: "b", Label: "5", Class: -1, Score: 5, Line: 1},
			{TextA: `c, "d"`, TextB: "e\nf", Label: "0.25", Class: -1, Score: .25, Line: 2},
			{TextA: "g", TextB: "h", Label: "1", Class: -1, Score: 1, Line: 4}}},
		{"csv with header", "x.CSV", sentence, required, "label,text_a\n1,\"a, b\"\n", []Example{
			{TextA: "a, b", Label: "positive", Class: 1, Score: nan, Line: 2}}},
		{"csv by option", "x.tsv", sentence, ReadOptions{Format: textfile.FormatCSV}, "label,text_a\n1,b\n", []Example{
			{TextA: "b", Label: "positive", Class: 1, Score: nan, Line: 2}}},
		{"byte order mark, CRLF, no last line end", "x.tsv", sentence, required, "\ufeffsentence\tlabel\r\na\t1\r\nb\t0", []Example{
			{TextA: "a", Label: "positive", Class: 1, Score: nan, Line: 2},
			{TextA: "b", Label: "negative", Class: 0, Score: nan, Line: 3}}},
		{"blank lines at the end", "x.tsv", sentence, required, "sentence\tlabel\na\t1\n\n\r\n", []Example{
			{TextA: "a", Label: "positive", Class: 1, Score: nan, Line: 2}}},
		{"datasets' TSV", "x.tsv", sentence, required, "sentence\tlabel\tidx\na\t1\t0\n", []Example{
			{ID: "0", TextA: "a", Label: "positive", Class: 1, Score: nan, Line: 2}}},
		{"pandas' index, floats, an unknown column", "x.csv", sentence, required, ",Sentence,Label,annotator\n0,\"a, b\",1.0,x\n1,c,0.,y\n", []Example{
			{TextA: "a, b", Label: "positive", Class: 1, Score: nan, Line: 2},
			{TextA: "c", Label: "negative", Class: 0, Score: nan, Line: 3}}},
		{"commas under another name", "x.tsv", sentence, required, "text,label\n\"a\tb\",1\n", []Example{
			{TextA: "a\tb", Label: "positive", Class: 1, Score: nan, Line: 2}}},
		{"tabs under another name", "x.csv", sentence, required, "text\tlabel\na, b\t1\n", []Example{
			{TextA: "a, b", Label: "positive", Class: 1, Score: nan, Line: 2}}},
		{"semicolons", "x.csv", sentence, required, "text;label\n\"a; b\";1\n", []Example{
			{TextA: "a; b", Label: "positive", Class: 1, Score: nan, Line: 2}}},
		{"labels in other letters and with blanks", "x.tsv", sentence, required, "text\tlabel\na\tPositive \n", []Example{
			{TextA: "a", Label: "positive", Class: 1, Score: nan, Line: 2}}},
		{"JSON lines", "x.jsonl", inference, required, "\ufeff{\"premise\": \"a\\n\", \"hypothesis\": \"b\", \"label\": 1, \"idx\": 7}\r\n\n{\"label\": \"neutral\", \"hypothesis\": \"d\", \"premise\": 3}\n", []Example{
			{ID: "7", TextA: "a\n", TextB: "b", Label: "entailment", Class: 1, Score: nan, Line: 1},
			{TextA: "3", TextB: "d", Label: "neutral", Class: 2, Score: nan, Line: 3}}},
		{"JSON lines by content", "x.txt", sentence, required, "{\"sentence\": \"a\", \"label\": 1.0, \"tokens\": [\"a\", {}]}\n", []Example{
			{TextA: "a", Label: "positive", Class: 1, Score: nan, Line: 1}}},
		{"a JSON list", "x.json", open, required, "[\n {\"text\": \"a\", \"label\": true},\n\n {\"text\": \"b\",\n  \"label\": false}\n]\n", []Example{
			{TextA: "a", Label: "true", Class: -1, Score: nan, Line: 2},
			{TextA: "b", Label: "false", Class: -1, Score: nan, Line: 4}}},
		{"MNLI's own JSON lines, with a pair that nobody agreed on", "x.jsonl", inference, required,
			"{\"annotator_labels\": [\"neutral\"], \"gold_label\": \"-\", \"sentence1\": \"a\", \"sentence2\": \"b\", \"pairID\": \"1n\"}\n{\"gold_label\": \"neutral\", \"sentence1\": \"c\", \"sentence2\": \"d\", \"pairID\": \"2n\"}\n", []Example{
				{ID: "2n", TextA: "c", TextB: "d", Label: "neutral", Class: 2, Score: nan, Line: 2}}},
		{"SNLI's own columns", "snli_1.0_dev.txt", inference, required,
			"gold_label\tsentence1_parse\tsentence1\tsentence2\tcaptionID\tpairID\tlabel1\tlabel2\n-\tx\ta\tb\t7.jpg#0\t7n\tneutral\tentailment\nentailment\tx\tc\td\t8.jpg#0\t8e\tentailment\t\n", []Example{
				{ID: "8e", TextA: "c", TextB: "d", Label: "entailment", Class: 1, Score: nan, Line: 3}}},
		{"-1 of datasets", "x.csv", inference, required, "premise,hypothesis,label\na,b,-1\nc,d,0\n", []Example{
			{TextA: "c", TextB: "d", Label: "contradiction", Class: 0, Score: nan, Line: 3}}},
		{"scores of datasets", "x.csv", similarity, required, "sentence1,sentence2,label,idx\na,b,4.2,0\nc,d,-1.0,1\n", []Example{
			{ID: "0", TextA: "a", TextB: "b", Label: "4.2", Class: -1, Score: 4.2, Line: 2}}},
		{"any labels", "x.csv", open, required, "text,category\na,-\nb,+\nc,-1\nd, Ärger \ne,\n", []Example{
			{TextA: "a", Label: "-", Class: -1, Score: nan, Line: 2}, {TextA: "b", Label: "+", Class: -1, Score: nan, Line: 3},
			{TextA: "c", Label: "-1", Class: -1, Score: nan, Line: 4}, {TextA: "d", Label: "Ärger", Class: -1, Score: nan, Line: 5}}},
		{"agreed labels of any kind", "x.csv", open, required, "text,gold_label\na,-\nb,x\n", []Example{{TextA: "b", Label: "x", Class: -1, Score: nan, Line: 3}}},
		{"any scores", "x.csv", numbers, required, "text,score\na,-1\nb,1e3\n", []Example{
			{TextA: "a", Label: "-1", Class: -1, Score: -1, Line: 2}, {TextA: "b", Label: "1e3", Class: -1, Score: 1000, Line: 3}}},
		{"any pairs", "x.csv", open, required, "question,sentence,label\na,b,c\n", []Example{{TextA: "a", TextB: "b", Label: "c", Class: -1, Score: nan, Line: 2}}},
		{"named columns", "x.csv", open, ReadOptions{Columns: Columns{Texts: []string{"title", "text", "Body"}, Label: "stars"}}, "label,title,text,body,stars,id\nx,a,b,c,5,9\n", []Example{
			{ID: "9", TextA: "a", TextB: "b", More: []string{"c"}, Label: "5", Class: -1, Score: nan, Line: 2}}},
		{"a named label that a test set lacks", "x.csv", open, ReadOptions{Labels: LabelsIgnored, Columns: Columns{Texts: []string{"title"}, Label: "stars"}}, "title\na\n", []Example{
			{TextA: "a", Class: -1, Score: nan, Line: 2}}},
		{"numbered columns", "SMS.txt", open, ReadOptions{Columns: Columns{Texts: []string{"2"}, Label: "1"}}, "ham\tsee you, ok\nspam\t\"win\n", []Example{
			{TextA: "see you, ok", Label: "ham", Class: -1, Score: nan, Line: 1}, {TextA: `"win`, Label: "spam", Class: -1, Score: nan, Line: 2}}},
		{"numbered columns of CSV", "news.csv", open, ReadOptions{Columns: Columns{Texts: []string{"2", "3"}, Label: "1"}}, "\"3\",\"a, b\",\"c\"\n", []Example{
			{TextA: "a, b", TextB: "c", Label: "3", Class: -1, Score: nan, Line: 1}}},
		{"numbered columns without the label", "test.csv", open, ReadOptions{Labels: LabelsIgnored, Columns: Columns{Texts: []string{"1"}, Label: "2"}}, "a\n", []Example{
			{TextA: "a", Class: -1, Score: nan, Line: 1}}},
		{"a name that is a number", "x.csv", open, ReadOptions{Columns: Columns{Texts: []string{"2"}, Label: "1"}}, "1,2,3\na,b,c\n", []Example{
			{TextA: "b", Label: "a", Class: -1, Score: nan, Line: 2}}},
		{"named text of one, found label", "x.csv", sentence, ReadOptions{Columns: Columns{Texts: []string{"b"}}}, "a,b,label,text\nx,y,1,z\n", []Example{
			{TextA: "y", Label: "positive", Class: 1, Score: nan, Line: 2}}},
		{"quotes and invalid UTF-8 are bytes", "x.tsv", sentence, required, "sentence\tlabel\n\"a\xff\rb\t1\n", []Example{
			{TextA: "\"a\xff\rb", Label: "positive", Class: 1, Score: nan, Line: 2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := ReadFrom(strings.NewReader(c.content), c.file, c.schema, c.opt)
			if c.want == nil {
				if err == nil {
					t.Fatalf("read %+v", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(c.want) {
				t.Fatalf("got %+v", got)
			}
			for i, w := range c.want {
				w.File = c.file
				if !sameExample(got[i], w) {
					t.Errorf("example %d is %+v, want %+v", i, got[i], w)
				}
			}
		})
	}
}

// sameExample compares with NaN equal to itself.
func sameExample(a, b Example) bool {
	if math.IsNaN(a.Score) && math.IsNaN(b.Score) {
		a.Score, b.Score = 0, 0
	}
	return reflect.DeepEqual(a, b)
}

func TestReadRefuses(t *testing.T) {
	boom := errors.New("boom")
	header := "sentence\tlabel\n"
	for _, c := range []struct {
		name    string
		file    string
		schema  Schema
		content string
		line    int
		want    string // words of the message, separated by |
	}{
		{"empty", "x.tsv", sentence, "", 0, "is empty"},
		{"blank lines only", "x.tsv", sentence, "\n\r\n\n", 0, "is empty"},
		{"mark only", "x.tsv", sentence, "\ufeff", 0, "is empty"},
		{"header only", "x.tsv", sentence, header, 0, "no examples"},
		{"data where the header should be", "x.tsv", sentence, "a fine film\t1\n", 1,
			`"a fine film", "1"|text_a|sentence|label|--columns|put a first line`},
		{"second text of a single task", "x.tsv", sentence, "text_a\ttext_b\tlabel\n", 1, `second text, "text_b"`},
		{"label column missing", "x.tsv", sentence, "qid\ttext_a\n", 1, `no column for the label (label or labels or gold_label)|found "qid", "text_a"`},
		{"text column missing", "x.tsv", sentence, "qid\tlabel\n", 1, "no column for the text (text or sentence or text_a)"},
		{"second text missing", "x.tsv", inference, "text_a\tlabel\n", 1, "no column for the second text (sentence2 or hypothesis or question2)"},
		{"a name twice", "x.tsv", sentence, "label\tlabel\ttext_a\n", 1, `two columns "label"`},
		{"a role twice", "x.tsv", sentence, "sentence\ttext_a\tlabel\n", 1, `"sentence" and "text_a", and either could be the text`},
		{"pipes", "x.tsv", sentence, "sentence|label\na|1\n", 1, `"sentence|label"|tab-separated`},
		{"Parquet", "train.parquet", sentence, "PAR1xxxxPAR1", 0, "Parquet|to_json"},
		{"JSON cut off", "x.jsonl", sentence, `{"text": "a", "label": 1}` + "\n" + `{"text": "b", "la`, 2, "ends within a value"},
		{"JSON list cut off", "x.json", sentence, `[{"text": "a", "label": 1},` + "\n" + `{"text": "b", "la`, 2, "ends within the JSON"},
		{"JSON list goes on", "x.json", sentence, `[{"text": "a", "label": 1}]` + "\n]", 2, "something follows"},
		{"JSON list of texts", "x.json", sentence, `["a"]`, 1, "no JSON object"},
		{"JSON without a comma", "x.json", sentence, "[{\"text\": \"a\", \"label\": 1}\n{}]", 2, "not valid JSON"},
		{"JSON with more on a line", "x.jsonl", sentence, `{"text": "a", "label": 1} {}`, 1, "after the object"},
		{"JSON of another kind", "x.jsonl", sentence, `{"text": "a", "label": 1}` + "\n" + `{"image": "a", "label": 1}`, 2, `no column for the text|found "image", "label"`},
		{"JSON list for a text", "x.jsonl", sentence, `{"text": ["a"], "label": 1}`, 1, `"text" is a JSON list`},
		{"JSON by columns", "x.json", sentence, `{"text": {"0": "a"}, "label": {"0": 1}}`, 1, `"text" is a JSON object|orient='records'`},
		{"JSON null for a text", "x.jsonl", sentence, `{"text": null, "label": 1}`, 1, `"text" is null`},
		{"JSON object for a label", "x.jsonl", sentence, `{"text": "a", "label": {}}`, 1, `"label" is a JSON object`},
		{"JSON with NUL", "x.jsonl", sentence, `{"text": "a\u0000", "label": 1}`, 1, "NUL"},
		{"JSON keys that may both be meant", "x.jsonl", sentence, `{"text": "a", "sentence": "b", "label": 1}`, 1, `"text" and "sentence"`},
		{"JSON that is too long", "x.json", sentence, `[{"text": "` + strings.Repeat("a", textfile.MaxLine+1<<20), 1, "longer than 16777216 bytes"},
		{"a column too few", "x.tsv", sentence, header + "a\t1\nb\n", 3, "1 column,|the header has 2"},
		{"a column too many", "x.tsv", sentence, header + "a\tb\t1\n", 2, "3 columns|the header has 2|tab"},
		{"bad label", "x.tsv", sentence, header + "a\t1\nb\t2\n", 3, `label "2"|negative (or 0), positive (or 1)|correct`},
		{"unknown label", "x.tsv", inference, "text_a\ttext_b\tlabel\na\tb\tx\n", 2, `label "x"|entailment (or 1)`},
		{"no label at all", "x.tsv", inference, "text_a\ttext_b\tlabel\na\tb\t-\na\tb\t-1\n", 2, "2 examples and no label"},
		{"no label in JSON", "x.jsonl", sentence, `{"text": "a"}`, 1, "1 example and no label"},
		{"a score of an open schema", "x.tsv", numbers, "text\tscore\na\t1,5\n", 2, `score "1,5"`},
		{"an infinite score", "x.tsv", numbers, "text\tscore\na\tinf\n", 2, `score "inf"`},
		{"a text or a pair", "x.tsv", open, "text\tpremise\thypothesis\tlabel\na\tb\tc\td\n", 1, `"text" and the pair "premise", "hypothesis"`},
		{"second header, labels of any kind", "x.tsv", open, header + "a\t1\n" + header + "b\t2\n", 3, "is the header again; remove the line"},
		{"NaN of Python", "x.jsonl", sentence, `{"text": "a", "label": NaN}`, 1, "NaN, Infinity, None, True and False are Python's"},
		{"a list for an object", "x.jsonl", sentence, `["a", 1]`, 1, "is a text, no JSON object"},
		{"second header", "x.tsv", sentence, header + "a\t1\n" + header, 3, `label "label"`},
		{"no score", "x.tsv", similarity, "text_a\ttext_b\tlabel\na\tb\tgood\n", 2, `score "good"|0 to 5`},
		{"score not a number", "x.tsv", similarity, "text_a\ttext_b\tlabel\na\tb\tNaN\n", 2, `score "NaN"`},
		{"score out of range", "x.tsv", similarity, "text_a\ttext_b\tlabel\na\tb\t5.01\n", 2, `score "5.01"`},
		{"score infinite", "x.tsv", similarity, "text_a\ttext_b\tlabel\na\tb\tInf\n", 2, `score "Inf"`},
		{"cola with another label", "x.tsv", acceptability, "gj04\t2\t\tx\n", 1, `CoLA's|"gj04", "2", "", "x"`},
		{"cola with another label below", "x.tsv", acceptability, "gj04\t1\t\tx\ngj04\tx\t\ty\n", 2, `label "x"|header on top`},
		{"cola with a column too few below", "x.tsv", acceptability, "gj04\t1\t\tx\ngj04\t1\tx\n", 2, `3 columns|CoLA's`},
		{"cola's layout with commas", "x.csv", acceptability, "gj04,1,,x\n", 1, `no known header`},
		{"blank line", "x.tsv", sentence, header + "a\t1\n\nb\t0\n", 3, "empty"},
		{"blank first line", "x.tsv", sentence, "\n" + header + "a\t1\n", 1, "empty"},
		{"blank line in csv", "x.csv", sentence, "label,text_a\n1,a\n\n0,b\n", 3, "empty"},
		{"NUL", "x.tsv", sentence, header + "a\x00\t1\n", 2, "NUL|UTF-8"},
		{"UTF-16", "x.tsv", sentence, "\xff\xfes\x00e\x00n\x00", 0, "UTF-16|save it as UTF-8"},
		{"NUL in csv", "x.csv", sentence, "label,text_a\n1,\"\n\x00\"\n", 3, "NUL"},
		{"very long line", "x.tsv", sentence, header + strings.Repeat("a", textfile.MaxLine+1), 2, "longer than 16777216 bytes"},
		{"quote never closed", "x.csv", sentence, "label,text_a\n1,\"a\n0,b\n", 2, "CSV|double"},
		{"quote never closed in a large file", "x.csv", sentence, "label,text_a\n1,\"" + strings.Repeat("0,b\n", textfile.MaxLine/4+1), 0, "longer than|quotation mark"},
		{"bare quote", "x.csv", sentence, "label,text_a\n1,a\"b\n", 2, "CSV"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := ReadFrom(strings.NewReader(c.content), c.file, c.schema, ReadOptions{})
			if err == nil {
				t.Fatalf("read %+v", got)
			}
			var e *textfile.FileError
			if !errors.As(err, &e) {
				t.Fatalf("%v is no FileError", err)
			}
			if e.File != c.file || c.line > 0 && e.Line != c.line {
				t.Errorf("names %s:%d, want %s:%d", e.File, e.Line, c.file, c.line)
			}
			for word := range strings.SplitSeq(c.want, "|") {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q lacks %q", err, word)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has several lines", err)
			}
		})
	}
	t.Run("failing disk", func(t *testing.T) {
		r := io.MultiReader(strings.NewReader(header+"a\t1\n"), iotest.ErrReader(boom))
		_, _, err := ReadFrom(r, "x.tsv", sentence, ReadOptions{})
		if !errors.Is(err, boom) || !strings.Contains(err.Error(), "x.tsv:3") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("numbers where names are", func(t *testing.T) {
		opt := ReadOptions{Columns: Columns{Texts: []string{"1"}, Label: "2"}}
		if _, _, err := ReadFrom(strings.NewReader("text,label\na,b\n"), "x.csv", open, opt); err == nil || !strings.Contains(err.Error(), "numbers are for files without header") {
			t.Errorf("got %v", err)
		}
		if _, _, err := ReadFrom(strings.NewReader("a,b\nc\n"), "x.csv", open, opt); err == nil || !strings.Contains(err.Error(), "x.csv:2: has 1 column, the first line has 2") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("ignored labels of a layout", func(t *testing.T) {
		_, _, err := ReadFrom(strings.NewReader("gj04\t1\t\tx\ngj04\t2\t\ty\n"), "x.tsv", acceptability, ReadOptions{Labels: LabelsIgnored})
		if err == nil || !strings.Contains(err.Error(), "x.tsv:2") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("one column", func(t *testing.T) {
		_, _, err := ReadFrom(strings.NewReader("sentence\na\n\n"), "x.tsv", sentence, ReadOptions{Labels: LabelsOptional})
		if err == nil || !strings.Contains(err.Error(), "x.tsv:3") {
			t.Errorf("got %v", err)
		}
	})
}

func TestReadPaths(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := Read(filepath.Join(dir, "absent.tsv"), sentence, ReadOptions{}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "absent.tsv: does not exist") {
		t.Errorf("got %v", err)
	}
	if _, _, err := Read(dir, sentence, ReadOptions{}); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("got %v", err)
	}
	path := filepath.Join(dir, "a.tsv")
	if err := os.WriteFile(path, []byte("text_a\tlabel\nx\t1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, _, err := Read(path, sentence, ReadOptions{})
	if err != nil || len(got) != 1 || got[0].File != path {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestSchemaMistakes(t *testing.T) {
	for name, s := range map[string]Schema{
		"nothing to predict": {},
		"one label":          {Labels: []string{"a"}},
		"both":               {Labels: []string{"a", "b"}, Regression: true, MaxScore: 1},
		"empty range":        {Regression: true},
		"layout lacks text":  {Labels: []string{"a", "b"}, Headerless: []Layout{{Format: textfile.FormatTSV, Columns: []Role{Label}}}},
		"layout by name":     {Labels: []string{"a", "b"}, Headerless: []Layout{{Columns: []Role{Label, TextA}}}},
	} {
		if _, _, err := ReadFrom(strings.NewReader("text_a\tlabel\nx\ta\n"), "x", s, ReadOptions{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestReport(t *testing.T) {
	content := "Notes,premise,hypothesis,genre,gold_label\n,a,b,x,-\n,c,d,x,\n,e,f,x,neutral\n"
	_, report, err := ReadFrom(strings.NewReader(content), "x.csv", inference, ReadOptions{})
	want := Report{Texts: []string{"premise", "hypothesis"}, Label: "gold_label", Passed: []string{"Notes"}, Unlabelled: 2, FirstLine: 2, FirstValue: "-"}
	if err != nil || !reflect.DeepEqual(report, want) {
		t.Errorf("got %+v, %v", report, err)
	}
	if got := report.LeftOut("x.csv"); got != `x.csv: 2 examples without label left out (the first is line 2, which has "-")` {
		t.Error(got)
	}
	if got := report.PassedOver("x.csv"); got != `x.csv: read are "premise", "hypothesis" (text), "gold_label" (label); passed over: "Notes"` {
		t.Error(got)
	}
	if none := (Report{}); none.LeftOut("f")+none.PassedOver("f") != "" {
		t.Error("notes about nothing")
	}
}

func TestNotes(t *testing.T) {
	for _, c := range []struct {
		file    string
		schema  Schema
		content string
		want    string
	}{
		{"x.csv", open, "text,label\n,1\n\" \",0\nx,1\n", "x.csv: 2 examples with an empty text"},
		{"x.csv", inference, "premise,hypothesis,label\na,,1\nb,c,1\n", "x.csv: 1 example with an empty text"},
		{"x.csv", sentence, "text,label\ncaf\xe9,1\nx,0\n", "x.csv: 1 example with bytes that are not UTF-8"},
		{"x.jsonl", sentence, `{"text": "a\ud83d", "label": 1}`, "x.jsonl: 1 example with bytes that are not UTF-8"},
		{"x.tsv", sentence, "text\tlabel\n\"He said \"\"hi\"\"\"\t1\n\"a\" is \"\"\t0\n\"plain\"\t1\n", "x.tsv: 1 example with texts in doubled quotation marks"},
		{"x.csv", sentence, "text,label\n\"\"\"He said \"\"\"\"hi\"\"\"\"\"\"\",1\n", ""},
		{"x.csv", open, "text,label\na,Not Spam\nb,not_spam\nc,spam\n", `x.csv: the labels "Not Spam" and "not_spam" are much alike, and two classes`},
		{"x.csv", open, "text,label\na,spam\nb,ham\nc,-1\nd,1\n", ""},
		{"x.csv", sentence, "text,label\na,1\n", ""},
	} {
		_, report, err := ReadFrom(strings.NewReader(c.content), c.file, c.schema, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(report.Notes(c.file), "|"); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" || strings.Contains(got, "|") {
			t.Errorf("%q: %q, want %q", c.content, got, c.want)
		}
	}
}

func TestParseColumns(t *testing.T) {
	for in, want := range map[string]Columns{
		"":                             {},
		"text=review,label=stars":      {Texts: []string{"review"}, Label: "stars"},
		" text = a b , text=c=d, id=n": {Texts: []string{"a b", "c=d"}, ID: "n"},
		`"text=a, b",score=x`:          {Texts: []string{"a, b"}, Label: "x"},
	} {
		if got, err := ParseColumns(in); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		"review": "ROLE=NAME", "text=": "ROLE=NAME", "titel=a": `unknown role "titel"; choose one of text`, "label=a,score=b": "two columns", `"text=a`: "quotation",
		strings.Repeat("text=a,", maxTexts) + "text=a": "17 texts",
	} {
		if _, err := ParseColumns(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", in, err, want)
		}
	}
}

func TestLabelNames(t *testing.T) {
	for _, c := range []struct{ labels, want, err string }{
		{"ham spam ham", "ham spam", ""},
		{"10 9 -1", "-1 9 10", ""},
		{"1.0 0.0 10.0 1.", "0 1 10", ""},
		{"1.5 1.0 10.0", "1.0 1.5 10.0", ""},
		{"1 0 1.0 2.0", "0 1 2.0", ""},
		{"01 1 7", "01 1 7", ""},
		{"b B Ä a", "B a b Ä", ""},
		{"1 x 10 2", "1 10 2 x", ""},
		{"false true", "false true", ""},
		{"a a", "", `the label "a" in all of 2 examples`},
		{strings.Join(numbered(60), " "), "", "finetune regress"},
		{strings.Join(numbered(60), "x ") + "x", "", "60 different labels in 60"},
	} {
		var examples []Example
		for label := range strings.FieldsSeq(c.labels) {
			examples = append(examples, Example{Label: label, Class: -1, File: "f"})
		}
		names, err := LabelNames(examples)
		if got := strings.Join(names, " "); got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: got %s, %v", c.labels, got, err)
		}
		if err != nil {
			continue
		}
		Assign(examples, names)
		for _, x := range examples {
			if x.Class < 0 || names[x.Class] != x.Label {
				t.Errorf("%s: %+v", c.labels, x)
			}
		}
	}
}

func numbered(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Itoa(i)
	}
	return list
}

func TestNameGoesBeforeID(t *testing.T) {
	s := Schema{Labels: []string{"1", "0", "x"}}
	got, _, err := ReadFrom(strings.NewReader("text_a\tlabel\na\t1\na\t0\na\t2\n"), "x", s, ReadOptions{})
	if err != nil || got[0].Class != 0 || got[1].Class != 1 || got[2].Class != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestReadRealData checks the counts that the data's description states.
func TestReadRealData(t *testing.T) {
	for _, c := range []struct {
		file   string
		schema Schema
		want   int
	}{
		{"sst2/train.tsv", sentence, 67349},
		{"sst2/dev.tsv", sentence, 872},
		{"cola/in_domain_train.tsv", acceptability, 8551},
		{"cola/in_domain_dev.tsv", acceptability, 527},
		{"stsb/stsb-en-train.csv", similarity, 5749},
		{"stsb/stsb-en-dev.csv", similarity, 1500},
	} {
		t.Run(c.file, func(t *testing.T) {
			got, _, err := Read(golden.Data(t, c.file), c.schema, ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != c.want {
				t.Errorf("%d examples, want %d", len(got), c.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "sentence\tlabel\na\t1\n", "gj04\t1\t\tx\n", "a,b,1\n\"c\n\",d,2\r\n",
		"label,text_a,text_b\n1,\"\"\"\",\n", "\ufefftext_a\tlabel\r\n\xff\t0", "text_a\n\n", "index\tsentence1\tsentence2\n0\t\t\n",
		"{\"text\": \"a\", \"label\": 1}\n\n{\"label\": -1, \"sentence\": \"\"}", "[\n{\"text\": \"a\", \"score\": 1.5, \"x\": {}},\n{\"text\": \"\\u0000\"}]", "[{}", "{",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, content string, csv bool) {
		opt := ReadOptions{Format: textfile.FormatTSV}
		if csv {
			opt.Format = textfile.FormatCSV
		}
		if strings.HasPrefix(content, "{") || strings.HasPrefix(content, "[") {
			opt.Format = textfile.FormatAuto
		}
		for _, schema := range []Schema{sentence, acceptability, inference, similarity, open, numbers} {
			for _, opt.Labels = range []LabelPolicy{LabelsRequired, LabelsOptional, LabelsIgnored} {
				examples, _, err := ReadFrom(strings.NewReader(content), "f", schema, opt)
				if err != nil {
					var e *textfile.FileError
					if !errors.As(err, &e) || e.File != "f" || examples != nil {
						t.Fatalf("error %v with %d examples", err, len(examples))
					}
					continue
				}
				if len(examples) == 0 {
					t.Fatal("no examples and no error")
				}
				checkExamples(t, examples, &schema, opt, content)
			}
		}
	})
}

// checkExamples holds what is true of every file that was read.
func checkExamples(t *testing.T, examples []Example, schema *Schema, opt ReadOptions, content string) {
	last := 0
	for _, e := range examples {
		if e.Line < last || e.Line == last && !strings.HasPrefix(content, "[") || e.Line > strings.Count(content, "\n")+1 {
			t.Fatalf("line %d after %d", e.Line, last)
		}
		last = e.Line
		if !schema.Pair && !schema.Open && e.TextB != "" {
			t.Fatal("a second text from nowhere")
		}
		if opt.Format == textfile.FormatTSV && !strings.Contains(content, e.TextA) {
			t.Fatalf("text %q is not in the file", e.TextA)
		}
		switch {
		case opt.Labels == LabelsRequired && schema.Open:
			if e.Label == "" || schema.Regression && (math.IsNaN(e.Score) || math.IsInf(e.Score, 0)) {
				t.Fatalf("label %q, score %v", e.Label, e.Score)
			}
		case opt.Labels == LabelsRequired && schema.Regression:
			if !(e.Score >= schema.MinScore && e.Score <= schema.MaxScore) {
				t.Fatalf("score %v", e.Score)
			}
		case opt.Labels == LabelsRequired:
			if e.Label != schema.Labels[e.Class] {
				t.Fatalf("label %q of class %d", e.Label, e.Class)
			}
		case opt.Labels == LabelsIgnored:
			if e.Label != "" || e.Class != -1 || !math.IsNaN(e.Score) {
				t.Fatalf("label %q, class %d, score %v though ignored", e.Label, e.Class, e.Score)
			}
		}
	}
}

func BenchmarkRead(b *testing.B) {
	path := golden.Data(b, "sst2/train.tsv")
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Read(path, sentence, ReadOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
