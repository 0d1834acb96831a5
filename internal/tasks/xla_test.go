package tasks_test

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// On a plugin tasks train as on the processor, with dropout, batches that are summed, and passes under attack: the same losses and norms.
func TestXLATrainsAsTheProcessor(t *testing.T) {
	device, tried := "device="+accelerator.Name(t), map[string]bool{"multi": true, "coco-caption": true} // these have parts of the others, and take long to compile
	for _, c := range everyKind(t) {
		name := c.task
		if slices.Contains(c.settings(), "train_extractor=true") {
			name += " with its eyes"
		}
		if tried[name] {
			continue
		}
		tried[name] = true
		t.Run(name, func(t *testing.T) {
			set := c.settings("attention_probs_dropout_prob=0.1", "learning_rate=1e-3")
			here := history(t, options(t, c.task, c.data, set...))
			there := history(t, options(t, c.task, c.data, append(set, device)...))
			if len(here.Steps) == 0 || len(there.Steps) != len(here.Steps) || len(there.Evals) != len(here.Evals) {
				t.Fatalf("%d steps and %d evaluations, want %d and %d", len(there.Steps), len(there.Evals), len(here.Steps), len(here.Evals))
			}
			for i, s := range there.Steps {
				if h := here.Steps[i]; !near(s.Loss, h.Loss, 1e-5) || !near(s.Norm, h.Norm, 1e-4) {
					t.Errorf("step %d: loss %v and norm %v, want %v and %v", s.Step, s.Loss, s.Norm, h.Loss, h.Norm)
				}
			}
		})
	}
}
