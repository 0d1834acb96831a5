package unimo_test

import (
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/unimo-go/unimo"
	"github.com/unimo-go/unimo/internal/synth"
	"github.com/unimo-go/unimo/internal/task"
	"github.com/unimo-go/unimo/internal/train"
)

// silent is an observer that shows nothing.
type silent struct{}

func (silent) Step(train.StepEvent)                  {}
func (silent) Evaluating(int, int)                   {}
func (silent) Evaluated(int, train.Evaluation, bool) {}
func (silent) Saved(int)                             {}
func (silent) Stage(string)                          {}
func (silent) Tick(int, int)                         {}

// tinyRun trains a model for a second and returns its run's folder.
func tinyRun(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	trainSet, dev := synth.Opinions(1, 200, 40)
	for name, opinions := range map[string][]synth.Opinion{"train.tsv": trainSet, "dev.tsv": dev} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := synth.WriteTSV(f, opinions); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	out := filepath.Join(dir, "run")
	_, err := task.Finetune(t.Context(), task.Options{
		Preset: task.Opinions, Size: "mini", Data: dir, Out: out, Observer: silent{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Set: []string{"hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "vocab_size=300", "epochs=1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPredict(t *testing.T) {
	m, err := unimo.Open(tinyRun(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if labels := m.Labels(); len(labels) != 2 || labels[0] != "negative" {
		t.Errorf("labels are %q", labels)
	}
	inputs := []unimo.Input{{Text: "the film is funny"}, {Text: ""}, {Text: "\xff\x00"}, {Text: "a", Pair: "b"}}
	want, err := m.Predict(t.Context(), inputs...)
	if err != nil || len(want) != len(inputs) {
		t.Fatalf("%v, %v", want, err)
	}
	for i, p := range want {
		if sum := p.Probabilities[0] + p.Probabilities[1]; math.Abs(sum-1) > 1e-6 || p.Label == "" || p.Truncated {
			t.Errorf("answer %d is %+v", i, p)
		}
	}
	// Any number of goroutines may ask; the answers are the same.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got, err := m.Predict(t.Context(), inputs...)
			if err != nil || got[0].Probability != want[0].Probability {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	wg.Wait()
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	if _, err := unimo.Open(t.TempDir()); err == nil {
		t.Error("an empty folder was opened")
	}
}
