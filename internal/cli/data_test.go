package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pairsFolder writes a small folder of questions in the form of Du et al.
func pairsFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var src, tgt strings.Builder
	for i := range 300 {
		src.WriteString("sentence " + strings.Repeat("x", i/2) + " . \n")
		tgt.WriteString("question " + strings.Repeat("y", i%7) + " ? \n")
	}
	writeFile(t, filepath.Join(dir, "src-dev.txt"), src.String())
	writeFile(t, filepath.Join(dir, "tgt-dev.txt"), tgt.String())
	return dir
}

func TestData(t *testing.T) {
	src, out := pairsFolder(t), filepath.Join(t.TempDir(), "qg")
	prepared := must(t, "data", "prepare", "squad-qg", src, out, "--split", "0.2", "--seed", "3", "--json")
	var p struct {
		Out    string
		Splits []struct{ Examples int }
	}
	if err := json.Unmarshal([]byte(prepared.stdout), &p); err != nil || len(p.Splits) != 2 || p.Splits[0].Examples+p.Splits[1].Examples != 300 || p.Out != out {
		t.Fatalf("%+v, %v", p, err)
	}
	if again := call(t, "", "data", "prepare", "squad-qg", src, out); again.code != exitFailed || !strings.Contains(again.stderr, "exists") {
		t.Errorf("a second time: %+v", again)
	}
	vocab := filepath.Join(t.TempDir(), "vocab")
	must(t, "tokenizer", "train", "--out", vocab, "--vocab-size", "270", filepath.Join(src, "src-dev.txt"))
	valid := must(t, "data", "validate", "squad-qg", out, "--vocab", vocab)
	for _, word := range []string{"train: " + filepath.Join(out, "train.jsonl") + " (JSON lines): ", "source tokens", "target words", "cut at 416 tokens of a source: ", "in 2 groups"} {
		if !strings.Contains(valid.stdout, word) {
			t.Errorf("validate lacks %q:\n%s", word, valid.stdout)
		}
	}
	ids := filepath.Join(t.TempDir(), "ids")
	plain := must(t, "data", "prepare", "squad-qg", filepath.Join(out, "dev.jsonl"), ids, "--ids", "--vocab", vocab)
	if !strings.Contains(plain.stdout, "dev.tsv: ") || !strings.HasPrefix(read(t, filepath.Join(ids, "dev.tsv")), "src\ttgt\n") {
		t.Errorf("ids: %+v", plain)
	}
	must(t, "data", "validate", "squad-qg", ids, "--vocab", vocab)
}

func TestDataFindsProblems(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "train.jsonl"), `{"source": "a", "target": "b"}`+"\n"+`{"source": "a", "tget": "b"}`+"\n"+`{"source": ""}`)
	writeFile(t, filepath.Join(dir, "dev.csv"), "source,target\na,b\n")
	r := call(t, "", "data", "validate", "gigaword", dir)
	for _, word := range []string{`train.jsonl:2: has no target text: it is an object with the keys "source", "tget"`, "train.jsonl:3: has no source text", "train and dev share 1 examples"} {
		if !strings.Contains(r.stdout, word) {
			t.Errorf("lacks %q:\n%s", word, r.stdout)
		}
	}
	if r.code != exitFailed || r.stderr != "unimo: 2 problems found\n" {
		t.Errorf("exit code %d, %q", r.code, r.stderr)
	}
	var v struct {
		ProblemCount int `json:"problem_count"`
		Problems     []string
		Files        []struct{ Examples, Problems int }
	}
	j := call(t, "", "data", "validate", "gigaword", dir, "--json")
	if err := json.Unmarshal([]byte(j.stdout), &v); err != nil || j.code != exitFailed || v.ProblemCount != 2 || len(v.Problems) != 2 || v.Files[0].Examples != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	prepared := call(t, "", "data", "prepare", "gigaword", dir, filepath.Join(t.TempDir(), "out"))
	if prepared.code != exitDone || !strings.Contains(prepared.stdout, "left out: 2 bad examples") || !strings.Contains(prepared.stderr, "train.jsonl:2: ") {
		t.Errorf("prepare: %+v", prepared)
	}
}

