package seq2seq

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/textfile"
)

// folder writes files into a new folder.
func folder(tb testing.TB, files map[string]string) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if strings.HasSuffix(name, ".gz") && !strings.HasPrefix(content, "raw") {
			content = zipped(tb, content)
		}
		companion := filepath.Join(filepath.Dir(path), "._"+filepath.Base(path)) // as macOS lays it beside: it never counts
		for file, content := range map[string]string{path: content, companion: "\x00\x05\x16\x07\x00\x02"} {
			if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return dir
}

func zipped(tb testing.TB, content string) string {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, content)
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

const coqaFile = `{"version": "1.0", "data": [
 {"source": "mctest", "id": "c1", "story": "Ann has a ball.\nIt is red.",
  "questions": [{"input_text": " Who? ", "turn_id": 1}, {"input_text": "What?", "turn_id": 2}],
  "answers": [{"input_text": "Ann", "turn_id": 1, "span_text": "Ann"}, {"input_text": "a ball", "turn_id": 2}],
  "additional_answers": {
   "1": [{"input_text": "the girl", "turn_id": 1}, {"input_text": "a ball", "turn_id": 2}],
   "0": [{"input_text": "Ann.", "turn_id": 1}, {"input_text": "ball", "turn_id": 2}]}},
 {"source": null, "id": "c2", "story": "s", "questions": [{"input_text": "q"}], "answers": [{"input_text": "a"}]}
]}`

const squadFile = `{"version": "v2.0", "data": [{"title": "Ball", "paragraphs": [{"context": "Ann has a ball.", "qas": [
 {"id": "1", "question": "Who has it? ", "is_impossible": false, "answers": [{"text": "Ann", "answer_start": 0}, {"text": "ann"}]},
 {"id": "2", "question": "Where?", "is_impossible": true, "answers": [], "plausible_answers": [{"text": "a"}]}]}]},
 {"title": "", "paragraphs": [{"context": "p", "qas": [{"id": "3", "question": "q", "answers": [{"text": "a"}]}]}]}]}`

