package run

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/model"
)

// Where a plugin has crashed, --resume goes on with what was saved, if something was.
func TestALostDeviceIsExplained(t *testing.T) {
	crash := &pjrt.CrashError{Status: "signal: aborted", Asked: "run program 5", Stderr: "Check failed: it is so"}
	for saved, want := range map[string]string{"": "nothing had been saved yet", "step-00000010.safetensors": "what was saved is whole"} {
		out := t.TempDir()
		if saved != "" {
			if err := os.Mkdir(filepath.Join(out, "snapshots"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(out, "snapshots", saved), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r := new(run)
		r.Out = out
		err := r.explain(crash)
		if !errors.Is(err, crash) || !strings.Contains(err.Error(), "signal: aborted, after it was asked to run program 5: Check failed: it is so; "+want) {
			t.Errorf("%q saved: %v", saved, err)
		}
	}
}

// someSettings are settings of no task.
type someSettings struct{ CommonSettings }

func (s *someSettings) Validate(func(string) bool) error { return nil }
func (s *someSettings) Adopt(model.Config)               {}

// Too little memory is said with the batch size that fits, or that none does.
func TestTooLittleMemoryIsExplained(t *testing.T) {
	const needs = "the device has too little memory: this needs 9 kB of "
	step := engine.MemoryError{Needs: 9000, Has: 5000, Fixed: 1000, Alone: optim.StepName}
	seen := engine.MemoryError{Needs: 9000, Has: 5000, Fixed: 1000, Alone: "a picture seen by ViT"}
	for _, test := range []struct {
		err       engine.MemoryError
		recompute bool
		begun     bool
		beside    int // parameters of the network that is trained with the model
		want      string
	}{
		{engine.MemoryError{Needs: 9000, Has: 5000, Fixed: 1000}, false, true, 0, needs + "5 kB: a batch_size of about 12 fits (it is 32); recompute needs less, too"},
		{engine.MemoryError{Needs: 9000, Has: 5000, Fixed: 1000}, true, true, 7, needs + "5 kB: a batch_size of about 12 fits (it is 32)"},
		{engine.MemoryError{Needs: 9000, Has: 1000, Fixed: 1000}, true, true, 0, needs + "1 kB: a batch_size of 1 does not fit either; choose a smaller preset, or a device with more memory"},
		{engine.MemoryError{Needs: 9000, Has: 1000, Fixed: 1000}, false, true, 7,
			needs + "1 kB: a batch_size of 1 does not fit either; choose a smaller preset or network (extractor), or a device with more memory; recompute needs less, too"},
		{engine.MemoryError{Err: errors.New("RESOURCE_EXHAUSTED")}, true, true, 0, "the device has too little memory: RESOURCE_EXHAUSTED: lower batch_size (it is 32)"},
		// Before training and beside it: neither the weights nor a picture need less with a smaller batch.
		{engine.MemoryError{Err: errors.New("RESOURCE_EXHAUSTED")}, false, false, 0, "the device has too little memory: RESOURCE_EXHAUSTED: choose a smaller preset, or a device with more memory"},
		{seen, false, false, 0, "the device has too little memory: a picture seen by ViT needs 9 kB of 5 kB: batch_size does not matter to that; choose a smaller network (extractor), or a device with more memory; " +
			"features of one that is not trained can be computed on the processor (unimo features extract)"},
		{seen, true, true, 7, "a picture seen by ViT needs 9 kB of 5 kB: batch_size does not matter to that; choose a smaller network (extractor), or a device with more memory; " +
			"features of one that is not trained can be computed on the processor (unimo features extract)"},
		// Nor does a step of the optimiser.
		{step, false, true, 0, "a step of the optimiser needs 9 kB of 5 kB: batch_size does not matter to that; with moments bfloat16 or factored it needs less; " +
			"else choose a smaller preset, or a device with more memory"},
		{step, true, true, 7, "batch_size does not matter to that; choose a smaller preset or network (extractor), or a device with more memory"},
	} {
		s := new(someSettings)
		s.BatchSize, s.Recompute = 32, test.recompute
		if s.Moments = optim.MomentsFloat32; test.recompute {
			s.Moments = optim.MomentsFactored
		}
		r := &run{settings: s, begun: test.begun, beside: test.beside}
		if err := r.explain(&test.err); !errors.Is(err, error(&test.err)) || !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.err, err, test.want)
		}
	}
}

// What is suggested can be done: settings that change nothing on the way, others in a new run.
func TestRemediesOfARunThatIsSaved(t *testing.T) {
	needs := func(setting string, size int64) engine.MemoryError {
		return engine.MemoryError{Needs: 9000, Has: 5000, Fixed: 1000, Setting: setting, Size: size}
	}
	const anew = "in a new run, which --init starts from the weights of this one, "
	for _, test := range []struct {
		err     engine.MemoryError
		scoring bool
		saved   bool
		want    string
	}{
		{needs("", 0), false, true, anew + "a batch_size of about 12 fits (it is 32); recompute needs less, too, and may be set with --resume"},
		{needs("eval_batch_size", 20), true, true, "go on with --resume: an eval_batch_size of about 8 fits"},
		{needs("eval_batch_size", 20), true, false, "an eval_batch_size of about 8 fits"},
		{needs("batch_size", 20), true, true, anew + "a batch_size of about 8 fits (it is 32)"},
		{engine.MemoryError{Needs: 9000, Has: 5000, Fixed: 1000}, true, true, "choose a smaller preset, or a device with more memory"},
		{engine.MemoryError{Needs: 9000, Has: 1000, Fixed: 1000, Setting: "eval_batch_size", Size: 20}, true, true, "an eval_batch_size of 1 does not fit either; choose a smaller preset, or a device with more memory"},
		{engine.MemoryError{Err: errors.New("RESOURCE_EXHAUSTED"), Setting: "eval_batch_size", Size: 20}, true, true, "RESOURCE_EXHAUSTED: go on with --resume: lower eval_batch_size"},
	} {
		s := new(someSettings)
		s.BatchSize = 32
		r := &run{settings: s, begun: true, scoring: test.scoring}
		r.Out = t.TempDir()
		if test.saved {
			if err := os.MkdirAll(filepath.Join(r.Out, "snapshots"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(r.Out, "snapshots", "step-00000010.safetensors"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.explain(&test.err); !strings.HasSuffix(err.Error(), ": "+test.want) {
			t.Errorf("%+v: %v, want %q", test.err, err, test.want)
		}
	}
}
