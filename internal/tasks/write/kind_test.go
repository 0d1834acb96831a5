package write

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/tokenizer"
)

// What people are told about a kind.
func TestWords(t *testing.T) {
	coqa, dialogue := kindOf(t, "coqa")
	_, plain := kindOf(t, "gigaword")
	if got := dialogue.Use("RUN"); got != "unimo chat --model RUN --story FILE" {
		t.Error(got)
	}
	if got := plain.Use("RUN"); got != `unimo generate --model RUN "TEXT"` {
		t.Error(got)
	}
	if got := plain.PredictionFiles("dev"); !slices.Equal(got, []string{"dev.txt", "dev.jsonl"}) {
		t.Errorf("%q", got)
	}
	if got := plain.DataFiles(nil); len(got) != 1 || !strings.Contains(got[0], "train.jsonl, dev.jsonl") {
		t.Errorf("%q", got)
	}
	if long, _ := dialogue.Help(coqa, "evaluate"); !strings.Contains(long, "f1, em and both by domain") {
		t.Error(long)
	}
	if long, example := dialogue.Help(coqa, "finetune"); long != "" || example != "" {
		t.Error(long, example)
	}
	for metric, want := range map[string]run.Metric{"f1": run.Share, "em": run.Share, "meteor": run.Share, "rouge-l": run.Share, "bleu-4": run.Share, "loss": {}, "perplexity": {}} {
		if got := plain.Describe(metric); got != want {
			t.Errorf("%s: %+v, want %+v", metric, got, want)
		}
	}
}

// A text is scored by the task's metric against all that the example accepts.
func TestScores(t *testing.T) {
	for _, c := range []struct {
		task string
		g    Generated
		want map[string]float64
	}{
		{"coqa", Generated{Text: "a cat", Example: seq2seq.Example{Target: "Cat."}}, map[string]float64{"f1": 1, "em": 1}},
		{"coqa", Generated{Text: "black cat", Example: seq2seq.Example{Target: "cat"}}, map[string]float64{"f1": 2.0 / 3, "em": 0}},
		{"gigaword", Generated{Text: "one two", Example: seq2seq.Example{Target: "one two"}}, map[string]float64{"rouge-1": 1, "rouge-2": 1, "rouge-l": 1}},
		{"gigaword", Generated{Text: "one two", LowerCase: true, Example: seq2seq.Example{Target: "One Two"}}, map[string]float64{"rouge-1": 1, "rouge-l": 1}},
		{"gigaword", Generated{Text: "one two", Example: seq2seq.Example{Target: "three", References: []string{"three", "one"}}}, map[string]float64{"rouge-2": 0}},
		{"squad-qg", Generated{Text: "who sat on the mat", Example: seq2seq.Example{Target: "who sat on the mat"}}, map[string]float64{"bleu-4": 1}},
		{"squad-qg", Generated{Text: "who sat on the mat", LowerCase: true, Example: seq2seq.Example{Target: "Who Sat on the MAT"}}, map[string]float64{"bleu-4": 1}},
	} {
		_, k := kindOf(t, c.task)
		got := k.scores([]Generated{c.g})
		for metric, want := range c.want {
			if v, ok := got[metric]; !ok || float64(v) < want-1e-6 || float64(v) > want+1e-6 {
				t.Errorf("%s, %q for %q: %s is %v, want %v (of %v)", c.task, c.g.Text, c.g.references(), metric, v, want, got)
			}
		}
	}
}

