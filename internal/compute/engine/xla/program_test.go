package xla

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/programs"
)

// notes is a plugin that notes what it is asked for. Programs that it serializes are its name with their text.
type notes struct {
	name  string
	asked []string
	texts []string
}

func (n *notes) Compile(text []byte, o pjrt.CompileOptions) (pjrt.Executable, error) {
	n.asked = append(n.asked, "compile")
	if string(text) == "broken" {
		return 0, errors.New("line 1")
	}
	n.texts = append(n.texts, string(text))
	return pjrt.Executable(len(n.texts)), nil
}

func (n *notes) Serialize(e pjrt.Executable) ([]byte, error) {
	if n.texts[e-1] == "not to be kept" {
		return nil, errors.New("unimplemented")
	}
	return []byte(n.name + n.texts[e-1]), nil
}

func (n *notes) Deserialize(data []byte, o pjrt.CompileOptions) (pjrt.Executable, error) {
	n.asked = append(n.asked, "load")
	text, ok := bytes.CutPrefix(data, []byte(n.name))
	if !ok {
		return 0, errors.New("another's")
	}
	n.texts = append(n.texts, string(text))
	return pjrt.Executable(len(n.texts)), nil
}

func TestProgramsAreKept(t *testing.T) {
	cache := programs.Open(t.TempDir(), 1<<20, slog.New(slog.DiscardHandler))
	for _, c := range []struct{ plugin, device, flag, text, asks string }{
		{"a", "A", "", "x", "[compile]"},
		{"a", "A", "", "x", "[load]"},
		{"a", "A", "", "y", "[compile]"},
		{"a", "B", "", "x", "[compile]"},
		{"a", "A", "true", "x", "[compile]"},
		{"a", "A", "true", "x", "[load]"},
		{"b", "A", "", "x", "[load compile]"}, // it cannot read it, though it should
		{"b", "A", "", "x", "[load]"},
		{"a", "A", "", "not to be kept", "[compile]"},
		{"a", "A", "", "not to be kept", "[compile]"},
		{"a", "A", "", "broken", "[compile]"},
		{"a", "A", "", "broken", "[compile]"},
	} {
		p := &notes{name: c.plugin}
		o := Options{Cache: cache, CacheFor: func() string { return c.device }}
		if c.flag != "" {
			o.Flags = map[string]string{"xla_flag": c.flag}
		}
		got, err := o.compile(p, []byte(c.text), pjrt.CompileOptions{Replicas: 1})
		if asked := fmt.Sprint(p.asked); asked != c.asks || (err != nil) != (c.text == "broken") || got.loaded != (c.asks == "[load]") {
			t.Errorf("%+v: asked for %s, made %+v, %v", c, asked, got, err)
		}
		if err == nil && (p.texts[got.executable-1] != c.text || (got.size == 0) != (c.text == "not to be kept")) {
			t.Errorf("%+v: got %q, %+v", c, p.texts[got.executable-1], got)
		}
	}
}

// Without a cache nothing is kept.
func TestProgramsWithoutACache(t *testing.T) {
	p := &notes{}
	for range 2 {
		if got, err := new(Options).compile(p, []byte("x"), pjrt.CompileOptions{Replicas: 1}); got.loaded || err != nil {
			t.Error(got, err)
		}
	}
}

// On a plugin: the second device takes its programs from the cache, and computes the same.
func TestCacheOnAPlugin(t *testing.T) {
	cache := programs.Open(t.TempDir(), 1<<30, slog.New(slog.DiscardHandler))
	var first []float32
	for i, want := range []Stats{{Compiled: 1, Ran: 1}, {Loaded: 1, Ran: 1}} {
		var told []Notice
		d := open(t, Options{Cache: cache, CacheFor: func() string { return "" }, Notify: func(n Notice) { told = append(told, n) }})
		x := d.Wrap(2, 3, []float32{1, 2, 3, 4, 5, 6})
		y := d.New(2, 3)
		d.Add(y, x, x)
		got := engine.Values(d, y)
		if i == 0 {
			first = got
		}
		if fmt.Sprint(got) != "[2 4 6 8 10 12]" || fmt.Sprint(first) != fmt.Sprint(got) {
			t.Errorf("got %v", got)
		}
		s := d.Stats()
		if s.Compiled != want.Compiled || s.Loaded != want.Loaded || s.Ran != want.Ran || s.Compiling <= 0 || s.Memory < 48 {
			t.Errorf("device %d: %+v, want %+v", i, s, want)
		}
		if len(told) != 2 || told[0].Done || !told[1].Done || told[1].Program != 1 || told[1].Loaded != (i == 1) || told[1].Needs != s.Memory {
			t.Errorf("device %d told %+v", i, told)
		}
		d.Free(x)
		d.Free(y)
	}
}

