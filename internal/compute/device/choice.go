package device

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/names"
)

// Processor is the name of the device that is always there.
const Processor = "cpu"

// plugged is what the name of a plugin's file begins with.
const plugged = "pjrt:"

// Names are those that a device can be chosen by. "pjrt:" is followed by a plugin's file.
var Names = []string{Processor, "cuda", "rocm", "tpu", "oneapi", "pjrt:PATH"}

// Precisions are those of products. Everything else is float32 on every device.
var Precisions = []string{Auto, Float32, TF32, BFloat16}

// The precisions.
const (
	Auto     = "auto" // the best that the device is made for
	Float32  = "float32"
	TF32     = "tf32"
	BFloat16 = "bf16"
)

// Choice is what a user asks for.
type Choice struct {
	Device    string `json:"device" run:"machine" help:"what computes: cpu, cuda, rocm, tpu, oneapi or pjrt:PATH, a plugin; cuda:1 is the second one"`
	Precision string `json:"precision" run:"machine" help:"of products on an accelerator: float32, tf32 or bf16 (auto: bf16 on chips that have it)"`
	Devices   int    `json:"devices" run:"machine" help:"accelerators of one kind that share the batches of a step"`
}

// Default is the processor alone.
var Default = Choice{Device: Processor, Precision: Auto, Devices: 1}

// target is what the name of a device means.
type target struct {
	kind   string // one of Names without a path; "pjrt"
	path   string // of the plugin, where it was named
	number int    // -1: not named
}

// parse reads the name of a device.
func parse(name string) (target, error) {
	t := target{kind: name, number: -1}
	if path, ok := strings.CutPrefix(name, plugged); ok {
		t.kind, t.path = strings.TrimSuffix(plugged, ":"), path
	} else if name == strings.TrimSuffix(plugged, ":") {
		return t, errors.New("device pjrt needs the file of a plugin: pjrt:PATH")
	}
	at := &t.kind
	if t.path != "" {
		at = &t.path
	}
	if i := strings.LastIndexByte(*at, ':'); i >= 0 {
		n, err := strconv.ParseUint((*at)[i+1:], 10, 15)
		switch {
		case err == nil:
			*at, t.number = (*at)[:i], int(n)
		case t.path == "" && !slices.Contains(Names, name[:i]):
			return t, names.Unknown("device", name, Names)
		case t.path == "":
			return t, fmt.Errorf("device %q: what follows the colon is the number of a device, 0 or more, such as %s:0", name, (*at)[:i])
		}
	}
	switch {
	case strings.HasPrefix(name, plugged):
		if t.path == "" {
			return t, errors.New("device pjrt: needs the file of a plugin: pjrt:PATH")
		}
	case !slices.Contains(Names, t.kind):
		return t, names.Unknown("device", name, Names)
	case t.kind == Processor && t.number >= 0:
		return t, fmt.Errorf("device %q: the processor has no number; --threads bounds how much of it is used", name)
	}
	return t, nil
}

// Plugged is the name of the first device of a plugin's file.
func Plugged(path string) string {
	name := plugged + path
	if t, err := parse(name); err == nil && t.path != path { // the file's own name ends as if with a number
		name += ":0"
	}
	return name
}

// PluginOf is the file of a plugin that the name of a device has; "" where it has none.
func PluginOf(name string) string {
	t, _ := parse(name)
	return t.path
}

// Accelerated says whether it is not the processor.
func (c Choice) Accelerated() bool { return c.Device != Processor }

// Check returns an error if there is no such choice. Nothing is opened.
func (c Choice) Check() error {
	t, err := parse(c.Device)
	if err != nil {
		return err
	}
	if !slices.Contains(Precisions, c.Precision) {
		return names.Unknown("precision", c.Precision, Precisions)
	}
	switch {
	case t.kind == Processor && c.Precision == TF32:
		return errors.New("precision is tf32, which the processor (device cpu) does not have; leave it out, or choose another device")
	case c.Devices < 1:
		return fmt.Errorf("devices is %d, want 1 or more", c.Devices)
	case c.Devices > 1 && t.kind == Processor:
		return fmt.Errorf("devices is %d, and the processor is one device; its cores work together already (--threads)", c.Devices)
	}
	return nil
}

// Absolute returns the choice with the path of a plugin from the root, so that it is the same from any folder.
func (c Choice) Absolute() (Choice, error) {
	path, ok := strings.CutPrefix(c.Device, plugged)
	if !ok || path == "" {
		return c, nil
	}
	path, err := filepath.Abs(path) // a number behind it stays where it is
	if err != nil {
		return c, fmt.Errorf("find the plugin: %w", err)
	}
	c.Device = plugged + path
	return c, nil
}