func TestReadFile(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		path  string
		opt   Options
		kind  Kind
		want  []Example // without File and HasTarget
		skip  map[string]int
	}{
		{name: "reference's text", files: map[string]string{"train.tsv": "src\ttgt\nan \"a\tb\nc\t \n"}, path: "train.tsv", kind: KindTSV,
			want: []Example{{Sources: []string{`an "a`}, Target: "b", Line: 2}, {Sources: []string{"c"}, Line: 3}}},
		{name: "several sources, Windows", files: map[string]string{"a.tsv": "\xef\xbb\xbftgt\tsrc1\tsrc2\r\nt\ta\t\r\n"}, path: "a.tsv", kind: KindTSV,
			want: []Example{{Sources: []string{"a", ""}, Target: "t", Line: 2}}},
		{name: "ids", files: map[string]string{"a.tsv": "src\ttgt\n38191 2923\t7145\n1\t\n"}, path: "a.tsv", kind: KindTSV,
			want: []Example{{Sources: []string{"38191 2923"}, Target: "7145", Line: 2, IDs: true}, {Sources: []string{"1"}, Line: 3, IDs: true}}},
		{name: "numbers that are text", files: map[string]string{"a.tsv": "src\ttgt\n38191 2923\t7145\n"}, path: "a.tsv", opt: Options{Texts: TextsPlain}, kind: KindTSV,
			want: []Example{{Sources: []string{"38191 2923"}, Target: "7145", Line: 2}}},
		{name: "dialogue of ids, compressed", files: map[string]string{"a.tsv.gz": "src\tknowledge\ttgt\n1 2 [SEP] 3\t4\t5\n6\t\t7\n"}, path: "a.tsv.gz", opt: Options{Dialogue: true}, kind: KindTSV,
			want: []Example{{Sources: []string{"1 2", "3"}, Knowledge: "4", Target: "5", Line: 2, IDs: true}, {Sources: []string{"6"}, Target: "7", Line: 3, IDs: true}}},
		{name: "csv", files: map[string]string{"a.csv": "id,source,target\n7,\"a, b\nc\",t\n"}, path: "a.csv", kind: KindCSV,
			want: []Example{{ID: "7", Sources: []string{"a, b\nc"}, Target: "t", Line: 2}}},
		{name: "json lines", path: "a.jsonl", kind: KindJSONLines,
			files: map[string]string{"a.jsonl": `{"source": "a", "target": "b", "id": "7", "group": "g"}` + "\n" + `{"source": ["a", "b"], "references": ["x", "y"]}` + "\n" +
				`{"source": "a", "target": "b", "references": ["c"]}` + "\n" + `{"article": "a", "highlights": "One.\nTwo", "id": "h"}` + "\n" + `{"document": "d", "summary": "s"}`},
			want: []Example{{ID: "7", Sources: []string{"a"}, Target: "b", Group: "g", Line: 1}, {Sources: []string{"a", "b"}, Target: "x", References: []string{"x", "y"}, Line: 2},
				{Sources: []string{"a"}, Target: "b", References: []string{"b", "c"}, Line: 3}, {ID: "h", Sources: []string{"a"}, Target: "One. Two .", Line: 4},
				{Sources: []string{"d"}, Target: "s", Line: 5}}},
		{name: "a list", files: map[string]string{"a.json": "\ufeff[{\"document\": \"a\", \"summary\": \"b\", \"id\": 1},\n\n{\"input\": \"c\", \"output\": \"d\", \"id\": 1.50, \"target\": null}]"}, path: "a.json", kind: KindJSONLines,
			want: []Example{{ID: "1", Sources: []string{"a"}, Target: "b", Line: 1}, {ID: "1.50", Sources: []string{"c"}, Target: "d", Line: 3}}},
		{name: "other names", files: map[string]string{"a.jsonl": `{"Dialogue": "a", "summary": "b", "idx": 0, "extra": {"deep": [1]}}` + "\n\n" + `{"article": ["a", "b"], "target": "c", "group": 7}`}, path: "a.jsonl", kind: KindJSONLines,
			want: []Example{{ID: "0", Sources: []string{"a"}, Target: "b", Line: 1}, {Sources: []string{"a", "b"}, Target: "c", Group: "7", Line: 3}}},
		{name: "csv as others write it", files: map[string]string{"a.csv": ",Article,highlights,id\n0,a,\"One.\nTwo\",x\n"}, path: "a.csv", kind: KindCSV,
			want: []Example{{ID: "x", Sources: []string{"a"}, Target: "One. Two .", Line: 2}}},
		{name: "tsv as others write it", files: map[string]string{"a.tsv": "index\tdocument\tsummary\n7\ta\tb\n"}, path: "a.tsv", kind: KindTSV,
			want: []Example{{ID: "7", Sources: []string{"a"}, Target: "b", Line: 2}}},
		{name: "tabs in csv", files: map[string]string{"a.csv": "document\tsummary\na, b\tt\n"}, path: "a.csv", kind: KindCSV, want: []Example{{Sources: []string{"a, b"}, Target: "t", Line: 2}}},
		{name: "semicolons in csv", files: map[string]string{"a.csv": "document;summary\n\"a; b\";t\n"}, path: "a.csv", kind: KindCSV, want: []Example{{Sources: []string{"a; b"}, Target: "t", Line: 2}}},
		{name: "commas in tsv", files: map[string]string{"a.tsv": "document,summary\n\"1, 2\",3\n"}, path: "a.tsv", kind: KindTSV, want: []Example{{Sources: []string{"1, 2"}, Target: "3", Line: 2}}},
		{name: "several sources in csv", files: map[string]string{"a.csv": "source1,source2,target\na,b,c\n"}, path: "a.csv", kind: KindCSV,
			want: []Example{{Sources: []string{"a", "b"}, Target: "c", Line: 2}}},
		{name: "json lines of a dialogue", path: "a.json", opt: Options{Dialogue: true}, kind: KindJSONLines,
			files: map[string]string{"a.json": `{"turns": ["q", "a", "r"], "knowledge": "k", "target": "t", "domain": "d", "turn": 2}` + "\n" + `{"source": "q", "target": "t"}`},
			want: []Example{{Sources: []string{"q", "a", "r"}, Knowledge: "k", Target: "t", Domain: "d", Turn: 2, Line: 1},
				{Sources: []string{"q"}, Target: "t", Line: 2}}},
		{name: "CoQA", files: map[string]string{"coqa-dev-v1.0.json": coqaFile}, path: "coqa-dev-v1.0.json", opt: Options{Dialogue: true, NeedTarget: true}, kind: KindCoQA,
			want: []Example{
				{ID: "c1", Sources: []string{"Who?"}, Knowledge: "Ann has a ball.\nIt is red.", Target: "Ann", References: []string{"Ann", "Ann.", "the girl"}, Domain: "mctest", Group: "c1", Turn: 1, Line: 2},
				{ID: "c1", Sources: []string{"Who?", "Ann", "What?"}, Knowledge: "Ann has a ball.\nIt is red.", Target: "a ball", References: []string{"a ball", "ball", "a ball"}, Domain: "mctest", Group: "c1", Turn: 2, Line: 2},
				{ID: "c2", Sources: []string{"q"}, Knowledge: "s", Target: "a", Group: "c2", Turn: 1, Line: 8}}},
		{name: "SQuAD with numbers as ids", files: map[string]string{"dev.json": `{"data": [{"paragraphs": [{"context": "p", "qas": [{"id": 30, "question": "q", "answers": [{"text": "a"}]}]}]}]}`}, path: "dev.json", kind: KindSQuAD,
			want: []Example{{ID: "30", Sources: []string{"a", "p"}, Target: "q", Group: "passage 82079eb1", Line: 1}}},
		{name: "SQuAD", files: map[string]string{"dev.json": squadFile}, path: "dev.json", opt: Options{NeedTarget: true}, kind: KindSQuAD, skip: map[string]int{skipImpossible: 1},
			want: []Example{{ID: "1", Sources: []string{"Ann", "Ann has a ball."}, Target: "Who has it?", Group: "Ball", Line: 1}, {ID: "3", Sources: []string{"a", "p"}, Target: "q", Group: "passage 82079eb1", Line: 4}}},
		{name: "questions", files: map[string]string{"src-dev.txt": "a -lrb- b . \nc\n", "tgt-dev.txt": "q ? \nr\n"}, path: "src-dev.txt", kind: KindPairs,
			want: []Example{{Sources: []string{"a -lrb- b ."}, Target: "q ?", Line: 1}, {Sources: []string{"c"}, Target: "r", Line: 2}}},
		{name: "headlines", files: map[string]string{"valid.article.filter.txt.gz": "a\n", "valid.title.filter.txt": "t\n"}, path: "valid.article.filter.txt.gz", kind: KindPairs,
			want: []Example{{Sources: []string{"a"}, Target: "t", Line: 1}}},
		{name: "src and tgt", files: map[string]string{"train.src": "a", "train.tgt": "t"}, path: "train.src", kind: KindPairs,
			want: []Example{{Sources: []string{"a"}, Target: "t", Line: 1}}},
		{name: "stories", path: "cnn", kind: KindStories, skip: map[string]int{skipNoArticle: 1},
			files: map[string]string{"cnn/stories/b.story": "One.\n\nTwo\n\n@highlight\n\nh \"1\"\n\n@highlight\n\nh2\n", "cnn/stories/a.story": "@highlight\n\nh\n", "cnn/readme": "x"},
			want:  []Example{{ID: "b", Sources: []string{"One. Two ."}, Target: `h "1" h2 .`, Line: 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(folder(t, c.files), c.path)
			got, report, err := ReadFile(path, c.opt)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if !strings.HasPrefix(got[i].File, path) || got[i].HasTarget != (got[i].Target != "") {
					t.Errorf("example %d has file %s, target %v", i, got[i].File, got[i].HasTarget)
				}
				got[i].File, got[i].HasTarget = "", false
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v\nwant %+v", got, c.want)
			}
			if report.Kind != c.kind || report.IDs != got[0].IDs || !maps.Equal(report.Skipped, c.skip) {
				t.Errorf("report %+v", report)
			}
		})
	}
}

