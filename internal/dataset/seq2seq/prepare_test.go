package seq2seq

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/test/golden"
)

func find(tb testing.TB, name string) Task {
	tb.Helper()
	t, err := Find(name)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func readText(tb testing.TB, path string) string {
	tb.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}

func TestPrepare(t *testing.T) {
	address := func(name string) string { return "http://web.example/" + name }
	story := func(name string) string {
		sum := sha1.Sum([]byte(address(name)))
		return "cnn/stories/" + hex.EncodeToString(sum[:]) + ".story"
	}
	const told = "Text.\n\n@highlight\n\nShort"
	for _, c := range []struct {
		name, task string
		files      map[string]string
		src        string
		opt        PrepareOptions
		want       map[string]string // files of dst
		skipped    map[string]int    // of the first split
	}{
		{name: "folder", task: "coqa", files: map[string]string{"coqa-train-v1.0.json": coqaFile, "coqa-dev-v1.0.json": coqaFile},
			want: map[string]string{
				"train.jsonl": `{"id":"c1","turns":["Who?"],"knowledge":"Ann has a ball.\nIt is red.","target":"Ann","references":["Ann","Ann.","the girl"],"domain":"mctest","group":"c1","turn":1}` + "\n" +
					`{"id":"c1","turns":["Who?","Ann","What?"],"knowledge":"Ann has a ball.\nIt is red.","target":"a ball","references":["a ball","ball","a ball"],"domain":"mctest","group":"c1","turn":2}` + "\n" +
					`{"id":"c2","turns":["q"],"knowledge":"s","target":"a","group":"c2","turn":1}` + "\n",
				"dev.jsonl": ""}},
		{name: "a file that names its split", task: "squad-qg", files: map[string]string{"dev-v2.0.json": squadFile}, src: "dev-v2.0.json", skipped: map[string]int{skipImpossible: 1},
			want: map[string]string{"dev.jsonl": `{"id":"1","source":["Ann","Ann has a ball."],"target":"Who has it?","group":"Ball"}` + "\n" + `{"id":"3","source":["a","p"],"target":"q","group":"passage 82079eb1"}` + "\n"}},
		{name: "a file that does not, with a bad line", task: "gigaword", files: map[string]string{"mine.csv": "source,target\na,b\n,c\n"}, src: "mine.csv", skipped: map[string]int{skipBad: 1},
			want: map[string]string{"train.jsonl": `{"source":"a","target":"b"}` + "\n"}},
		{name: "a test set without targets", task: "gigaword", files: map[string]string{"train.csv": "source,target\na,b\n", "test.csv": "source\nc\n"},
			want: map[string]string{"train.jsonl": `{"source":"a","target":"b"}` + "\n", "test.jsonl": `{"source":"c"}` + "\n"}},
		{name: "ids", task: "coqa", files: map[string]string{"train.jsonl": `{"turns": ["a", "b", "c"], "knowledge": "d", "target": "e"}`}, opt: PrepareOptions{Coder: letters{}},
			want: map[string]string{"train.tsv": "src\tknowledge\ttgt\n197 [SEP] 198 [SEP] 199\t200\t201\n"}},
		{name: "stories", task: "cnn-dailymail", skipped: map[string]int{skipAbsent: 1},
			files: map[string]string{story("a"): told, story("b"): told, story("c"): told,
				"url_lists/all_train.txt": address("a") + "\n" + address("x") + "\n", "url_lists/all_val.txt": address("b") + "\n"},
			want: map[string]string{
				"train.jsonl": `{"id":"` + strings.TrimSuffix(filepath.Base(story("a")), ".story") + `","source":"Text.","target":"Short ."}` + "\n",
				"dev.jsonl":   `{"id":"` + strings.TrimSuffix(filepath.Base(story("b")), ".story") + `","source":"Text.","target":"Short ."}` + "\n"}},
		{name: "split", task: "coqa", files: map[string]string{"all.json": coqaFile}, src: "all.json", opt: PrepareOptions{Fraction: 0.3, Seed: 1},
			want: map[string]string{"train.jsonl": "", "dev.jsonl": `{"id":"c2","turns":["q"],"knowledge":"s","target":"a","group":"c2","turn":1}` + "\n",
				"split.json": "{\n \"source\": \"all.json\",\n \"fraction\": 0.3,\n \"seed\": 1,\n \"approximate\": false,\n \"dev\": [\n  \"c2\"\n ]\n}\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, dst := filepath.Join(folder(t, c.files), c.src), filepath.Join(t.TempDir(), "out")
			got, err := Prepare(t.Context(), find(t, c.task), src, dst, c.opt)
			if err != nil {
				t.Fatal(err)
			}
			entries, err := os.ReadDir(dst)
			if err != nil || len(entries) != len(c.want) {
				t.Errorf("%v, %v", entries, err)
			}
			for name, want := range c.want {
				if content := readText(t, filepath.Join(dst, name)); want != "" && content != want {
					t.Errorf("%s is\n%swant\n%s", name, content, want)
				}
			}
			if !equalCounts(got[0].Skipped, c.skipped) {
				t.Errorf("prepared %+v", got)
			}
			for _, p := range got {
				lines := strings.Count(readText(t, filepath.Join(dst, p.File)), "\n")
				if p.Examples != lines && p.Examples != lines-1 { // a TSV has a header
					t.Errorf("%s has %d lines, %+v", p.File, lines, p)
				}
			}
		})
	}
}

func equalCounts(a, b map[string]int) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func TestPrepareErrors(t *testing.T) {
	dir := folder(t, map[string]string{"train.csv": "source,target\na,b\n", "dev.csv": "source,target\na,b\n", "two/train.csv": "source,target\na,b\n", "two/train.tsv": "src\ttgt\n",
		"bad.csv": "source,target\n,b\n", "test/test.csv": "source\na\n", "none/readme.md": "x"})
	gigaword := find(t, "gigaword")
	half := PrepareOptions{Fraction: 0.5}
	for _, c := range []struct {
		src  string
		opt  PrepareOptions
		want string
	}{
		{"absent", PrepareOptions{}, "is of no known kind|does not exist"},
		{"none", PrepareOptions{}, "no file of a known kind"},
		{"two", PrepareOptions{}, "several train files"},
		{".", half, "a training and a dev file already"},
		{"test", half, "a test set is not split"},
		{"train.csv", half, "train.csv: all 1 examples are of one group"},
		{"bad.csv", PrepareOptions{}, "no good example: all 1 are bad"},
	} {
		dst := filepath.Join(t.TempDir(), "out")
		_, err := Prepare(t.Context(), gigaword, filepath.Join(dir, c.src), dst, c.opt)
		if err == nil || !slices.ContainsFunc(strings.Split(c.want, "|"), func(w string) bool { return strings.Contains(err.Error(), w) }) {
			t.Errorf("%s: got %v, want %s", c.src, err, c.want)
		}
		if _, err := os.Stat(dst); err == nil {
			t.Errorf("%s: something was written", c.src)
		}
	}
	if _, err := Prepare(t.Context(), gigaword, dir, dir, PrepareOptions{}); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dst := filepath.Join(t.TempDir(), "out")
	if _, err := Prepare(ctx, gigaword, dir, dst, PrepareOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// The real questions are split without a sentence on both sides, and the split is kept.
func TestPrepareQuestions(t *testing.T) {
	src, dst := golden.Data(t, "squad-qg"), filepath.Join(t.TempDir(), "qg")
	got, err := Prepare(t.Context(), find(t, "squad-qg"), src, dst, PrepareOptions{Fraction: 0.1, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Examples+got[1].Examples != 10570 || got[1].Examples < 1057 || got[1].Examples > 1257 {
		t.Fatalf("prepared %+v", got)
	}
	v, err := Validate(t.Context(), find(t, "squad-qg"), dst, ValidateOptions{})
	if err != nil || v.ProblemCount > 0 || len(v.Shared) > 0 {
		t.Errorf("%+v, %v", v, err)
	}
	train, _, err := ReadFile(filepath.Join(dst, "train.jsonl"), Options{NeedTarget: true})
	if err != nil {
		t.Fatal(err)
	}
	dev, _, err := ReadFile(filepath.Join(dst, "dev.jsonl"), Options{NeedTarget: true})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, x := range train {
		seen[x.Sources[0]] = true
	}
	for _, x := range dev {
		if seen[x.Sources[0]] {
			t.Fatalf("%q is on both sides", x.Sources[0])
		}
	}
	var note splitNote
	if err := json.Unmarshal([]byte(readText(t, filepath.Join(dst, SplitFile))), &note); err != nil || !note.Approximate || len(note.Dev) < 2 {
		t.Errorf("%+v, %v", note, err)
	}
}

func TestValidate(t *testing.T) {
	dir := folder(t, map[string]string{
		"train.jsonl": `{"source": "a b", "target": "c", "group": "g"}` + "\n" + `{"source": "` + strings.Repeat("x ", 80) + `", "target": "d"}` + "\n" + `{"target": "e"}` + "\n" + `{"source": "a"}`,
		"dev.csv":     "source,target\na b,c\nq,r\n",
		"test.tsv":    "src\n1 2\n",
	})
	e := Encoder{Tokenizer: letters{}, MaxSource: 128, MaxTarget: 32}
	v, err := Validate(t.Context(), find(t, "gigaword"), dir, ValidateOptions{Encoder: e, MaxProblems: 2})
	if err != nil {
		t.Fatal(err)
	}
	if v.ProblemCount != 3 || len(v.Problems) != 2 || !strings.Contains(v.Problems[0], "train.jsonl:3: has no source") || !strings.Contains(v.Problems[1], "train.jsonl:4: has no target") {
		t.Errorf("problems %d, %v", v.ProblemCount, v.Problems)
	}
	train, test := v.Files[0], v.Files[2]
	if train.Examples != 2 || train.Problems != 2 || train.Groups != 1 || *train.Truncated != (Truncated{Source: 1}) ||
		*train.Source.Characters != (Distribution{3, 3, 3, 160}) || *train.Source.Words != (Distribution{2, 2, 2, 80}) || *train.Source.Tokens != (Distribution{5, 5, 5, 162}) ||
		*train.Target.Tokens != (Distribution{2, 2, 2, 2}) {
		t.Errorf("train is %+v", train)
	}
	if test.Problems != 1 || test.Source.Words != nil { // ids that the vocabulary does not have
		t.Errorf("test is %+v", test)
	}
	if want := []SharedExamples{{[2]string{"train", "dev"}, 1, 0}}; !slices.Equal(v.Shared, want) {
		t.Errorf("shared %v", v.Shared)
	}
	if _, err := Validate(t.Context(), find(t, "gigaword"), t.TempDir(), ValidateOptions{}); err == nil {
		t.Error("an empty folder is valid")
	}
	broken, err := Validate(t.Context(), find(t, "coqa"), filepath.Join(folder(t, map[string]string{"a.json": coqaFile[:300]}), "a.json"), ValidateOptions{MaxProblems: 9})
	if err != nil || broken.ProblemCount != 1 || !strings.Contains(broken.Problems[0], "is no valid JSON") && !strings.Contains(broken.Problems[0], "no list") {
		t.Errorf("%+v, %v", broken, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Validate(ctx, find(t, "gigaword"), dir, ValidateOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
