package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/run"
)

func TestRunsAndCompare(t *testing.T) {
	data, root := opinionsFolder(t), t.TempDir()
	one, two, other := filepath.Join(root, "one"), filepath.Join(root, "deep", "two"), filepath.Join(root, "other")
	must(t, finetuneArgs(data, one, "epochs=20")...)
	must(t, finetuneArgs(data, two, "epochs=1", "learning_rate=1e-7")...)
	interrupted(t, finetuneArgs(data, other, "epochs=50")...)
	var runs []run.RunLine
	if err := json.Unmarshal([]byte(must(t, "runs", root, "--json").stdout), &runs); err != nil || len(runs) != 3 {
		t.Fatalf("%+v, %v", runs, err)
	}
	for i, r := range runs {
		if i > 0 && float64(r.Best) > float64(runs[i-1].Best) {
			t.Errorf("not the best first: %+v", runs)
		}
		if want := map[string]string{one: "done", two: "done", other: "interrupted"}[r.Run]; r.Status != want || r.Steps == 0 || r.Metric != "accuracy" {
			t.Errorf("%+v, want the status %q", r, want)
		}
	}
	contains(t, must(t, "runs", root).stdout, "run  ", "sst-2", "accuracy 0.")
	contains(t, must(t, "runs", one, "--csv").stdout, "step,series,value\n", ",loss,", ",dev accuracy,")

	page := filepath.Join(root, "page.html")
	text := must(t, "compare", one, two, "--report", page).stdout
	contains(t, text, "learning_rate  0.005", "1e-07", "epochs", "95 % interval", "McNemar's exact test: p = ", "Of the same 60 dev examples")
	if strings.Contains(text, "batch_size") {
		t.Errorf("what is the same is listed: %s", text)
	}
	contains(t, read(t, page), "A accuracy", "B accuracy", "What differs", "learning_rate")
	var c run.Comparison
	if err := json.Unmarshal([]byte(must(t, "compare", one, two, "--json").stdout), &c); err != nil {
		t.Fatal(err)
	}
	// The test is of the predictions that the runs keep.
	right := func(dir string) (right []bool) {
		for line := range strings.Lines(read(t, filepath.Join(dir, "predictions", "dev.jsonl"))) {
			var a run.Answer
			if err := json.Unmarshal([]byte(line), &a); err != nil {
				t.Fatal(err)
			}
			right = append(right, a.Gold == a.Predicted)
		}
		return right
	}
	a, b := right(one), right(two)
	onlyA, onlyB := 0, 0
	for i := range a {
		if a[i] && !b[i] {
			onlyA++
		}
		if b[i] && !a[i] {
			onlyB++
		}
	}
	if c.Test == nil || c.Test.OnlyA != onlyA || c.Test.OnlyB != onlyB || c.Test.Examples != 60 || onlyA == 0 {
		t.Errorf("test %+v, want %d and %d", c.Test, onlyA, onlyB)
	}
	contains(t, must(t, "compare", one, other).stdout, "keeps no predictions")

	// Another dev set: no test.
	lines := strings.SplitAfter(read(t, filepath.Join(data, "dev.tsv")), "\n")
	writeFile(t, filepath.Join(data, "dev.tsv"), strings.Join(lines[:30], ""))
	third := filepath.Join(root, "third")
	must(t, finetuneArgs(data, third)...)
	contains(t, must(t, "compare", one, third).stdout, "different dev sets", "content of dev")
	if r := call(t, "", "compare", one, t.TempDir()); r.code != exitFailed {
		t.Errorf("%+v", r)
	}
}
