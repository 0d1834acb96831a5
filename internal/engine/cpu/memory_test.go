package cpu

import (
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/kernels"
)

func TestCapacityClass(t *testing.T) {
	last := 0
	for n := range 5000 {
		class := capacityClass(n)
		if class < n || class < last || (n > 64 && class > n+n/8) {
			t.Fatalf("the class of %d is %d, that of %d was %d", n, class, n-1, last)
		}
		if capacityClass(class) != class {
			t.Fatalf("class %d has class %d: a block would not be found again", class, capacityClass(class))
		}
		last = class
	}
}

func TestFreedMemoryIsReused(t *testing.T) {
	d := New()
	a, b := d.New(10, 20), d.New(10, 20)
	first, second := &data(a)[0], &data(b)[0]
	if first == second {
		t.Fatal("two live tensors share memory")
	}
	d.Free(a)
	if c := d.New(20, 10); &data(c)[0] != first { // the same class, another shape
		t.Error("freed memory was not reused")
	}
	if c := d.New(10, 20); &data(c)[0] == first || &data(c)[0] == second {
		t.Error("memory in use was given out again")
	}
	if allocs := testing.AllocsPerRun(10, func() { d.Free(d.New(30, 40)) }); allocs > 1 { // the Tensor itself
		t.Errorf("%v allocations for a recycled tensor", allocs)
	}
	if c := New().New(10, 20); &data(c)[0] == first {
		t.Error("devices share memory")
	}
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
	x := d.New(2, 2)
	d.Free(x)
	d.Free(x) // the second time does nothing:
	if a, b := d.New(2, 2), d.New(2, 2); &data(a)[0] == &data(b)[0] {
		t.Error("memory freed twice was given out twice")
	}
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