func TestDetail(t *testing.T) {
	_, k := kindOf(t, "coqa")
	long := strings.Repeat("ä", 301)
	d := &detail{k, "f1", []Generated{
		{Example: seq2seq.Example{ID: "q", Turn: 2, Sources: []string{"before", "who"}, Target: "Tom"}, Text: "tom", Score: -1.5},
		{Example: seq2seq.Example{Sources: []string{long}, Target: "Anna"}, Text: "two\twords"},
		{Example: seq2seq.Example{Target: "x"}},
	}}
	want := []run.Answer{
		{ID: "q", Text: "who", Gold: "Tom", Predicted: "tom", Value: 1}, {Text: strings.Repeat("ä", 300) + " …", Gold: "Anna", Predicted: "two\twords"}, {Gold: "x"},
	}
	if got := d.Answers(); !slices.Equal(got, want) {
		t.Errorf("answers are %+v", got)
	}
	dir := filepath.Join(t.TempDir(), "new")
	if err := d.WritePredictions(dir, "dev"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "dev.txt")); got != "tom\ntwo\twords\n\n" {
		t.Errorf("texts are %q", got)
	}
	if got := read(t, filepath.Join(dir, "dev.jsonl")); got != `{"id":"q","turn_id":2,"generated":"tom","reference":"Tom","score":-1.5}`+"\n"+
		`{"generated":"two\twords","reference":"Anna","score":0}`+"\n"+`{"generated":"","reference":"x","score":0}`+"\n" {
		t.Errorf("lines are %q", got)
	}
	if err := d.WritePredictions(filepath.Join(dir, "dev.txt"), "dev"); err == nil {
		t.Error("a folder that is a file is written to")
	}
	var page report.Run
	if d.Section(&page); len(page.Samples) != 3 || page.Samples[0] != (report.Sample{Source: "who", Reference: "Tom", Generated: "tom", Right: true}) || page.Samples[1].Right ||
		page.SamplesNote != "All 3 texts; 1 of the 3 match their reference." {
		t.Errorf("the page has %+v, %q", page.Samples, page.SamplesNote)
	}
	for text, want := range map[string]bool{"one two": true, "ONE two": true, "one": false, "other": true} {
		if got := sameText(Generated{Text: text, Example: seq2seq.Example{References: []string{"One  two", "other"}}}); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// vocabulary makes the folder of a vocabulary.
func vocabulary(t *testing.T) string {
	t.Helper()
	tok, err := tokenizer.Train(t.Context(), slices.Values([]string{"one text of some words", "good bad story number many yes no it is not"}), 300, tokenizer.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPrepareSettings(t *testing.T) {
	_, k := kindOf(t, "gigaword")
	for set, want := range map[string]string{
		"":                   "",
		"split=0.2 seed=4":   "",
		"split=1":            "--split is 1, want a fraction between 0 and 1",
		"ids=true":           "--ids needs --vocab",
		"vocab=x":            "--ids needs --vocab",
		"ids=true vocab=x":   "",
		"texts=ids":          "",
		"texts=words":        `unknown form of texts "words"`,
		"texts=text split=0": "--split is 0",
	} {
		if err := run.SetFlags(k.PrepareSettings(), strings.Fields(set)); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", set, err, want)
		}
	}
	if s := k.PrepareSettings().(*PrepareSettings); s.Seed != 1 || s.Split != 0 || s.Texts != "auto" || s.IDs {
		t.Errorf("the usual is %+v", s)
	}
	for texts, ok := range map[string]bool{"auto": true, "text": true, "ids": true, "": false} {
		if err := (&CheckSettings{textSettings: textSettings{texts}}).Validate(nil); (err == nil) != ok {
			t.Errorf("texts %q: %v", texts, err)
		}
	}
}

// A data folder is made of other files: JSON lines or ids, what is bad left out and said.
func TestPrepare(t *testing.T) {
	p, k := kindOf(t, "gigaword")
	bad := strings.Repeat(`{"source":"no target"}`+"\n", 12)
	src := files(t, map[string]string{"train.jsonl": headlines(20) + bad})
	for _, c := range []struct {
		set   string
		files []string
		err   string
	}{
		{set: "", files: []string{"train.jsonl"}},
		{set: "split=0.2", files: []string{"dev.jsonl", "split.json", "train.jsonl"}},
		{set: "ids=true vocab=" + vocabulary(t), files: []string{"train.tsv"}},
		{set: "ids=true vocab=" + t.TempDir(), err: "vocab"},
	} {
		env, log := logged()
		s := k.PrepareSettings().(*PrepareSettings)
		if err := run.SetFlags(s, strings.Fields(c.set)); err != nil {
			t.Fatal(err)
		}
		dst := filepath.Join(t.TempDir(), "new")
		got, err := k.Prepare(t.Context(), p, src, dst, s, env)
		if (err == nil) != (c.err == "") {
			t.Fatalf("%q: %v", c.set, err)
		}
		if err != nil {
			continue
		}
		var b strings.Builder
		got.Print(&b, env.Log)
		contains(t, "the text", b.String(), filepath.Join(dst, c.files[len(c.files)-1])+": ", "examples from", "(JSON lines", "; left out: 12 bad examples")
		contains(t, "the log", log.String(), "left out: ", "has no target text", "2 more were left out: see 'unimo data validate'")
		entries, err := os.ReadDir(dst)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if err != nil || !slices.Equal(names, c.files) {
			t.Errorf("%q: the folder has %q, %v", c.set, names, err)
		}
		raw, err := json.Marshal(got)
		if err != nil || !strings.Contains(string(raw), `"task":"gigaword","out":`) {
			t.Errorf("JSON is %s, %v", raw, err)
		}
		examples := 0
		for _, split := range got.(*preparation).Splits {
			examples += split.Examples
		}
		if examples != 20 {
			t.Errorf("%q: %d examples", c.set, examples)
		}
		if _, err := k.Prepare(t.Context(), p, src, dst, s, env); err == nil || !strings.Contains(err.Error(), "exists; choose a new folder") {
			t.Errorf("a folder that is there: %v", err)
		}
	}
	if got := leftOut(map[string]int{"b": 2, "a": 1}, 3); got != "; left out: 1 a; left out: 2 b; 3 with bytes that are not UTF-8" {
		t.Error(got)
	}
}

// What "unimo data validate" says of files.
func TestCheck(t *testing.T) {
	vocab := vocabulary(t)
	folder := func(train, dev string) string {
		return files(t, map[string]string{"train.jsonl": train, "dev.jsonl": dev})
	}
	for _, c := range []struct {
		name, task, path string
		vocab            string
		problems         int
		text             []string
	}{
		{"fine", "gigaword", folder(headlines(3), headlines(2)), "", 0, []string{
			"train: ", "train.jsonl (JSON lines): 3 examples", "source characters", "target words      min 1      median 1      95 % 1      max 4", "train and dev share 2 examples and 0 groups",
		}},
		{"with tokens", "gigaword", folder(headlines(3), headlines(2)), vocab, 0, []string{"source tokens", "cut at 128 tokens of a source: 0; at 32 of a target: 0"}},
		{"a dialogue", "coqa", folder(conversations(1), conversations(1)), vocab, 0, []string{"cut at 480 tokens of a source: 0; at 32 of a target: 0; old turns dropped: 0"}},
		{"a bad line", "gigaword", folder(headlines(3)+"{}\n", headlines(2)), "", 1, []string{"train.jsonl:4: ", "3 examples"}},
		{"many bad lines", "gigaword", folder(headlines(3)+strings.Repeat("{}\n", run.ShownProblems+5), headlines(2)), "", run.ShownProblems + 5, []string{"and 5 more problems"}},
		{"no text", "gigaword", folder("\x00", headlines(2)), "", 1, []string{"contains a NUL byte", "0 examples"}},
	} {
		p, k := kindOf(t, c.task)
		env, _ := logged()
		s := k.CheckSettings().(*CheckSettings)
		s.Vocab = c.vocab
		got, err := k.Check(t.Context(), p, c.path, s, env)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.NumProblems() != c.problems {
			t.Errorf("%s: %d problems, want %d", c.name, got.NumProblems(), c.problems)
		}
		var b strings.Builder
		got.Print(&b, env.Log)
		contains(t, c.name, b.String(), c.text...)
		if raw, err := json.Marshal(got); err != nil || !strings.Contains(string(raw), fmt.Sprintf(`"problem_count":%d`, c.problems)) {
			t.Errorf("%s: JSON is %s, %v", c.name, raw, err)
		}
	}
	p, k := kindOf(t, "gigaword")
	env, _ := logged()
	for _, s := range []*CheckSettings{{Vocab: t.TempDir()}, {Model: t.TempDir()}} {
		s.textSettings = textSettings{"auto"}
		if _, err := k.Check(t.Context(), p, folder(headlines(1), headlines(1)), s, env); err == nil {
			t.Errorf("%+v: an empty folder is taken", s)
		}
	}
	if _, err := k.Check(t.Context(), p, t.TempDir(), k.CheckSettings(), env); err == nil {
		t.Error("an empty folder is data")
	}
}