func TestValidateLabelled(t *testing.T) {
	dir := opinionsFolder(t)
	r := must(t, "data", "validate", "sst-2", dir)
	if !strings.Contains(r.stdout, "train.tsv: 400 examples: ") || !strings.Contains(r.stdout, ": negative: 200 (50.0 %), ") || !strings.Contains(r.stdout, "test: ") {
		t.Errorf("got %s", r.stdout)
	}
	writeFile(t, filepath.Join(dir, "dev.tsv"), "sentence\tlabel\na\t7\n")
	if bad := call(t, "", "data", "validate", "sst-2", dir, "--json"); bad.code != exitFailed || !strings.Contains(bad.stdout, `dev.tsv:2: label \"7\"`) || !strings.Contains(bad.stderr, "1 problem found") {
		t.Errorf("got %+v", bad)
	}
	if err := os.Remove(filepath.Join(dir, "dev.tsv")); err != nil {
		t.Fatal(err)
	}
	for _, task := range []string{"sst-2", "coqa", "flickr8k", "snli-ve"} {
		if bad := call(t, "", "data", "validate", task, filepath.Join(dir, "none")); bad.code != exitFailed || !strings.Contains(bad.stderr, "does not exist; check the path") {
			t.Errorf("%s, a folder that is not there: %+v", task, bad)
		}
	}
	if bad := call(t, "", "data", "validate", "sst-2", dir); bad.code != exitFailed || !strings.Contains(bad.stderr, "no dev file") {
		t.Errorf("got %+v", bad)
	}
}

// Tables and JSON as other programs write them, whatever they are called.
func TestValidateExports(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"train.csv":               ",premise,hypothesis,label,idx\n0,a,b,0,0\n1,\"c, d\",e,2,1\n",
		"validation_matched.json": "[{\"premise\": \"a\", \"hypothesis\": \"b\", \"label\": -1}, {\"premise\": \"a\", \"hypothesis\": \"b\", \"label\": 1}]",
		"test_matched.jsonl":      "{\"premise\": \"a\", \"hypothesis\": \"b\", \"label\": -1}\n",
	} {
		writeFile(t, filepath.Join(dir, name), content)
	}
	r := must(t, "data", "validate", "mnli", dir)
	for _, want := range []string{
		"train.csv: 2 examples: entailment: 1 (50.0 %), neutral: 0 (0.0 %), contradiction: 1 (50.0 %)",
		"validation_matched.json: 1 examples: entailment: 0", "validation_matched.json: 1 example without label left out", "test_matched.jsonl: 1 examples\n",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("%s lacks %q", r.stdout, want)
		}
	}
	file := filepath.Join(dir, "x.tsv")
	writeFile(t, file, "id,stars,review,title\n7,1,good,t\n")
	r = must(t, "data", "validate", "sst-2", file, "--columns", "text=title,label=stars")
	if !strings.Contains(r.stdout, `read are "title" (text), "stars" (label); passed over: "review"`) {
		t.Errorf("got %s", r.stdout)
	}
	if r := call(t, "", "data", "validate", "sst-2", file, "--columns", "title"); r.code != exitUsage {
		t.Errorf("got %+v", r)
	}
}

func TestDataUsage(t *testing.T) {
	src := pairsFolder(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"prepare", "sst-2", src, "x"}, "need no preparing"},
		{[]string{"prepare", "squad-qg", src}, "data prepare needs TASK, SRC and DST"},
		{[]string{"prepare", "squad-qg", src, "x", "--split", "1.5"}, "between 0 and 1"},
		{[]string{"prepare", "squad-qg", src, "x", "--split", "0"}, "between 0 and 1"},
		{[]string{"prepare", "squad-qg", src, "x", "--ids"}, "--ids needs --vocab"},
		{[]string{"prepare", "squad-qg", src, "x", "--texts", "word"}, `unknown form of texts "word"; choose one of auto, text, ids`},
		{[]string{"validate", "poetry", src}, `unknown task "poetry"`},
		{[]string{"validate", "squad-qg", src, "--vocab", "a", "--model", "b"}, "--vocab and --model exclude each other"},
	} {
		r := call(t, "", append([]string{"data"}, c.args...)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%v: exit code %d, %q", c.args, r.code, r.stderr)
		}
	}
}
