package train

import (
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/test/late"
)

// twice is a line whose batches go through the model twice, the first time for nothing: it must train to the same bits.
type twice struct{ *line }

func (l twice) Passes(t *autograd.Tape, epoch, batch int, scales []float32) (parts Reading, tokens int, err error) {
	losses, _, err := l.line.Loss(t, epoch, batch)
	if err != nil {
		return nil, 0, err
	}
	Backward(t, losses, []float32{0})
	t.Reset(t.Seed())
	return OnePass(t, l.line, epoch, batch, scales)
}

// overdone finishes its batches twice: with several processes, gradients would go to the others after the first time.
type overdone struct{ *line }

func (l overdone) Passes(t *autograd.Tape, epoch, batch int, scales []float32) (parts Reading, tokens int, err error) {
	if _, _, err := OnePass(t, l.line, epoch, batch, []float32{0}); err != nil {
		return nil, 0, err
	}
	t.Reset(t.Seed())
	return OnePass(t, l.line, epoch, batch, scales)
}

func TestABatchIsFinishedOnce(t *testing.T) {
	trainer, l := newTrainer(t, t.TempDir(), testConfig())
	trainer.Task = overdone{l}
	if _, err := trainer.Run(t.Context(), false); err == nil || !strings.Contains(err.Error(), "finished a batch 2 times") {
		t.Errorf("got %v", err)
	}
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

// watched is a line that takes notes before each of its passes.
type watched struct {
	*line
	note func()
}

func (l watched) Loss(t *autograd.Tape, epoch, batch int) ([]*autograd.Var, int, error) {
	l.note()
	return l.line.Loss(t, epoch, batch)
}

func (l watched) Passes(t *autograd.Tape, epoch, batch int, scales []float32) (Reading, int, error) {
	losses, _, err := l.Loss(t, epoch, batch)
	if err != nil {
		return nil, 0, err
	}
	Backward(t, losses, []float32{0})
	t.Reset(t.Seed())
	return OnePass(t, l, epoch, batch, scales)
}

// On a device that records, each pass of each batch is a program: it does not grow with the passes of a step.
func TestEachPassIsAProgram(t *testing.T) {
	c := testConfig()
	c.GradientAccumulation = 3
	d := late.New()
	trainer, l := newTrainerOn(t, d, t.TempDir(), c)
	var started []int64
	trainer.Task = watched{l, func() { started = append(started, d.Started.Load()) }}
	if _, err := trainer.Run(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if len(started) != 2*4*lineBatches {
		t.Errorf("%d passes", len(started))
	}
	for i, n := range started[1:] {
		if n == started[i] {
			t.Fatalf("pass %d is in the program of the pass before: %v", i+2, started)
		}
	}
}
