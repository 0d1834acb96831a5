package tasks_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/test/accelerator"
	"github.com/unimo-go/unimo/internal/test/late"
	"github.com/unimo-go/unimo/internal/train"
)

// readings counts what was read of devices until each step is told of, and stops the run after the last one.
type readings struct {
	run.Silent
	count  func() int
	last   int
	cancel func()
	counts []int
}

func (r *readings) Step(e train.StepEvent) {
	r.counts = append(r.counts, r.count())
	if e.Step == r.last {
		r.cancel()
	}
}

// stepsOn trains on devices, a rank each, and returns the log, and how often numbers were read in each pair of steps behind the first. Every two
// steps they are told of.
func stepsOn[D engine.Device](t *testing.T, devices []D, count func() int, o run.Options) (h train.History, reads []int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	watch := &readings{count: count, last: 6, cancel: cancel}
	o.Out = filepath.Join(t.TempDir(), "run")
	o.Set = append(slices.Clone(o.Set), "epochs=100", "max_steps=8", "log_steps=2", "eval_steps=100", "snapshot_minutes=0")
	err := overContext(ctx, len(devices), o, func(rank int, o *run.Options) {
		o.Device = devices[rank]
		if rank == 0 {
			o.Observer = watch
		}
	})
	if !errors.Is(err, context.Canceled) || len(watch.counts) != watch.last {
		t.Fatalf("%d steps, %v", len(watch.counts), err)
	}
	for i := 2; i < watch.last; i += 2 {
		reads = append(reads, watch.counts[i]-watch.counts[i-1])
	}
	if h, err = train.ReadHistory(train.ReadOnly(o.Out)); err != nil {
		t.Fatal(err)
	}
	return h, reads
}

// stepsLate is stepsOn so many devices that stand in for accelerators.
func stepsLate(t *testing.T, n int, o run.Options) (train.History, []int) {
	t.Helper()
	team := late.Team(n)
	return stepsOn(t, team, func() int { return int(team[0].Counts.Read.Load() + team[0].Noted.Load()) }, o)
}

// In training no kind of task reads anything of a device that computes late but what came out of the steps, once every log_steps. It is so with several
// batches in a step, under attack, where losses compare all batches of a step, with a network that is trained with the model, and on several devices
// of a process, which train as one does. With hard_negatives the vectors of each batch's images and texts are read.
func TestStepsReadNothing(t *testing.T) {
	kinds := append(everyKind(t),
		trained{"snli-ve", claims(t), 2, []string{"batch_size=1", "image_size=32", "adv=villa", "adv_step=2"}},
		trained{"vqa", questions(t), 2, []string{"batch_size=1", "image_size=32", "answer_by=generate", "max_out_len=4"}},
	)
	for _, c := range kinds {
		t.Run(c.task, func(t *testing.T) {
			o := options(t, c.task, c.data, c.settings()...)
			if c.task == "flickr8k" {
				o.Set = append(o.Set, "hard_negatives=false")
			} else if strings.Contains(strings.Join(c.set, " "), "flickr8k=") {
				o.Set = append(o.Set, "flickr8k.hard_negatives=false")
			}
			alone, reads := stepsLate(t, 1, o)
			together, readsThere := stepsLate(t, c.size, o)
			for i := range reads {
				if reads[i] != 1 || readsThere[i] > c.size { // some may have no batch
					t.Errorf("in the pair %d of steps numbers are read %d times, on %d devices %d times", i+2, reads[i], c.size, readsThere[i])
				}
			}
			if len(alone.Steps) != 3 || len(together.Steps) != 3 {
				t.Fatalf("%d and %d lines of steps", len(alone.Steps), len(together.Steps))
			}
			for i, s := range together.Steps {
				if a := alone.Steps[i]; !near(s.Loss, a.Loss, 1e-9) || !near(s.Norm, a.Norm, 1e-6) || !(s.Norm > 0) {
					t.Errorf("step %d: loss %v and norm %v on %d devices, %v and %v on one", s.Step, s.Loss, s.Norm, c.size, a.Loss, a.Norm)
				}
			}
		})
	}
	hard := options(t, "flickr8k", pictures(t), "batch_size=2", "negatives=2", "contrast_epochs=0", "image_size=32", "hard_negatives=true")
	if _, reads := stepsLate(t, 1, hard); reads[0] != 2*2+1 {
		t.Errorf("with hard_negatives numbers are read %d times in two steps", reads[0])
	}
}

// On a plugin it is so, too: what it downloads is counted. Texts are as long as each other, so that there are few programs.
func TestXLAStepsDownloadNothing(t *testing.T) {
	dull := "sentence\tlabel\na film\t0\na film\t1\n"
	texts := writeFiles(t, map[string]string{"train.tsv": dull, "dev.tsv": dull})
	images := pictures(t)
	captions := "image,caption\np0.png,a picture\np1.png,a picture\np2.png,a picture\np3.png,a picture\n"
	if err := os.WriteFile(filepath.Join(images, "captions.csv"), []byte(captions), 0o644); err != nil {
		t.Fatal(err)
	}
	over := []string{"contrast_batch_size=2", "gradient_accumulation=2", "contrast_over_step=true", "contrast_epochs=100", "negatives=2", "image_size=32"}
	for name, c := range map[string]struct {
		devices    int
		task, data string
		set        []string
		want       int // downloads in two steps
	}{
		"under attack":                {1, "sst-2", texts, []string{"batch_size=2", "adv=freelb_text", "adv_step=2"}, 1},
		"contrast over a step":        {1, "flickr8k", images, over, 1},
		"contrast over two devices":   {2, "flickr8k", images, over, 2},
		"pairs chosen by the vectors": {1, "flickr8k", images, []string{"batch_size=4", "contrast_epochs=0", "hard_negatives=true", "negatives=2", "image_size=32"}, 2 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			team := accelerator.Team(t, c.devices)
			count := func() int { return team[0].Stats().Downloads }
			_, reads := stepsOn(t, team, count, options(t, c.task, c.data, c.set...))
			if reads[0] != c.want || reads[1] != c.want {
				t.Errorf("%v downloads in two steps each, want %d", reads, c.want)
			}
			s := team[0].Stats()
			t.Logf("%d programs, %.1f s", s.Compiled, s.Compiling.Seconds())
		})
	}
}
