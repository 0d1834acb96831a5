package classify

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/classes"
	"github.com/unimo-go/unimo/internal/test/golden"
)

// kindOf returns a task and its kind.
func kindOf(t *testing.T, name string) (*run.Task, *Kind) {
	t.Helper()
	task, err := Tasks.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return task, task.Kind.(*Kind)
}

// The presets read the real files whole, and find them by the names they have.
func TestPresetsReadRealData(t *testing.T) {
	for _, c := range []struct {
		task, folder string
		train, dev   int
	}{{"sst-2", "sst2", 67349, 872}, {"cola", "cola", 8551, 527}, {"sts-b", "stsb", 5749, 1500}} {
		t.Run(c.task, func(t *testing.T) {
			dir := golden.Data(t, c.folder)
			p, kind := kindOf(t, c.task)
			for split, want := range map[*run.Split]int{&p.Train: c.train, &p.Dev[0]: c.dev} {
				path, err := textfile.Resolve(dir, split.Name, split.Files)
				if err != nil {
					t.Fatal(err)
				}
				examples, _, err := labelled.Read(path, kind.Schema, labelled.ReadOptions{})
				if err != nil || len(examples) != want {
					t.Errorf("%s: %d examples, want %d (%v)", filepath.Base(path), len(examples), want, err)
				}
			}
		})
	}
}

func TestScoreOfClassification(t *testing.T) {
	_, kind := kindOf(t, "sst-2")
	records := []labelled.Record{{Class: 0}, {Class: 1}, {Class: 1}, {Class: 0}}
	out := outputRows{{2, 0}, {0, 1}, {1, 0}, {3, 3}} // the last is a tie: the first class
	s := score(kind.Schema, model.Config{}, records, out)
	if s.Metrics["accuracy"] != 0.75 || s.Metrics["examples"] != 4 {
		t.Errorf("metrics are %v", s.Metrics)
	}
	soft := func(margin float64) float64 { return math.Log1p(math.Exp(-margin)) } // -log p
	want := (soft(2) + soft(1) + soft(-1) + soft(0)) / 4
	if got := float64(s.Metrics["loss"]); !(math.Abs(got-want) <= 1e-12) {
		t.Errorf("loss is %v, want %v", got, want)
	}
	if !slices.Equal(s.Confusion[0], []int{2, 0}) || !slices.Equal(s.Confusion[1], []int{1, 1}) {
		t.Errorf("confusion is %v", s.Confusion)
	}
}

func TestScoreOfRegression(t *testing.T) {
	_, kind := kindOf(t, "sts-b")
	records := []labelled.Record{{Score: 1}, {Score: 2}, {Score: 3}}
	s := score(kind.Schema, model.Config{}, records, outputRows{{2}, {4}, {6}})
	if m := s.Metrics; math.Abs(float64(m["pearson"])-1) > 1e-12 || m["spearman"] != 1 || math.Abs(float64(m["loss"])-14.0/3) > 1e-12 {
		t.Errorf("metrics are %v", m)
	}
	if _, ok := s.Metrics["accuracy"]; ok {
		t.Error("a regression has an accuracy")
	}
}

// The mistakes shown are those the model was surest of.
func TestMistakes(t *testing.T) {
	_, kind := kindOf(t, "sst-2")
	d := &detail{
		schema:   kind.Schema,
		examples: []labelled.Example{{TextA: "right", Class: 0}, {TextA: "slightly wrong", Class: 0}, {TextA: "very wrong", Class: 1}},
		outputs:  outputRows{{1, 0}, {0, 1}, {9, 0}},
	}
	wrong, note := d.mistakes()
	if want := "All 2 mistakes among 3 examples, the most confident first."; note != want {
		t.Errorf("note %q, want %q", note, want)
	}
	if len(wrong) != 2 || wrong[0].Text != "very wrong" || wrong[0].Predicted != "negative" || wrong[1].Text != "slightly wrong" {
		t.Errorf("got %+v", wrong)
	}
	for range 2 * classes.ShownMistakes {
		d.examples, d.outputs = append(d.examples, labelled.Example{TextA: "wrong"}), append(d.outputs, []float32{0, 1})
	}
	wrong, note = d.mistakes()
	if want := "The 20 most confident mistakes of 42, among 43 examples."; len(wrong) != classes.ShownMistakes || note != want {
		t.Errorf("%d mistakes, note %q, want %q", len(wrong), note, want)
	}
}