// What was not used is said, unless it is known to mean nothing.
func TestPassedOver(t *testing.T) {
	dir := folder(t, map[string]string{"a.csv": "Unnamed: 0,instruction,input,output\n0,a,b,c\n", "a.jsonl": `{"input": "b", "output": "c", "id": 1}` + "\n" + `{"input": "b", "output": "c", "instruction": "a"}`})
	for file, want := range map[string]string{"a.csv": `CSV with source and target; passed over: "instruction"`, "a.jsonl": `JSON lines; passed over: "instruction"`} {
		_, report, err := ReadFile(filepath.Join(dir, file), Options{})
		if err != nil || report.Form() != want {
			t.Errorf("%s: %q, %v", file, report.Form(), err)
		}
	}
}

func TestInvalidUTF8IsCounted(t *testing.T) {
	dir := folder(t, map[string]string{"a.tsv": "src\ttgt\na\xff\tb\nc\td\n", "a.jsonl": "{\"source\": \"a\xff\", \"target\": \"b\"}\n{\"source\": \"a\", \"target\": \"b\"}\n"})
	for file, want := range map[string]string{"a.tsv": "a\xff", "a.jsonl": "a\ufffd"} {
		examples, report, err := ReadFile(filepath.Join(dir, file), Options{})
		if err != nil || report.InvalidUTF8 != 1 || examples[0].Sources[0] != want {
			t.Errorf("%s: %+v, %+v, %v", file, examples, report, err)
		}
	}
}

