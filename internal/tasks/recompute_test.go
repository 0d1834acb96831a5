package tasks_test

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"testing"

	"github.com/unimo-go/unimo/internal/run"
)

// With recompute every kind of task trains the same model, on several ranks, too, and in a run that began without.
func TestRecomputeTrainsTheSameModel(t *testing.T) {
	for _, c := range everyKind(t) {
		t.Run(c.task, func(t *testing.T) {
			set := c.settings("num_hidden_layers=3", "attention_probs_dropout_prob=0.1")
			model := func(o run.Options) map[string]string { return files(t, filepath.Join(o.Out, "last")) }
			kept := options(t, c.task, c.data, set...)
			if _, err := run.Finetune(t.Context(), kept); err != nil {
				t.Fatal(err)
			}
			want := model(kept)

			ctx, cancel := context.WithCancel(t.Context())
			stopped := options(t, c.task, c.data, set...)
			stopped.Observer = stopper{step: 1, stop: cancel}
			if _, err := run.Finetune(ctx, stopped); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			stopped.Resume, stopped.Observer, stopped.Set = true, nil, append(stopped.Set, "recompute=true")
			if _, err := run.Finetune(t.Context(), stopped); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(model(stopped), want) {
				t.Error("a run that goes on with recompute trains another model")
			}

			together := options(t, c.task, c.data, append(set, "recompute=true")...)
			if err := over(t, c.size, together, nil); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(model(together), want) {
				t.Errorf("%d ranks with recompute train another model", c.size)
			}
		})
	}
}
