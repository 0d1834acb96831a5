package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/test/accelerator"
	"github.com/unimo-go/unimo/internal/test/late"
)

// rounded is a norm without the digits that are lost in two float32.
func rounded(norm float64) float64 { return float64(float32(norm)) }

// Steps whose numbers are read late are those of a device that computes at once, to the bits, and so is what is told of them.
func TestLateStepsAreTheSame(t *testing.T) {
	for _, accumulate := range []int{1, 3} {
		for _, each := range []int{1, 4, 100} {
			c := testConfig()
			c.Epochs, c.GradientAccumulation, c.LogSteps, c.EvalSteps, c.SnapshotSteps, c.ClipNorm = 30, accumulate, each, 45, 31, 0.3
			train := func(d engine.Device) (root string, events []StepEvent, h History) {
				root = t.TempDir()
				trainer, _ := newTrainerOn(t, d, root, c)
				trainer.Observer = watcher{func(e StepEvent) {
					e.Seconds, e.Update, e.GradNorm = 0, 0, rounded(e.GradNorm)
					events = append(events, e)
				}}
				if _, err := trainer.Run(t.Context(), false); err != nil {
					t.Fatal(err)
				}
				h, err := ReadHistory(trainer.Dir)
				if err != nil {
					t.Fatal(err)
				}
				for i := range h.Steps {
					h.Steps[i].Speed, h.Steps[i].Norm = 0, rounded(h.Steps[i].Norm)
				}
				return root, events, h
			}
			at, want, log := train(cpu.New())
			d := late.New()
			root, got, lateLog := train(d)
			if lastModel(t, root) != lastModel(t, at) {
				t.Errorf("%d batches, log_steps %d: another model", accumulate, each)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(lateLog) != fmt.Sprint(log) {
				t.Errorf("%d batches, log_steps %d: other steps:\n%v\n%v\nlog:\n%v\n%v", accumulate, each, got, want, lateLog, log)
			}
			reads := int64(0)
			for step, unread := 1, 0; step <= len(want); step++ {
				unread++
				if step%each == 0 || step%45 == 0 || step%31 == 0 || step == len(want) || unread == mostUnread {
					reads, unread = reads+1, 0
				}
			}
			if d.Noted.Load() != reads {
				t.Errorf("%d batches, log_steps %d: numbers were read %d times in %d steps, want %d", accumulate, each, d.Noted.Load(), len(want), reads)
			}
		}
	}
}

// A loss or a gradient that is not finite ends a run also where it shows later: with the step and the batch, and no step was made since.
func TestLateNonFiniteSteps(t *testing.T) {
	for what, spoil := range map[string]func(l *line){
		"the loss is NaN":                 func(l *line) { l.nan = 8 },
		"the gradient's norm is NaN in w": func(l *line) { l.spoiled = 8 },
	} {
		c := testConfig()
		c.LogSteps, c.EvalSteps, c.SnapshotSteps = 100, 100, 100
		var errs [2]error
		var values [2][]float32
		for i, d := range []engine.Device{cpu.New(), late.New()} {
			trainer, l := newTrainerOn(t, d, t.TempDir(), c)
			spoil(l)
			var o Outcome
			o, errs[i] = trainer.Run(t.Context(), false)
			var bad *NonFiniteError
			if !errors.As(errs[i], &bad) || bad.Step != 8 || bad.Epoch != 2 || bad.Batch != 3 || bad.What != what || o.Steps != 7 {
				t.Fatalf("%s: got %v after %d steps", what, errs[i], o.Steps)
			}
			if h, err := ReadHistory(trainer.Dir); err != nil || len(h.Steps) != 0 {
				t.Errorf("%s: the log has %d steps, %v", what, len(h.Steps), err)
			}
			if _, err := os.Stat(filepath.Join(trainer.Dir.root, "last")); err == nil {
				t.Errorf("%s: the model was saved", what)
			}
			values[i] = slices.Clone(engine.Values(d, l.w.Value))
		}
		if errs[0].Error() != errs[1].Error() {
			t.Errorf("late it says %v, want %v", errs[1], errs[0])
		}
		if !slices.Equal(values[0], values[1]) {
			t.Errorf("%s: a step was made late: %v, want %v", what, values[1], values[0])
		}
	}
}

// On an accelerator no step downloads anything: what came out of ten is one download.
func TestDownloadsOfAnAccelerator(t *testing.T) {
	for _, moments := range []string{optim.MomentsFloat32, optim.MomentsFactored} {
		t.Run(moments, func(t *testing.T) { countDownloads(t, moments) })
	}
}

func countDownloads(t *testing.T, moments string) {
	d := accelerator.Open(t)
	c := testConfig()
	c.Moments, c.LogSteps, c.EvalSteps, c.SnapshotSteps = moments, 10, 100, 100
	trainer, l := newTrainerOn(t, d, t.TempDir(), c)
	var downloads, ran []int
	trainer.Task = watched{l, func() { downloads, ran = append(downloads, d.Stats().Downloads), append(ran, d.Stats().Ran) }}
	if _, err := trainer.Run(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	for i, n := range downloads {
		if want := i / 2 / 10; n != want { // each step has two passes
			t.Errorf("before pass %d there were %d downloads, want %d", i+1, n, want)
		}
	}
	if last := ran[len(ran)-2]; last != 1+3*19 { // one makes the moments; a step is two passes and the optimiser's
		t.Errorf("%d programs ran in 19 steps", last)
	}
}
