package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/test/accelerator"
	"github.com/unimo-go/unimo/internal/test/doubles"
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

// However a text is found, an accelerator with its rooms of fixed sizes writes the processor's.
func TestAcceleratorWrites(t *testing.T) {
	models := []Source{{"headlines", filepath.Join(tiny, "headlines.model")}, answering(t)}
	chip := serve(t, Options{Device: plugged(t), WarmUp: WarmUpNone, Models: models})
	processor := serve(t, Options{Models: models})
	same := func(what string, ask func(r *Registry) (any, error)) {
		t.Helper()
		want, err := ask(processor)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ask(chip); err != nil || !near(t, got, want) {
			t.Errorf("%s: %+v, %v, want %+v", what, got, err, want)
		}
	}
	yes, longest, share := true, 12, 0.8
	for _, beam := range []int{1, 2, 5, 6, decode.MostBeams} {
		same(fmt.Sprint("beam ", beam), func(r *Registry) (any, error) {
			return get(t, r, "headlines").Generate(t.Context(), GenerateRequest{Texts: []string{"a film about a bar"}, Decoding: Decoding{Beam: &beam, MaxLength: &longest}}, nil)
		})
	}
	for _, likeliest := range []int{0, 1, 7, 64, 65, 263, 300} {
		same(fmt.Sprint("one of ", likeliest), func(r *Registry) (any, error) {
			d := Decoding{Sample: &yes, TopK: &likeliest, TopP: &share, MaxLength: &longest}
			return get(t, r, "headlines").Generate(t.Context(), GenerateRequest{Texts: []string{"a film about a bar"}, Decoding: d}, nil)
		})
	}
	for _, k := range []int{1, 2, 5} {
		same(fmt.Sprint("answers: ", k), func(r *Registry) (any, error) {
			said, _, err := get(t, r, "answers").Ask(t.Context(), shape(t, "red-bar"), "what is it?", k)
			return said.Best, err
		})
	}
}

// More hypotheses than programs are prepared for are nobody's to ask for.
func TestMostBeams(t *testing.T) {
	r := serve(t, Options{Models: []Source{{"headlines", filepath.Join(tiny, "headlines.model")}, answering(t)}}, "questions")
	beam, yes := decode.MostBeams+1, true
	ask := func(d Decoding) error {
		_, err := get(t, r, "headlines").Generate(t.Context(), GenerateRequest{Texts: []string{"a film"}, Decoding: d}, nil)
		return err
	}
	if e := AsError(ask(Decoding{Beam: &beam})); e == nil || e.Kind != Invalid || e.Param != "beam" || e.Limit != decode.MostBeams {
		t.Errorf("a beam of %d: %v", beam, e)
	}
	if err := ask(Decoding{Beam: &beam, Sample: &yes}); err != nil { // which has no meaning then
		t.Error(err)
	}
	_, _, err := get(t, r, "answers").Ask(t.Context(), shape(t, "red-bar"), "what is it?", beam)
	if e := AsError(err); e == nil || e.Kind != Invalid || e.Param != "k" || e.Limit != decode.MostBeams {
		t.Errorf("%d answers: %v", beam, err)
	}
	if _, _, err := get(t, r, "questions").Ask(t.Context(), shape(t, "red-bar"), "what is it?", beam); err != nil { // it chooses
		t.Error(err)
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
	doubles.NoLeak(t)
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
