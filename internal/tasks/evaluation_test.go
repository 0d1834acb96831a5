package tasks_test

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/run"
)

// How many examples an evaluation computes at once changes nothing on the processor: a run that goes on with other sizes ends with the same models, and
// scores that are the same but for the last digits of mean losses.
func TestEvaluationsInOtherBatches(t *testing.T) {
	for _, c := range everyKind(t) {
		t.Run(c.task, func(t *testing.T) {
			whole := options(t, c.task, c.data, c.settings("eval_batch_size=32")...)
			want := history(t, whole)
			parts := options(t, c.task, c.data, c.settings("eval_batch_size=3")...)
			parts.Set = append(parts.Set, "max_minutes=0.0000001") // after a step
			if _, err := run.Finetune(t.Context(), parts); err == nil {
				t.Fatal("it is not stopped")
			}
			parts.Resume = true
			parts.Set = append(parts.Set, "max_minutes=0", "eval_batch_size=1")
			got := history(t, parts)
			for _, dir := range []string{"best", "last"} {
				if !maps.Equal(files(t, filepath.Join(whole.Out, dir)), files(t, filepath.Join(parts.Out, dir))) {
					t.Errorf("%s differs", dir)
				}
			}
			if len(got.Evals) != len(want.Evals) || len(want.Evals) == 0 {
				t.Fatalf("%d evaluations, want %d", len(got.Evals), len(want.Evals))
			}
			for i, e := range got.Evals {
				for key, value := range e.Metrics {
					was := want.Evals[i].Metrics[key]
					loss := strings.HasSuffix(key, "loss") || strings.HasSuffix(key, "perplexity")
					if value != was && !(value != value && was != was) && !(loss && near(float64(value), float64(was), 1e-6)) {
						t.Errorf("%s of step %d is %v, want %v", key, e.Step, value, was)
					}
				}
			}
		})
	}
}