func TestReadErrors(t *testing.T) {
	talk := Options{Dialogue: true, NeedTarget: true}
	need := Options{NeedTarget: true}
	conversation := func(questions, answers, more string) string {
		return `{"data": [` + "\n" + `{"id": "c", "story": "s", "questions": [` + questions + `], "answers": [` + answers + `]` + more + "}]}"
	}
	const turn1, turn2 = `{"input_text": "x", "turn_id": 1}`, `{"input_text": "y", "turn_id": 2}`
	for _, c := range []struct {
		name, file, content string
		opt                 Options
		want                string
	}{
		{"absent", "", "", need, "does not exist"},
		{"empty", "a.tsv", "", need, "a.tsv: is empty"},
		{"header alone", "a.tsv", "src\ttgt\n", need, "has no examples"},
		{"unknown column", "a.tsv", "src\ttargets\na\tb\n", need, `a.tsv:1: the header has no column for the target; accepted are the columns source or src`},
		{"two that could be the target", "a.csv", "document,summary,title\na,b,c\n", need, `a.csv:1: the header has "summary" and "title", and either could be the target`},
		{"two keys that could be the target", "a.jsonl", `{"document": "a", "summary": "b", "title": "c"}`, need, `a.jsonl:1: has "summary" and "title", and either could be the target`},
		{"Git LFS pointer", "a.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", need, "a.jsonl: is a Git LFS pointer"},
		{"web page", "x.story", "<!DOCTYPE html>\n<html>", need, "x.story: is a web page"},
		{"two of a column", "a.tsv", "src\tsrc\na\tb\n", need, `two columns "src"`},
		{"no source", "a.tsv", "tgt\na\n", need, "no column for the source"},
		{"no target", "a.tsv", "src\na\n", need, "no column for the target"},
		{"knowledge without dialogue", "a.tsv", "src\ttgt\tknowledge\na\tb\tc\n", need, "only a dialogue"},
		{"two sources of a dialogue", "a.tsv", "src1\tsrc2\ttgt\na\tb\tc\n", talk, "all its turns in one"},
		{"many sources", "a.tsv", "src" + manySources() + "\ttgt\n", need, "more than 16"},
		{"columns", "a.tsv", "src\ttgt\na\tb\tc\n", need, "a.tsv:2: has 3 columns, the header has 2"},
		{"blank source", "a.tsv", "src\ttgt\n \tb\n", need, "a.tsv:2: has no source text"},
		{"blank target", "a.tsv", "src\ttgt\na\tb\na\t \n", need, "a.tsv:3: has no target text"},
		{"empty line", "a.tsv", "src\ttgt\n\na\tb\n", need, "a.tsv:2: the line is empty"},
		{"NUL", "a.tsv", "src\ttgt\na\x00\tb\n", need, "a.tsv:2: contains a NUL byte"},
		{"ids and text", "a.tsv", "src\ttgt\n1 2\t3\n4\t5\na\tb\n", need, "a.tsv:4: is text, though 2 lines are ids"},
		{"the header again", "a.csv", "source,target\na,b\nsource,target\n", need, "a.csv:3: is the header again"},
		{"open quote", "a.csv", "source,target\n\"a,b\n", need, "a.csv:2: is no valid CSV"},
		{"unknown key", "a.jsonl", `{"source": "a", "target": "b"}` + "\n" + `{"source": "a", "targets": "b"}`, need, `a.jsonl:2: has no target text: it is an object with the keys "source", "targets"; accepted are the keys`},
		{"wrong type", "a.jsonl", `{"source": "a", "target": 3}`, need, `a.jsonl:1: "target" is a number, want a text`},
		{"wrong type in a list", "a.jsonl", `{"source": ["a", 3]}`, need, `a.jsonl:1: "source" is a list of something else than texts`},
		{"cut off", "a.jsonl", `{"source": "a", "tar`, need, `a.jsonl:1: the JSON ends in the middle`},
		{"two objects", "a.jsonl", `{"source": "a", "target": "b"} {}`, need, `a.jsonl:1: is not valid JSON: something follows the value: {`},
		{"two forms", "a.jsonl", `{"source": "a", "turns": ["a"], "target": "b"}`, talk, "both turns and source"},
		{"several targets", "a.jsonl", `{"source": "a", "target": ["b", "c"]}`, need, `"target" has 2 texts`},
		{"id", "a.jsonl", `{"source": "a", "target": "b", "id": {}}`, need, `a.jsonl:1: "id" is an object, want a text`},
		{"turn of another kind", "a.jsonl", `{"source": "a", "target": "b", "turn": "x"}`, need, `a.jsonl:1: "turn": the value is a text, want a whole number`},
		{"turns without dialogue", "a.jsonl", `{"turns": ["a"], "target": "b"}`, need, "no dialogues"},
		{"blank line", "a.jsonl", "\n{}", need, "a.jsonl:2: has no source text: it is an object without keys"},
		{"no text", "a.jsonl", `{"id": "7", "target": "b"}`, need, `a.jsonl:1: example "7": has no source text`},
		{"turn number", "a.jsonl", `{"source": "a", "target": "b", "turn": -1}`, need, "turn is -1"},
		{"list", "a.json", "[{\"source\": \"a\", \"target\": \"b\"},\n{\"source\": \"a\"}]", need, `a.json:2: has no target text`},
		{"cut off list", "a.json", `[{"source": "a", "target": "b"}, {`, need, `a.json:1: ends within the JSON`},
		{"list of lists", "a.json", `[[], []]`, need, `a.json:1: is a list, no JSON object`},
		{"other data", "a.json", `{"data": [{"a": 1}]}`, need, `has neither "story"`},
		{"data is no list", "a.json", `{"data": {}}`, need, `no list of objects under "data"`},
		{"text", "a.json", "hello", need, "is of no known kind; name a .jsonl"},
		{"unknown ending", "a.xyz", "hello", need, "is of no known kind"},
		{"CoQA for another task", "a.json", coqaFile, need, "is CoQA's JSON; use it for a task of dialogues"},
		{"SQuAD for a dialogue", "a.json", squadFile, talk, "is SQuAD's JSON; use it for a task without"},
		{"no questions", "a.json", conversation("", "", ""), talk, `a.json:2: conversation "c" has no questions`},
		{"answer missing", "a.json", conversation(turn1+","+turn2, turn1, ""), talk, `conversation "c" has 2 questions and 1 answers`},
		{"wrong turn", "a.json", conversation(turn1+","+turn2, turn1+","+turn1, ""), talk, `a.json:2: conversation "c", turn 2: the answer is of turn 1`},
		{"turn below 1", "a.json", conversation(`{"input_text": "x", "turn_id": -1}`, `{"input_text": "x", "turn_id": -1}`, ""), talk, `conversation "c", turn -1: turns count from 1`},
		{"empty question", "a.json", conversation(`{"input_text": " ", "turn_id": 1}`, turn1, ""), talk, `conversation "c", turn 1: the question is empty`},
		{"empty answer", "a.json", conversation(turn1, `{"input_text": "", "turn_id": 1}`, ""), talk, `conversation "c", turn 1: the answer is empty`},
		{"another person's answers", "a.json", conversation(turn1, turn1, `, "additional_answers": {"0": []}`), talk, `0 answers of person "0"`},
		{"another person's turn", "a.json", conversation(turn1, turn1, `, "additional_answers": {"0": [`+turn2+`]}`), talk, `the answer of person "0" is of turn 2`},
		{"wrong type in CoQA", "a.json", `{"data": [{"story": 3, "id": 3}]}`, talk, `a.json:1: "story" is a number, want a text`},
		{"wrong type in a list of CoQA", "a.json", `{"data": [{"story": "s", "questions": [[], []]}]}`, talk, `a.json:1: "questions" is a list, want an object`},
		{"compressed under a plain name", "a.json", "\x1f\x8b\x08\x00\x00", talk, "a.json: is compressed with gzip"},
		{"CoQA cut off", "a.json", coqaFile[:len(coqaFile)-4], talk, "a.json:8: is no valid JSON: it ends within a value"},
		{"CoQA goes on", "a.json", coqaFile + "x", talk, "something follows"},
		{"empty answer of SQuAD", "a.json", strings.Replace(squadFile, `"Ann"`, `" "`, 1), need, `article "Ball", passage 1, question "1": the answer or the passage is empty`},
		{"target side", "tgt-dev.txt", "a", need, "is the target side of a pair; name the source side, src-dev.txt"},
		{"no target side", "src-dev.txt", "a", need, "has no tgt-dev.txt beside it"},
		{"no gzip", "a.tsv.gz", "raw text", need, "is no gzip file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "absent.tsv")
			if c.file != "" {
				path = filepath.Join(folder(t, map[string]string{c.file: c.content}), c.file)
			}
			_, _, err := ReadFile(path, c.opt)
			var known *textfile.FileError
			if !errors.As(err, &known) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func manySources() string {
	var b strings.Builder
	for i := range maxSources {
		b.WriteString("\tsrc" + string(rune('a'+i)))
	}
	return b.String()
}

func TestPairsOfDifferentLength(t *testing.T) {
	dir := folder(t, map[string]string{"a.src": "a\nb\nc\n", "a.tgt": "a\n", "b.src": "a\n", "b.tgt": "a\nb\n"})
	for file, want := range map[string]string{
		"a.src": "a.src:2: goes on, though " + filepath.Join(dir, "a.tgt") + " ends with line 1",
		"b.src": "b.tgt:2: goes on, though " + filepath.Join(dir, "b.src") + " ends with line 1",
	} {
		if _, _, err := ReadFile(filepath.Join(dir, file), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// With a function for problems, reading tells them all and goes on.
func TestProblems(t *testing.T) {
	for _, c := range []struct {
		file, content string
		dialogue      bool
		examples      int
		lines         []int
	}{
		{"a.tsv", "src\ttgt\na\tb\n\tb\na\nc\td\n", false, 2, []int{3, 4}},
		{"a.jsonl", "{\n{\"source\": \"a\", \"target\": \"b\"}\n[]\n{\"source\": \"a\"}\n", false, 1, []int{1, 3, 4}},
		{"a.json", `{"data": [{"id": "c", "story": "s", "questions": [{"input_text": ""}, {"input_text": "q"}], "answers": [{"input_text": "a"}, {"input_text": "b"}]},` +
			"\n" + `{"id": "d", "story": 3},` + "\n" + `{"id": "e", "story": "s"}]}`, true, 1, []int{1, 2, 3}},
	} {
		var lines []int
		opt := Options{Dialogue: c.dialogue, NeedTarget: true, Problem: func(err error) error {
			var known *textfile.FileError
			if !errors.As(err, &known) {
				t.Fatal(err)
			}
			lines = append(lines, known.Line)
			return nil
		}}
		path := filepath.Join(folder(t, map[string]string{c.file: c.content}), c.file)
		examples, _, err := ReadFile(path, opt)
		if err != nil || len(examples) != c.examples || !slices.Equal(lines, c.lines) {
			t.Errorf("%s: %d examples, lines %v, %v", c.file, len(examples), lines, err)
		}
		enough := errors.New("enough")
		opt.Problem = func(error) error { return enough }
		if _, _, err := ReadFile(path, opt); !errors.Is(err, enough) {
			t.Errorf("%s: %v after the first problem", c.file, err)
		}
	}
}

func TestResolve(t *testing.T) {
	dir := folder(t, map[string]string{
		"coqa-train-v1.0.json": "", "src-dev.txt": "", "tgt-dev.txt": "", "para-dev.txt": "", "test.jsonl": "", "test.tsv": "", "training.log": "", "contest.csv": "", "train/x": "",
	})
	for split, want := range map[string]string{"train": "coqa-train-v1.0.json", "dev": "src-dev.txt"} {
		if got, err := Resolve(dir, split); err != nil || got != filepath.Join(dir, want) {
			t.Errorf("%s: got %s, %v", split, got, err)
		}
	}
	if _, err := Resolve(dir, "test"); err == nil || !strings.Contains(err.Error(), "several test files: test.jsonl, test.tsv") {
		t.Errorf("got %v", err)
	}
	if _, err := Resolve(t.TempDir(), "dev"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "dev or valid") {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(dir, "test.tsv")
	if got, err := Resolve(file, "train"); err != nil || got != file {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := Resolve(filepath.Join(dir, "absent"), "train"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestSplitOf(t *testing.T) {
	for path, want := range map[string]string{
		"train.jsonl": "train", "x/valid.article.filter.txt.gz": "dev", "dev_full_stories.json": "dev", "train-v1.1.json": "train", "latest.csv": "", "TEST.tsv": "test", "data.jsonl": "",
	} {
		if got := SplitOf(path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

// Whatever the bytes are, reading gives examples that can be encoded or an error that
// names the file.
func fuzzReader(f *testing.F, kind Kind, seeds ...string) {
	for _, s := range seeds {
		for _, dialogue := range []bool{false, true} {
			f.Add([]byte(s), dialogue)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte, dialogue bool) {
		r := newReader("file", Options{Kind: kind, Dialogue: dialogue})
		var err error
		switch kind {
		case KindStories:
			err = r.story(bytes.NewReader(content), "file")
		case KindPairs:
			src, tgt, _ := bytes.Cut(content, []byte("\f"))
			err = r.pairs(bytes.NewReader(src), bytes.NewReader(tgt), "file")
		default:
			err = r.read(bytes.NewReader(content))
		}
		var known *textfile.FileError
		if err != nil && (!errors.As(err, &known) || known.File != "file" || known.Problem == "") {
			t.Fatalf("got %v", err)
		}
		e := Encoder{Tokenizer: letters{}, Dialogue: dialogue, MaxSource: 20, MaxTarget: 10, TurnTypes: 16, MaxPositions: 24}
		for _, x := range r.out {
			if x.Line < 1 || x.HasTarget != (x.Target != "") {
				t.Fatalf("example %+v", x)
			}
			if _, _, err := e.EncodeSource(x); err != nil && !x.IDs {
				t.Fatal(err)
			}
		}
	})
}

func FuzzTSV(f *testing.F) {
	fuzzReader(f, KindTSV, "src\ttgt\na\tb\n", "src\tknowledge\ttgt\n1 2 [SEP] 3\t4\t5\n", "src1\tsrc2\n\t\n")
}

func FuzzCSV(f *testing.F) { fuzzReader(f, KindCSV, "id,source,target\n7,\"a, b\nc\",t\n", "\"") }

func FuzzJSONLines(f *testing.F) {
	fuzzReader(f, KindJSONLines, `{"source": ["a", "b"], "target": "c", "references": ["d"]}`, `{"turns": ["a"], "knowledge": "k"}`, `{"article": "a", "highlights": "h\n"}`, "[[[", "[{\"document\": \"a\", \"summary\": \"b\", \"id\": 1},\n{\"input\": 7}]", `{"source": "a", "text": "b", "title": null}`)
}

func FuzzCoQA(f *testing.F)  { fuzzReader(f, KindCoQA, coqaFile, coqaFile[:200]) }
func FuzzSQuAD(f *testing.F) { fuzzReader(f, KindSQuAD, squadFile, squadFile[:200]) }
func FuzzPairs(f *testing.F) { fuzzReader(f, KindPairs, "a\nb\n\fc\nd\n", "\f", "a\fb\nc") }
func FuzzStories(f *testing.F) {
	fuzzReader(f, KindStories, "a\n\nb’\n\n@highlight\n\nc\n", "@highlight")
}

func FuzzRecognise(f *testing.F) {
	for _, s := range []string{coqaFile, squadFile, `{"source": "a"}`, "[", "{", `{"data": [`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		kind, err := recogniseJSON("file", bytes.NewReader(content))
		if (err == nil) != (kind == KindCoQA || kind == KindSQuAD || kind == KindJSONLines) {
			t.Fatalf("got %v, %v", kind, err)
		}
	})
}
