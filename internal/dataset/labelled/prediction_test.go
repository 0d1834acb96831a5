package labelled

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPredictionFiles(t *testing.T) {
	nan := float32(math.NaN())
	classes := []Prediction{{ID: "17", Class: 1, Probs: []float32{.0625, .9375}}, {Class: 0, Probs: []float32{1, 1e-9}}}
	scores := []Prediction{{ID: "3", Score: 4.25}, {Score: 5.5}, {Score: -1}}
	range5 := Submission{Regression: true, MaxScore: 5}
	for _, c := range []struct {
		name  string
		write func(path string) error
		want  string // the content, or after "error:" a part of the message
	}{
		{"reference", func(p string) error { return WriteReference(p, classes) },
			"17\t1.0\t[0.0625 0.9375]\n1\t0.0\t[1.0 1e-09]\n"},
		{"reference scores", func(p string) error { return WriteReference(p, scores) },
			"3\t4.25\t[4.25]\n1\t5.5\t[5.5]\n2\t-1.0\t[-1.0]\n"},
		{"submission", func(p string) error {
			return WriteSubmission(p, classes, Submission{Names: []string{"not_entailment", "entailment"}})
		}, "index\tprediction\n17\tentailment\n1\tnot_entailment\n"},
		{"submission of scores", func(p string) error { return WriteSubmission(p, scores, range5) },
			"index\tprediction\n3\t4.250\n1\t5.000\n2\t0.000\n"},
		{"class without a name", func(p string) error { return WriteSubmission(p, classes, Submission{Names: []string{"0"}}) },
			"error:prediction 17: class 1 of 1"},
		{"score not a number", func(p string) error { return WriteSubmission(p, []Prediction{{Score: nan}}, range5) },
			"error:prediction 0: the score is not a number"},
		{"probability not a number", func(p string) error { return WriteReference(p, []Prediction{{Probs: []float32{nan}}}) },
			"error:prediction 0: the value NaN is not finite"},
		{"id with a tab", func(p string) error { return WriteReference(p, []Prediction{{ID: "a\tb", Probs: []float32{1}}}) },
			`error:id "a\tb" has a tab`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out.tsv")
			err := c.write(path)
			if want, isError := strings.CutPrefix(c.want, "error:"); isError {
				if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
					t.Errorf("got %v", err)
				}
				if _, err := os.Stat(path); err == nil {
					t.Error("a file was left behind")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(path); string(got) != c.want {
				t.Errorf("wrote %q, want %q", got, c.want)
			}
		})
	}
}
