package train

import (
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
)

// twice is a line whose batches go through the model twice, the first time for nothing: it must train to the same bits.
type twice struct{ *line }

func (l twice) Passes(t *autograd.Tape, epoch, batch int, scales []float32) (parts []float32, tokens int, err error) {
	seed := t.Seed()
	for _, scale := range []float32{0, scales[0]} {
		t.Reset(seed)
		if parts, tokens, err = OnePass(t, l.line, epoch, batch, []float32{scale}); err != nil {
			return nil, 0, err
		}
	}
	return parts, tokens, nil
}

func TestPassesTakeThePlaceOfLoss(t *testing.T) {
	for _, accumulate := range []int{1, 3} {
		c := testConfig()
		c.GradientAccumulation = accumulate
		var models []string
		var losses [2][]float64
		for i := range losses {
			root := t.TempDir()
			trainer, l := newTrainer(t, root, c)
			if i == 1 {
				trainer.Task = twice{l}
			}
			trainer.Observer = watcher{func(e StepEvent) { losses[i] = append(losses[i], e.Loss, e.GradNorm, float64(e.Tokens)) }}
			if _, err := trainer.Run(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			if l.passes != (i+1)*4*lineBatches {
				t.Errorf("%d passes", l.passes)
			}
			models = append(models, lastModel(t, root))
		}
		if models[0] != models[1] || len(losses[0]) == 0 {
			t.Errorf("accumulation %d: the models differ", accumulate)
		}
		for i, want := range losses[0] {
			if losses[1][i] != want {
				t.Errorf("accumulation %d: %g, want %g", accumulate, losses[1][i], want)
				break
			}
		}
	}
}

func TestPassesWithoutANumber(t *testing.T) {
	trainer, l := newTrainer(t, t.TempDir(), testConfig())
	l.nan = 4 // the second pass of the second batch
	trainer.Task = twice{l}
	if _, err := trainer.Run(t.Context(), false); err == nil || err.(*NonFiniteError).Batch != 2 {
		t.Errorf("%v", err)
	}
}
