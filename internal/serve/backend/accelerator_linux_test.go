package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// plugged is the choice of the plugin that tests run on.
func plugged(t *testing.T) device.Choice {
	t.Helper()
	c := device.Default
	c.Device = accelerator.Name(t)
	return c
}

// near says whether two answers are the same but for rounding.
func near(t *testing.T, got, want any) bool {
	t.Helper()
	var sides [2]any
	for i, x := range []any{got, want} {
		raw, err := json.Marshal(x)
		if err == nil {
			err = json.Unmarshal(raw, &sides[i])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var same func(a, b any) bool
	same = func(a, b any) bool {
		switch b := b.(type) {
		case float64:
			a, ok := a.(float64)
			return ok && math.Abs(a-b) <= 1e-5*max(1, math.Abs(b))
		case []any:
			a, ok := a.([]any)
			if !ok || len(a) != len(b) {
				return false
			}
			for i := range b {
				if !same(a[i], b[i]) {
					return false
				}
			}
			return true
		case map[string]any:
			a, ok := a.(map[string]any)
			if !ok || len(a) != len(b) {
				return false
			}
			for key := range b {
				if !same(a[key], b[key]) {
					return false
				}
			}
			return true
		}
		return a == b
	}
	return same(sides[0], sides[1])
}

// Models on an accelerator answer as on the processor. What they hold of its memory does not grow with what they are asked, and goes when they are
// loaded again.
func TestAcceleratorAnswers(t *testing.T) {
	r := serve(t, Options{Device: plugged(t), Index: index(t), WarmUp: WarmUpNone}, "films", "claims", "shapes", "headlines", "captions", "questions")
	list := all(t, r) // of each kind there are several
	ask := func(i int) {
		q := list[i]
		if got, err := q.ask(context.Background()); err != nil || !near(t, got, q.want) {
			t.Errorf("question %d: %+v, %v, want %+v", i, got, err, q.want)
		}
	}
	for i := 0; i < len(list); i += 3 {
		ask(i)
	}
	first, ok := r.DeviceUse()
	if !ok || first.Compiled == 0 || first.Lost || first.Precision != device.Float32 || first.Buffers == 0 || first.Bytes == 0 {
		t.Fatalf("the device is used for %+v", first)
	}
	for range 3 {
		for i := 0; i < len(list); i += 3 {
			ask(i)
		}
	}
	if now, _ := r.DeviceUse(); now.Buffers != first.Buffers || now.Bytes != first.Bytes || now.Compiled != first.Compiled {
		t.Errorf("asked again, there are %d buffers of %d bytes and %d programs; before %d, %d and %d", now.Buffers, now.Bytes, now.Compiled, first.Buffers, first.Bytes, first.Compiled)
	}
	if err := r.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	ask(0)
	if now, _ := r.DeviceUse(); now.Buffers > first.Buffers || now.Compiled != first.Compiled {
		t.Errorf("loaded again, there are %d buffers and %d programs; before %d and %d", now.Buffers, now.Compiled, first.Buffers, first.Compiled)
	}
}

// A batch that has no room fails alone: those that have some are answered after it.
func TestAcceleratorTooLittleMemory(t *testing.T) {
	o := Options{Device: plugged(t), WarmUp: WarmUpNone}
	ask := func(r *Registry, texts int) error {
		_, _, err := get(t, r, "films").Classify(context.Background(), slices.Repeat([]Input{{Text: strings.Repeat("film ", 60)}}, texts))
		return err
	}
	r := serve(t, o, "films")
	if err := ask(r, 1); err != nil {
		t.Fatal(err)
	}
	use, _ := r.DeviceUse()
	t.Setenv(device.MemoryVariable, fmt.Sprint(use.Memory))
	r = serve(t, o, "films")
	for range 2 {
		var little *engine.MemoryError
		if err := ask(r, 16); !errors.As(err, &little) || little.Has != use.Memory {
			t.Errorf("16 texts: %v", err)
		}
		if err := ask(r, 1); err != nil {
			t.Errorf("one text after them: %v", err)
		}
	}
}

// A helper program that ends makes the models unavailable, until they are loaded again.
func TestAcceleratorLost(t *testing.T) {
	noLeak(t)
	r := serve(t, Options{Device: plugged(t), WarmUp: WarmUpNone}, "films")
	ask := func() error {
		_, _, err := get(t, r, "films").Classify(context.Background(), []Input{{Text: "a gripping and funny film"}})
		return err
	}
	if err := ask(); err != nil || r.Ready() != nil || r.Lost() != nil {
		t.Fatal(err, r.Ready(), r.Lost())
	}
	helpers := accelerator.Children(t, os.Getpid())
	if len(helpers) != 1 {
		t.Fatalf("the helpers are %v, want one", helpers)
	}
	if err := syscall.Kill(helpers[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); r.Ready() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server is ready without its device")
		}
	}
	if AsError(r.Ready()).Kind != Unavailable || r.Lost() == nil {
		t.Errorf("%v, %v", r.Ready(), r.Lost())
	}
	if _, err := r.Model("films"); AsError(err).Kind != Unavailable {
		t.Errorf("a request: %v", err)
	}
	if u, _ := r.DeviceUse(); !u.Lost {
		t.Error("the device is in use")
	}
	if err := r.Load(context.Background()); err != nil || r.Ready() != nil || r.Lost() != nil {
		t.Fatal(err, r.Ready(), r.Lost())
	}
	if err := ask(); err != nil {
		t.Error(err)
	}
	if got := accelerator.Children(t, os.Getpid()); len(got) != 1 || got[0] == helpers[0] {
		t.Errorf("the helpers are %v, want another one", got)
	}
}

// An accelerator that cannot be opened is an error of loading.
func TestAcceleratorThatIsNotThere(t *testing.T) {
	c := device.Default
	c.Device = "pjrt:" + t.TempDir() + "/none.so"
	r, err := New(Options{Device: c, Models: []Source{{"films", tiny + "/films.model"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Load(context.Background()); err == nil || r.Ready() == nil || r.Lost() != nil {
		t.Error(err, r.Ready(), r.Lost())
	}
	if _, ok := r.DeviceUse(); ok {
		t.Error("there is a device")
	}
	if c.Device = "cdua"; c.Check() == nil {
		t.Fatal("there is such a device")
	}
	if _, err := New(Options{Device: c, Models: []Source{{"films", "films"}}}); err == nil {
		t.Error("a device that is none is taken")
	}
}
