package cpu

import (
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

func TestFreedMemoryIsReused(t *testing.T) {
	d := New()
	a, b := d.New(10, 20), d.New(10, 20)
	first, second := &data(a)[0], &data(b)[0]
	if first == second {
		t.Fatal("two live tensors share memory")
	}
	d.Free(a)
	c := d.New(5, 10) // another shape, which fits
	if &data(c)[0] != first {
		t.Error("freed memory was not reused")
	}
	if x := data(d.New(10, 20)); &x[0] == first || &x[0] == second {
		t.Error("memory in use was given out again")
	}
	if x := data(New().New(10, 20)); &x[0] == first {
		t.Error("devices share memory")
	}
}

func TestNewAndFreeAllocateNothing(t *testing.T) {
	d := New()
	for range 4 {
		d.New(7, 7) // stays
	}
	allocs := testing.AllocsPerRun(100, func() {
		a, b, c := d.New(30, 40), d.New(1, 1), d.New(3, 50)
		d.Free(b)
		d.Free(a)
		d.Free(d.New(5, 5))
		d.Free(c)
	})
	if allocs != 0 {
		t.Errorf("%v allocations in the steady state", allocs)
	}
}

// Zero leaves memory that was never used alone, and only that.
func TestZero(t *testing.T) {
	d := New()
	zero := func(x *engine.Tensor, when string) {
		t.Helper()
		d.Zero(x)
		for _, v := range data(x) {
			if v != 0 {
				t.Fatalf("%s: %g is left", when, v)
			}
		}
	}
	x := d.New(3, 5)
	zero(x, "new memory")
	d.Write(x, slices.Repeat([]float32{1}, 15))
	zero(x, "after Write")
	d.Zero(x)
	d.Host(x)[7] = 1
	zero(x, "after Host")
	x = d.New(3, 5)
	data(x)[14] = 1
	d.Free(x)
	zero(d.New(5, 3), "memory used before")
}

func TestWrappedMemoryIsNeverGivenOut(t *testing.T) {
	d := New()
	for _, n := range []int{0, 1, 64, 128} { // class sizes among them
		host := make([]float32, n)
		w := d.Wrap(1, n, host)
		if n > 0 && &data(w)[0] != &host[0] {
			t.Error("the wrapped tensor is a copy")
		}
		d.Free(w)
		x := d.New(1, n)
		for i := range data(x) {
			data(x)[i] = 9
		}
		for _, v := range host {
			if v != 0 {
				t.Fatalf("a new tensor lies in wrapped memory of %d values", n)
			}
		}
	}
}

func TestUseAfterFreeFails(t *testing.T) {
	d := New()
	fresh := d.New(2, 2)
	for name, use := range map[string]func(){
		"new": func() {
			x := d.New(2, 2)
			d.Free(x)
			d.Add(x, x, fresh)
		},
		"wrap": func() {
			x := d.Wrap(2, 2, make([]float32, 4))
			d.Free(x)
			d.Read(make([]float32, 4), x)
		},
		"new twice": func() {
			x := d.New(2, 2)
			d.Free(x)
			d.Free(x)
		},
		"wrap twice": func() {
			x := d.Wrap(2, 2, make([]float32, 4))
			d.Free(x)
			d.Free(x)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: a freed tensor could be used", name)
				}
			}()
			use()
		}()
	}
	d.Free(nil)
}

func TestReadAndWrite(t *testing.T) {
	d := New()
	x, host := d.New(3, 2), []float32{1, 2, 3, 4, 5, 6}
	d.Write(x, host)
	host[0] = 9 // a copy was made
	got := make([]float32, 6)
	d.Read(got, x)
	if got[0] != 1 || got[5] != 6 {
		t.Errorf("read %v", got)
	}
	for name, f := range map[string]func(){
		"write": func() { d.Write(x, host[:5]) },
		"read":  func() { d.Read(host[:5], x) },
		"wrap":  func() { d.Wrap(3, 2, host[:5]) },
	} {
		mustPanicWithShape(t, name, f)
	}
}

func TestNameSaysWhatComputes(t *testing.T) {
	setThreads(t, 3)
	defer kernels.Use(kernels.Generic)()
	if name := New().Name(); !strings.Contains(name, "generic") || !strings.Contains(name, "3 threads") {
		t.Errorf("name is %q", name)
	}
}

func TestLimit(t *testing.T) {
	setThreads(t, 5)
	free, limited := New(), NewLimited(3)
	if free.Limit() != 0 || limited.Limit() != 3 {
		t.Errorf("limits of %d and %d", free.Limit(), limited.Limit())
	}
	if !strings.HasSuffix(free.Name(), "5 threads)") || !strings.HasSuffix(limited.Name(), "3 threads)") {
		t.Errorf("%s and %s", free.Name(), limited.Name())
	}
}
