package classify

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// What "unimo data validate" says of files, as text and as JSON.
func TestCheck(t *testing.T) {
	const sentences = "sentence\tlabel\na\t0\nb\t1\nc\t\n"
	for _, c := range []struct {
		name, task string
		files      map[string]string
		path       string // "" is the folder
		columns    string
		problems   int
		text       []string
		log        []string
	}{
		{
			name: "fine", task: "sst-2", files: map[string]string{"train.tsv": sentences, "dev.tsv": "sentence\tlabel\na\t1\nd\t1\n", "test.tsv": "index\tsentence\n0\te\n"},
			text: []string{"train.tsv: 2 examples: negative: 1 (50.0 %), positive: 1 (50.0 %)", "  ", "1 example without label left out", "dev.tsv: 2 examples: negative: 0 (0.0 %)", "test.tsv: 1 examples\n"},
			log:  []string{"1 examples of dev are in the training file too"},
		},
		{
			name: "a bad dev file", task: "sst-2", files: map[string]string{"train.tsv": sentences, "dev.tsv": "sentence\tlabel\na\tmixed\n"}, problems: 1,
			text: []string{"dev.tsv:2: label \"mixed\" is not one of negative"},
		},
		{
			name: "labels of training are those of dev", task: "classify", files: map[string]string{"train.tsv": "text\tlabel\na\tx\nb\ty\n", "dev.tsv": "text\tlabel\na\tz\n"}, problems: 1,
			text: []string{"train.tsv: 2 examples: x: 1 (50.0 %), y: 1", `label "z" is not one of x, y`},
		},
		{
			name: "one label", task: "sst-2", files: map[string]string{"train.tsv": "sentence\tlabel\na\t0\nb\t0\n", "dev.tsv": sentences},
			log: []string{"all examples have the same label"},
		},
		{
			name: "scores", task: "sts-b", files: map[string]string{"train.tsv": "sentence1\tsentence2\tscore\na\tb\t5\nc\td\t2\n", "dev.tsv": "sentence1\tsentence2\tscore\nx\ty\t1\n"},
			text: []string{"scores from 2 to 5, on average 3.5"},
		},
		{
			name: "one file with its own columns", task: "classify", files: map[string]string{"own.csv": "body,kind\na,x\nb,y\n"}, path: "own.csv", columns: "text=body,label=kind",
			text: []string{"file: ", "own.csv: 2 examples: x: 1 (50.0 %), y: 1 (50.0 %)"},
		},
		{name: "own data needs no dev file", task: "classify", files: map[string]string{"train.tsv": "text\tlabel\na\tx\nb\ty\n"}, text: []string{"train: "}},
		{name: "a single label of own data", task: "classify", files: map[string]string{"train.tsv": "text\tlabel\na\tx\nb\tx\n"}, problems: 1, text: []string{`has the label "x" in all of 2 examples`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, kind := kindOf(t, c.task)
			env, log := logged()
			s := kind.CheckSettings().(*EvalSettings)
			s.Columns = c.columns
			got, err := kind.Check(t.Context(), p, filepath.Join(write(t, c.files), c.path), s, env)
			if err != nil {
				t.Fatal(err)
			}
			if got.NumProblems() != c.problems {
				t.Errorf("%d problems, want %d", got.NumProblems(), c.problems)
			}
			var b strings.Builder
			got.Print(&b, env.Log)
			contains(t, "the text", b.String(), c.text...)
			contains(t, "the log", log.String(), c.log...)
			if c.log == nil && log.Len() > 0 {
				t.Errorf("log is %s", log)
			}
			raw, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			var out struct {
				Task         string
				Files        []struct{ Split string }
				ProblemCount int `json:"problem_count"`
			}
			if err := json.Unmarshal(raw, &out); err != nil || out.Task != c.task || len(out.Files) != len(c.files) || out.ProblemCount != c.problems {
				t.Errorf("JSON is %s, %v", raw, err)
			}
		})
	}
	p, kind := kindOf(t, "sst-2")
	env, _ := logged()
	for _, path := range []string{"none", write(t, map[string]string{"dev.tsv": sentences}), write(t, map[string]string{"train.tsv": sentences})} {
		if _, err := kind.Check(t.Context(), p, path, kind.CheckSettings(), env); err == nil {
			t.Errorf("%s, which lacks a file, is fine", path)
		}
	}
}
