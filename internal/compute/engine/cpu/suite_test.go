package cpu

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// What the tests of all operations share. A test describes an operation: its
// operands, the call and a float64 oracle. [check] does the rest on every
// instruction set: the result against the oracle, the same bits for any number
// of threads, inputs and the memory around tensors untouched, and a panic before
// any write for every operand of a wrong shape.

// operand is a tensor of an operation.
type operand struct {
	name       string
	rows, cols int
	start      []float32 // its content before the operation
	written    bool
	anyRows    bool // another number of rows or
	anyCols    bool // columns fits as well
}

// operation is one call of a device's method.
type operation struct {
	name     string
	operands []operand
	run      func(d *Device, t tensors)
	oracle   func(x numbers) results // the expected content of all operands that are written
}

type (
	tensors map[string]*engine.Tensor
	numbers map[string][]float64
	results map[string][]exact
)

// exact is the value that an element should have and how far rounding may take it.
type exact struct{ value, tolerance float64 }

const epsilon = 1.0 / (1 << 24) // the largest relative error of rounding to float32

// sum adds up the terms of an element and knows the error of doing so in float32,
// in any order: a rounding for each term, for its product and for the last step.
type sum struct {
	value, size float64
	terms       int
}

func (s *sum) add(x float64) {
	s.value += x
	s.size += math.Abs(x)
	s.terms++
}

func (s sum) exact() exact { return exact{s.value, s.error()} }

func (s sum) error() float64 { return float64(s.terms+2) * epsilon * s.size }

// each returns f(0), ..., f(n-1).
func each(n int, f func(i int) exact) []exact {
	list := make([]exact, n)
	for i := range list {
		list[i] = f(i)
	}
	return list
}

// in, accumulated and overwritten make operands: with random numbers, with random
// numbers that stay part of the result, and with NaN, which must not.
func in(name string, rows, cols int) operand {
	return operand{name: name, rows: rows, cols: cols, start: random(rows*cols, name)}
}

func accumulated(name string, rows, cols int) operand {
	o := in(name, rows, cols)
	o.written = true
	return o
}

func overwritten(name string, rows, cols int) operand {
	o := operand{name: name, rows: rows, cols: cols, start: make([]float32, rows*cols), written: true}
	for i := range o.start {
		o.start[i] = float32(math.NaN())
	}
	return o
}

// given is an input of particular numbers.
func given(name string, rows, cols int, values []float32) operand {
	return operand{name: name, rows: rows, cols: cols, start: values}
}

// ofAnyLength says that the operation takes any number of rows, as of a table.
func (o operand) ofAnyLength() operand {
	o.anyRows = true
	return o
}

// ofAnyShape says that the operation takes every tensor.
func (o operand) ofAnyShape() operand {
	o.anyRows, o.anyCols = true, true
	return o
}

// random returns n normal numbers, others for every name.
func random(n int, name string) []float32 {
	h := fnv.New64a()
	h.Write([]byte(name))
	r := rand.New(rand.NewPCG(h.Sum64(), uint64(n)))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// randomRows returns n indices below rows, with repetitions if n is large enough.
func randomRows(n, rows int) []int32 {
	r := rand.New(rand.NewPCG(uint64(n), uint64(rows)))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(r.IntN(rows))
	}
	return ids
}

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// canary stands in the memory behind a tensor: a NaN that nothing computes.
const canary = 0x7fedcba9

// materialise makes the operands' tensors.
func (op operation) materialise(d *Device) tensors {
	t := tensors{}
	for _, o := range op.operands {
		x := d.New(o.rows, o.cols)
		memory := x.Memory.(*block).data
		for i := x.Len(); i < len(memory); i++ {
			memory[i] = math.Float32frombits(canary)
		}
		d.Write(x, o.start)
		t[o.name] = x
	}
	return t
}

// strayed names a tensor behind which something was written.
func strayed(t tensors) string {
	for name, x := range t {
		for _, v := range x.Memory.(*block).data[x.Len():] {
			if math.Float32bits(v) != canary {
				return name
			}
		}
	}
	return ""
}

func contents(t tensors) map[string][]float32 {
	all := map[string][]float32{}
	for name, x := range t {
		all[name] = slices.Clone(data(x))
	}
	return all
}

// sameBits says whether two lists are equal, NaN included.
func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// setThreads sets the number of threads for the length of a test.
func setThreads(tb testing.TB, n int) {
	old := parallel.Threads()
	parallel.SetThreads(n)
	tb.Cleanup(func() { parallel.SetThreads(old) })
}

// eachISA runs test as a subtest on every instruction set of this machine.
func eachISA(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for _, isa := range kernels.Available() {
		t.Run(isa.String(), func(t *testing.T) {
			defer kernels.Use(isa)()
			test(t)
		})
	}
}