// inTurns computes with several programs, each met three times. Nothing is read before the end, so all of them are still to run, or running,
// when they may be unloaded.
func inTurns(d *Device) (all [][]float32) {
	var results []*engine.Tensor
	for round := range 3 {
		num := &numbers{d, rand.New(rand.NewPCG(1, uint64(round)))}
		for _, n := range []int{64, 80, 96, 128} {
			x, y := num.value(n, n), d.New(n, n)
			for range 3 {
				d.MatMul(y, x, x, engine.NN, false)
				x, y = y, d.New(n, n)
			}
			results = append(results, x)
			d.Start()
		}
	}
	for _, x := range results {
		all = append(all, engine.Values(d, x))
	}
	return all
}

// Where few programs may be loaded at once, those that come in turns are loaded again, and give the same bits.
func TestProgramsAreUnloaded(t *testing.T) {
	var want [][]float32
	cache := programs.Open(t.TempDir(), 1<<30, slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		name  string
		bound Bound
		cache *programs.Cache
		want  Stats
	}{
		{"no bound", Bound{}, nil, Stats{Compiled: 4}},
		{"room for all", Bound{Programs: 4}, cache, Stats{Compiled: 4}},
		{"two of four", Bound{Programs: 2}, cache, Stats{Loaded: 12, Unloaded: 10}},
		{"a byte", Bound{Code: 1}, cache, Stats{Loaded: 12, Unloaded: 11}},
		{"two of four, compiled again", Bound{Programs: 2}, nil, Stats{Compiled: 12, Unloaded: 10}},
	} {
		t.Run(c.name, func(t *testing.T) {
			last, again := 0, 0
			d := open(t, Options{Bound: c.bound, Cache: c.cache, CacheFor: func() string { return "" }, Notify: func(n Notice) {
				last = max(last, n.Program)
				if n.Done && n.Again {
					again++
				}
			}})
			got := inTurns(d)
			if want == nil {
				want = got
			}
			if !slices.EqualFunc(got, want, slices.Equal) {
				t.Error("other bits than without a bound")
			}
			s := d.Stats()
			if s.Compiled != c.want.Compiled || s.Loaded != c.want.Loaded || s.Unloaded != c.want.Unloaded || s.Ran != 12 || last != 4 || again != s.Compiled+s.Loaded-4 {
				t.Errorf("%+v, the last program %d, %d again; want %+v", s, last, again, c.want)
			}
		})
	}
}

// A program that does not fit is refused before it runs, with what would fit, whenever it is met. Smaller ones run then.
func TestTooLittleMemory(t *testing.T) {
	has := open(t, Options{}).client.Held(0) + 1<<19 // beside what other tests left
	d := open(t, Options{Memory: has})
	double := func(rows int, read func(y *engine.Tensor)) error {
		return engine.Guard(func() error {
			x, y := d.New(rows, 1000), d.New(rows, 1000)
			defer d.Free(x)
			defer d.Free(y)
			d.Zero(x)
			d.Add(y, x, x)
			read(y)
			return nil
		})
	}
	all := func(y *engine.Tensor) { d.Read(make([]float32, y.Len()), y) }
	for name, read := range map[string]func(y *engine.Tensor){
		"all": all, "some": func(y *engine.Tensor) { all(d.Part(y, 1, 3)) },
		"squares": func(y *engine.Tensor) { engine.SumSquares(d, y) }, "squares of rows": func(y *engine.Tensor) { d.RowSquares(make([]float64, y.Rows), y, nil) },
		"the largest": func(y *engine.Tensor) {
			d.TopK(make([]int32, y.Rows), make([]float32, y.Rows), make([]float64, y.Rows), y, 1, -1)
		},
	} {
		var needs int64
		for range 3 {
			err := double(100, read)
			var little *engine.MemoryError
			if !errors.As(err, &little) || little.Has != has || little.Needs < 400000 || d.Stats().Ran != 0 || d.loaded != (Bound{}) {
				t.Fatalf("%s: %v after %d runs; %+v is loaded", name, err, d.Stats().Ran, d.loaded)
			}
			if needs = max(needs, little.Needs); little.Needs != needs || len(d.trace.calls) > 0 {
				t.Errorf("%s: the next time %d bytes are needed, not %d; %d calls are left", name, little.Needs, needs, len(d.trace.calls))
			}
		}
	}
	for _, p := range d.programs {
		if p.users != 0 {
			t.Errorf("program %d, which is not there, has %d users", p.number, p.users)
		}
	}
	if err := double(8, all); err != nil || d.Stats().Ran != 1 {
		t.Errorf("%v after %d runs", err, d.Stats().Ran)
	}
}
