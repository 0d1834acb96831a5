package xla

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

func TestMemory(t *testing.T) {
	d := open(t, Options{})
	host := make([]float32, 9*3)
	for i := range host {
		host[i] = float32(i)
	}
	x := d.Wrap(9, 3, host)
	if got := engine.Values(d, x); !slices.Equal(got, host) {
		t.Errorf("read %v, want %v", got, host)
	}
	if got := engine.Values(d, d.Part(x, 2, 4)); !slices.Equal(got, host[6:12]) {
		t.Errorf("a part is %v", got)
	}
	y := d.New(9, 3)
	d.Zero(y)
	if got := engine.Values(d, y); !slices.Equal(got, make([]float32, 27)) {
		t.Errorf("zeros are %v", got)
	}
	d.Zero(d.Part(x, 4, 9))
	clear(host[12:])
	if got := engine.Values(d, x); !slices.Equal(got, host) {
		t.Errorf("with zeros %v, want %v", got, host)
	}
	d.Write(d.Part(x, 0, 1), []float32{7, 8, 9})
	copy(host, []float32{7, 8, 9})
	if got := engine.Values(d, x); !slices.Equal(got, host) {
		t.Errorf("after writing a part %v, want %v", got, host)
	}
	fork := d.Fork()
	if got := engine.Values(fork, x); !slices.Equal(got, host) {
		t.Errorf("a fork reads %v, want %v", got, host)
	}
	fork.Free(x)
	d.Free(y)
	d.Free(nil)
	empty := d.Wrap(0, 3, nil)
	if got := engine.Values(d, empty); len(got) != 0 {
		t.Errorf("nothing is %v", got)
	}
}

func TestProgramsAreCompiledOnce(t *testing.T) {
	d := open(t, Options{})
	for n := 513; n <= 640; n++ {
		x := d.Wrap(n, 1, make([]float32, n))
		d.Zero(x)
		engine.Values(d, x)
		d.Free(x)
	}
	if s := d.Stats(); s.Compiled != 1 || s.Ran != 128 {
		t.Errorf("%d programs compiled and %d ran, want 1 and 128", s.Compiled, s.Ran)
	}
}

// What is expected comes with what is read first, in one program, and is no longer good once it changes.
func TestExpect(t *testing.T) {
	d := open(t, Options{})
	x := d.Wrap(9, 2, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18})
	twice, four := d.New(9, 2), d.New(9, 2)
	d.Add(twice, x, x)
	engine.Expect(d, twice)
	d.Add(four, twice, twice)
	if got := engine.Values(d, four)[17]; got != 72 {
		t.Errorf("the last element is %g, want 72", got)
	}
	if of(twice).host == nil {
		t.Error("the host does not have what it expected")
	}
	if got := engine.Values(d, twice)[17]; got != 36 {
		t.Errorf("the last element of what was expected is %g, want 36", got)
	}
	d.Add(twice, twice, x)
	if got := engine.Values(d, twice)[17]; got != 54 {
		t.Errorf("after a change it is %g, want 54", got)
	}
	d.Write(twice, make([]float32, 18))
	if got := engine.Values(d, twice)[17]; got != 0 {
		t.Errorf("after writing it is %g, want 0", got)
	}
	if got := engine.Values(d, four)[0]; got != 4 {
		t.Errorf("what was read before is %g, want 4", got)
	}
	if s := d.Stats(); s.Ran != 2 {
		t.Errorf("%d programs ran, want 2", s.Ran)
	}
}

// A tensor's version is another one as soon as it was written to, in whatever way, and stays while it is read.
func TestVersion(t *testing.T) {
	d := open(t, Options{})
	x := d.Wrap(2, 1, []float32{1, 2})
	seen := map[uint64]string{}
	for _, c := range []struct {
		what  string
		write func()
	}{
		{"wrapped", func() {}},
		{"scaled", func() { d.Scale(x, x, 2) }},
		{"scaled by a fork", func() { d.Fork().Scale(x, x, 2) }},
		{"written", func() { d.Write(x, []float32{1, 2}) }},
		{"partly written", func() { d.Write(d.Part(x, 1, 2), []float32{3}) }},
	} {
		c.write()
		version, ok := engine.Version(d, x)
		if before := seen[version]; !ok || before != "" {
			t.Errorf("%s: version %d (%v), as %s", c.what, version, ok, before)
		}
		seen[version] = c.what
		engine.Values(d, x)
		for _, y := range []*engine.Tensor{x, d.Part(x, 0, 1)} {
			if now, _ := engine.Version(d, y); now != version {
				t.Errorf("%s: version %d, and after reading %d", c.what, version, now)
			}
		}
	}
}

// A prepared weight has what products read, whatever becomes of the tensor that it was made of.
func TestPreparedWeight(t *testing.T) {
	d := open(t, Options{})
	w := d.Prepare(d.Wrap(2, 1, []float32{3, 4}), engine.NN)
	w.Tensor = &engine.Tensor{Rows: 2, Cols: 1}
	y := d.New(1, 1)
	d.Linear(y, d.Wrap(1, 2, []float32{5, 6}), w, nil)
	if got := engine.Values(d, y)[0]; got != 39 {
		t.Errorf("the product is %g, want 39", got)
	}
}
