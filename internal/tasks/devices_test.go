package tasks_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/test/accelerator"
	"github.com/unimo-go/unimo/internal/train"
)

// history trains and returns what the log says.
func history(t *testing.T, o run.Options) train.History {
	t.Helper()
	s, err := run.Finetune(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	h, err := train.ReadHistory(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// near says whether two numbers are equal but for rounding.
func near(a, b, tolerance float64) bool {
	return math.Abs(a-b) <= tolerance*max(1, math.Abs(a), math.Abs(b))
}

// Two devices of a process train as one with the same batches, and as one with all of a step's examples in one batch. What losses compare are the
// candidates of both.
func TestSeveralDevices(t *testing.T) {
	device := "device=" + accelerator.Name(t)
	for name, c := range map[string]struct {
		task, data string
		whole      string // the batch size that takes all of a step; "" where that is not compared
		set        []string
	}{
		"texts": {"sst-2", labelledTask(t), "batch_size=4", []string{"epochs=3"}},
		"pairs": {"flickr8k", pictures(t), "", []string{"contrast_batch_size=2", "negatives=2", "epochs=2", "contrast_epochs=2", "image_size=32", "contrast_over_step=true", "flip=false", "min_crop_area=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			with := func(set ...string) run.Options {
				return options(t, c.task, c.data, append(append([]string{device}, c.set...), set...)...)
			}
			one, two := with("batch_size=2", "gradient_accumulation=2"), with("batch_size=2", "gradient_accumulation=2", "devices=2")
			alone, together := history(t, one), history(t, two)
			if len(alone.Steps) < 2 || len(together.Steps) != len(alone.Steps) {
				t.Fatalf("%d and %d steps", len(alone.Steps), len(together.Steps))
			}
			for i, s := range together.Steps {
				if a := alone.Steps[i]; !near(s.Loss, a.Loss, 1e-5) || !near(s.Norm, a.Norm, 1e-4) || !(s.Norm > 0) {
					t.Errorf("step %d: loss %v and norm %v on two devices, %v and %v on one", s.Step, s.Loss, s.Norm, a.Loss, a.Norm)
				}
			}
			compareModels(t, filepath.Join(two.Out, "last"), filepath.Join(one.Out, "last"), 1e-4)
			if c.whole == "" {
				return
			}
			whole := history(t, with(c.whole))
			if s, w := together.Steps[0], whole.Steps[0]; !near(s.Loss, w.Loss, 1e-5) || !near(s.Norm, w.Norm, 1e-4) {
				t.Errorf("the first step: loss %v and norm %v on two devices, %v and %v in one batch", s.Loss, s.Norm, w.Loss, w.Norm)
			}
		})
	}
}

// compareModels compares the weights of two models.
func compareModels(t *testing.T, a, b string, tolerance float64) {
	t.Helper()
	x, err := checkpoint.Open(a)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	y, err := checkpoint.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	for _, info := range x.Tensors() {
		p, _, err := checkpoint.Float32s(x, info.Name)
		if err != nil {
			t.Fatal(err)
		}
		q, _, err := checkpoint.Float32s(y, info.Name)
		if err != nil || len(p) != len(q) {
			t.Fatal(info.Name, err)
		}
		for i := range p {
			if !near(float64(p[i]), float64(q[i]), tolerance) {
				t.Errorf("%s: element %d is %v and %v", info.Name, i, p[i], q[i])
				break
			}
		}
	}
}

// stops cancels a run after a step.
type stops struct {
	run.Silent
	after  int
	cancel func()
}

func (s stops) Step(e train.StepEvent) {
	if e.Step == s.after {
		s.cancel()
	}
}

// A run on two devices that is interrupted ends in the same bits, however moments are kept.
func TestSeveralDevicesResume(t *testing.T) {
	device := "device=" + accelerator.Name(t)
	for _, moments := range []string{"float32", "factored"} {
		t.Run(moments, func(t *testing.T) {
			set := []string{device, "devices=2", "epochs=4", "batch_size=1", "gradient_accumulation=2", "hidden_dropout_prob=0.1", "clip_norm=1", "moments=" + moments}
			data := labelledTask(t)
			whole := options(t, "sst-2", data, set...)
			history(t, whole)
			o := options(t, "sst-2", data, set...)
			ctx, cancel := context.WithCancel(t.Context())
			o.Observer = stops{after: 3, cancel: cancel}
			if _, err := run.Finetune(ctx, o); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			o.Observer, o.Resume = nil, true
			history(t, o)
			for _, dir := range []string{"best", "last"} {
				if !maps.Equal(files(t, filepath.Join(whole.Out, dir)), files(t, filepath.Join(o.Out, dir))) {
					t.Errorf("%s differs", dir)
				}
			}
		})
	}
}

// What several devices cannot do is said before anything is opened.
func TestSeveralDevicesAreChecked(t *testing.T) {
	for want, set := range map[string][]string{
		"--devices 2 --gradient-accumulation 2 --batch-size 4": {"devices=2", "batch_size=8"},
		"shard_optimizer": {"devices=2", "gradient_accumulation=2", "shard_optimizer=true"},
		"no such plugin":  {"devices=2", "gradient_accumulation=2"},
	} {
		o := options(t, "sst-2", labelledTask(t), append(set, "device=pjrt:"+filepath.Join(t.TempDir(), "no such plugin.so"))...)
		if _, err := run.Finetune(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", set, err, want)
		}
		if _, err := os.Stat(o.Out); err == nil {
			t.Error("a run's folder was made")
		}
	}
}
