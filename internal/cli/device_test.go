package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// What is wrong with the choice of a device is said before anything is opened or written.
func TestDeviceFlags(t *testing.T) {
	model := filepath.Join("..", "..", "testdata", "films.model")
	out := filepath.Join(t.TempDir(), "run")
	train := []string{"finetune", "sst-2", "--data", t.TempDir(), "--out", out}
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{[]string{"inspect", model, "--device", "cuda"}, []string{"inspect has no use for --device", "finetune"}},
		{[]string{"tokenizer", "train", "--device=cpu"}, []string{"tokenizer train has no use for --device"}},
		{[]string{"pull", "hf:a/b", "--precision", "bf16"}, []string{"pull has no use for --precision"}},
		{[]string{"predict", "--model", model, "--devices", "2", "x"}, []string{"predict has no use for --devices", "train"}},
		{[]string{"predict", "--model", model, "--device", "cdua", "x"}, []string{`unknown device "cdua"; did you mean cuda?`}},
		{[]string{"predict", "--model", model, "--device", "pjrt", "x"}, []string{"pjrt:PATH"}},
		{[]string{"predict", "--model", model, "--precision", "tf32", "x"}, []string{"tf32, which the processor (device cpu) does not have"}},
		{[]string{"features", "extract", "a", "b", "--device", "cuda"}, []string{"--device is for trained networks", "patches are computed by the processor"}},
		{[]string{"features", "extract", "a", "b", "--extractor", "net.pth", "--device", "cdua"}, []string{`unknown device "cdua"; did you mean cuda?`}},
		{[]string{"features", "extract", "a", "b", "--extractor", "net.pth", "--precision", "bf16"}, []string{"on the processor networks compute with float32"}},
		{append(train, "--device", "gpu"), []string{`unknown device "gpu"; did you mean cuda?`}},
		{append(train, "--precision", "half"), []string{`unknown precision "half"; did you mean bf16?`}},
		{append(train, "--set", "precision=tf32"), []string{"tf32, which the processor (device cpu) does not have"}},
		{append(train, "--precision", "bf16"), []string{"training on the processor (device cpu) computes with float32 alone"}},
		{append(train, "--device", "cuda", "--devices", "4", "--batch_size", "16"), []string{"a step has too few batches for them, 1", "--devices 4 --gradient-accumulation 4 --batch-size 4"}},
		{append(train, "--device", "cuda", "--devices", "2", "--gradient_accumulation", "2", "--set", "exchange_bfloat16=true"), []string{"exchange_bfloat16 are for ranks that are processes"}},
		{append(train, "--device", "cuda", "--set", "exchange_bfloat16=true"), []string{"exchange_bfloat16 is for ranks that are processes", "leave it out, or the device"}},
		{append(train, "--devices", "2"), []string{"the processor is one device"}},
		{append(train, "--device", "cuda", "--devices", "0"), []string{"devices is 0, want 1 or more"}},
		{append(train, "--device", "cuda", "--set", "device=rocm"), []string{"device is given twice"}},
	} {
		refused(t, exitUsage, c.args, c.words...)
	}
	if !absent(out) {
		t.Error("a run's folder was made")
	}
}

// A model of bfloat16 on a processor that rounds answers as in float32, nearly. Where the processor has no such products that is said.
func TestPrecisionOfTheProcessor(t *testing.T) {
	half := filepath.Join(t.TempDir(), "half")
	must(t, "convert", "--dtype", "bfloat16", filepath.Join("..", "..", "testdata", "films.model"), half)
	answer := func(precision string) (label string, probability float64, stderr string) {
		t.Helper()
		r := must(t, "predict", "--json", "--model", half, "--precision", precision, "a wonderful film")
		var a struct {
			Label         string
			Probabilities map[string]float64
		}
		if err := json.Unmarshal([]byte(r.stdout), &a); err != nil || a.Label == "" {
			t.Fatalf("%v: %s", err, r.stdout)
		}
		return a.Label, a.Probabilities[a.Label], r.stderr
	}
	label, want, _ := answer("float32")
	rounded, got, said := answer("bf16")
	if rounded != label || math.Abs(got-want) > 0.02 {
		t.Errorf("%s with %g, in float32 %s with %g", rounded, got, label, want)
	}
	if exact := strings.Contains(said, "no products of bfloat16"); exact != (got == want) {
		t.Errorf("%g, in float32 %g, and what is said is %q", got, want, said)
	}
}

// A plugin that is none, or is not there, ends the command with what is wrong.
func TestDeviceThatCannotBeOpened(t *testing.T) {
	model := filepath.Join("..", "..", "testdata", "films.model")
	t.Setenv("UNIMO_XLA", filepath.Join(t.TempDir(), "none"))
	t.Setenv("UNIMO_PJRT_PATH", "")
	t.Setenv("PATH", "")
	refused(t, exitFailed, []string{"predict", "--model", model, "--device", "pjrt:" + filepath.Join(model, "none.so"), "x"}, "none.so", "does not exist")
	refused(t, exitFailed, []string{"predict", "--model", model, "--device", "pjrt:" + filepath.Join(model, "config.json"), "x"}, "unimo-xla", "was not found")
	refused(t, exitFailed, []string{"predict", "--model", model, "--device", "oneapi", "x"}, "no plugin was found", "jax-oneapi-pjrt", "UNIMO_PJRT_PATH")
}

// A command that has nothing to go on with says what else to do where its accelerator was lost, or has too little memory.
func TestFailedDevice(t *testing.T) {
	crash := &pjrt.CrashError{Status: "signal: killed", Asked: "compile program 2"}
	lost := (&app{device: new(device.Device)}).failedDevice(fmt.Errorf("film 3: %w", crash))
	if !errors.Is(lost, crash) || !strings.HasPrefix(lost.Error(), "film 3: unimo-xla ended: signal: killed, after it was asked to compile program 2; begin again: ") || strings.Contains(lost.Error(), "resume") {
		t.Error(lost)
	}
	little := &engine.MemoryError{Needs: 9e6, Has: 5e6}
	if err := (&app{device: new(device.Device)}).failedDevice(little); !errors.Is(err, error(little)) || !strings.Contains(err.Error(), "needs 9000 kB of 5000 kB; end what else runs on it, or leave --device out") {
		t.Error(err)
	}
	if other := new(app).failedDevice(crash); other != error(crash) { // a run, which explains it
		t.Error(other)
	}
}

// Every command computes on a device, or says that it has no use for one.
func TestDeviceOfEveryCommand(t *testing.T) {
	takes := map[string]bool{"finetune": true, "pretrain": true, "resume": true, "evaluate": true}
	for _, name := range []string{"predict", "generate", "chat", "ask", "caption", "embed", "match", "index", "search", "serve"} {
		takes[name] = true
	}
	refusals := 0
	eachCommand(func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		if len(path) == 0 || c.FParseErrWhitelist.UnknownFlags { // it waits for a task
			return
		}
		for _, name := range deviceNames {
			trains := path[0] == "finetune" || path[0] == "pretrain" || path[0] == "resume"
			want := (takes[path[0]] || slices.Equal(path, []string{"features", "extract"})) && (trains || name != devicesName)
			if has := c.Flags().Lookup(name) != nil; has != want {
				t.Errorf("%s has the flag --%s: %v, want %v", c.CommandPath(), name, has, want)
			}
			if !want {
				refusals++
				refused(t, exitUsage, append(path[:len(path):len(path)], "--"+name, "2"), strings.Join(path, " ")+" has no use for --"+name+"; leave it out")
			}
		}
	})
	if refusals < 50 {
		t.Errorf("%d flags were refused", refusals)
	}
}