// check tests operations.
func check(t *testing.T, operations ...operation) {
	t.Helper()
	expected := make([]results, len(operations)) // the same on every instruction set
	for i, op := range operations {
		x := numbers{}
		for _, o := range op.operands {
			x[o.name] = wide(o.start)
		}
		expected[i] = op.oracle(x)
	}
	eachISA(t, func(t *testing.T) {
		for i, op := range operations {
			checkResult(t, op, expected[i])
		}
	})
	for _, op := range operations {
		checkShapes(t, op)
	}
}

func checkResult(t *testing.T, op operation, want results) {
	t.Helper()
	free, limited := New(), NewLimited(2)
	var single map[string][]float32 // what one thread computes
	for _, threads := range []int{1, 2, 3, 7, 50} {
		setThreads(t, threads)
		d, before := free, runtime.NumGoroutine()
		if threads == 50 {
			d = limited
		}
		x := op.materialise(d)
		op.run(d, x)
		// Of the pool's workers the loops before have started six.
		if n := runtime.NumGoroutine(); d == limited && n > before {
			t.Errorf("%s: %d more goroutines than the limit", op.name, n-before)
		}
		got := contents(x)
		if name := strayed(x); name != "" {
			t.Errorf("%s: wrote beyond %s", op.name, name)
		}
		for _, x := range x {
			d.Free(x)
		}
		if threads > 1 {
			for name := range got {
				if !sameBits(got[name], single[name]) {
					t.Errorf("%s: %s with %d threads differs from one thread's", op.name, name, threads)
				}
			}
			continue
		}
		single = got
		for _, o := range op.operands {
			if !o.written {
				if !sameBits(got[o.name], o.start) {
					t.Errorf("%s: the input %s was changed", op.name, o.name)
				}
			} else if fault := faults(got[o.name], want[o.name]); fault != "" {
				t.Errorf("%s: %s: %s", op.name, o.name, fault)
			}
		}
	}
}

// checkShapes gives each operand in turn a row or a column too many.
func checkShapes(t *testing.T, op operation) {
	t.Helper()
	d := New()
	for i, o := range op.operands {
		for _, extra := range [][2]int{{1, 0}, {0, 1}} {
			if o.anyRows && extra[0] == 1 || o.anyCols && extra[1] == 1 {
				continue
			}
			wrong := op
			wrong.operands = slices.Clone(op.operands)
			wrong.operands[i] = in(o.name, o.rows+extra[0], o.cols+extra[1])
			if wrong.operands[i].rows*wrong.operands[i].cols == o.rows*o.cols {
				continue // nothing to read or write
			}
			x := wrong.materialise(d)
			before := contents(x)
			what := fmt.Sprintf("%s with %s of %d x %d", op.name, o.name, o.rows+extra[0], o.cols+extra[1])
			mustPanicWithShape(t, what, func() { op.run(d, x) })
			after := contents(x)
			if !maps.EqualFunc(before, after, sameBits) || strayed(x) != "" {
				t.Errorf("%s: something was written", what)
			}
		}
	}
}

func mustPanicWithShape(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if failure := recover(); failure == nil {
			t.Errorf("%s: no panic", what)
		} else if _, ok := failure.(engine.ShapeError); !ok {
			t.Errorf("%s: panic %v, want a ShapeError", what, failure)
		}
	}()
	f()
}

// faults describes the elements of got that are not as expected; empty if none.
func faults(got []float32, want []exact) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d elements, the oracle has %d", len(got), len(want))
	}
	count, first := 0, ""
	for i, w := range want {
		if math.Abs(float64(got[i])-w.value) <= w.tolerance { // false for NaN
			continue
		}
		if count++; count == 1 {
			first = fmt.Sprintf("element %d is %g, want %g ± %.2g", i, got[i], w.value, w.tolerance)
		}
	}
	if count == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d differ: %s", count, len(got), first)
}

func TestComparatorSeesFaults(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		got   float32
		want  exact
		close bool
	}{
		{1, exact{1, 0}, true},
		{1, exact{1.5, 0.5}, true},
		{1, exact{1.5, 0.4}, false},
		{float32(nan), exact{1, 10}, false},
		{1, exact{nan, 10}, false},
		{1, exact{1, nan}, false},
	} {
		if got := faults([]float32{c.got}, []exact{c.want}) == ""; got != c.close {
			t.Errorf("%g against %g ± %g: close is %v", c.got, c.want.value, c.want.tolerance, got)
		}
	}
	if faults(make([]float32, 2), make([]exact, 3)) == "" {
		t.Error("lengths are not compared")
	}
}
