package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// What the tests of all kernels share: running on every instruction set,
// comparing with a float64 oracle, guarding the memory around a destination.

// TestRequiredISA fails if the environment variable UNIMO_REQUIRE_ISA names
// instruction sets (comma-separated) that the tests would silently pass over,
// or UNIMO_CPU one that is not to be had.
func TestRequiredISA(t *testing.T) {
	if err := CheckEnv(); err != nil {
		t.Error(err)
	}
	for name := range strings.SplitSeq(os.Getenv("UNIMO_REQUIRE_ISA"), ",") {
		if name != "" && !slices.ContainsFunc(Available(), func(isa ISA) bool { return isa.String() == name }) {
			t.Errorf("UNIMO_REQUIRE_ISA: this machine has no %s, only %s", name, known(Available()))
		}
	}
}

// eachISA runs test as a subtest on every instruction set of this machine.
func eachISA(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for _, isa := range Available() {
		t.Run(isa.String(), func(t *testing.T) {
			defer Use(isa)()
			test(t)
		})
	}
}

const epsilon = 1.0 / (1 << 24) // the largest relative error of rounding to float32

// faults returns a description of the elements of got that differ from want by
// more than tol, which has an element for each; empty if there are none. NaN and
// the infinities must be equal.
func faults(got []float32, want, tol []float64) string {
	if len(got) != len(want) || len(got) != len(tol) {
		return fmt.Sprintf("%d elements, want %d, tolerances %d", len(got), len(want), len(tol))
	}
	var list strings.Builder
	count := 0
	for i := range got {
		if closeTo(float64(got[i]), want[i], tol[i]) {
			continue
		}
		if count++; count <= 3 {
			fmt.Fprintf(&list, "element %d is %g, want %g ± %g; ", i, got[i], want[i], tol[i])
		}
	}
	if count == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d differ: %s", count, len(got), list.String())
}

func closeTo(got, want, tol float64) bool {
	switch {
	case math.IsNaN(want):
		return math.IsNaN(got)
	case math.IsInf(want, 0):
		return got == want
	}
	return math.Abs(got-want) <= tol // false for NaN
}

func TestComparatorSeesFaults(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		got       float32
		want, tol float64
		close     bool
	}{
		{1, 1, 0, true},
		{1, 1.5, 0.5, true},
		{1, 1.5, 0.49, false},
		{float32(nan), 1, 10, false},
		{1, nan, 10, false},
		{float32(nan), nan, 0, true},
		{1, 1, nan, false},
		{float32(inf), inf, 0, true},
		{float32(inf), -inf, 0, false},
		{float32(inf), 1, inf, true},
		{math.MaxFloat32, inf, 0, false},
	} {
		if got := faults([]float32{c.got}, []float64{c.want}, []float64{c.tol}) == ""; got != c.close {
			t.Errorf("%g against %g ± %g: close is %v", c.got, c.want, c.tol, got)
		}
	}
	if faults(make([]float32, 2), make([]float64, 3), make([]float64, 3)) == "" {
		t.Error("lengths are not compared")
	}
}

// guarded is a matrix in the midst of memory that must not be written.
type guarded struct {
	all            []float32
	x              []float32
	offset         int
	rows, cols, ld int
}

const (
	margin = 40         // elements before and after, more than a vector
	canary = 0x7fedcba9 // a NaN that nothing computes
	old    = 12345      // for what a kernel may overwrite
)

// guard returns a matrix of canaries around rows×cols elements of fill, at a
// given offset from the usual alignment.
func guard(rows, cols, ld, offset int, fill float32) *guarded {
	size := 0
	if rows > 0 {
		size = (rows-1)*ld + cols
	}
	g := &guarded{all: make([]float32, margin+offset+size+margin), offset: margin + offset, rows: rows, cols: cols, ld: ld}
	for i := range g.all {
		g.all[i] = math.Float32frombits(canary)
	}
	g.x = g.all[g.offset : g.offset+size]
	for r := range rows {
		for c := range cols {
			g.x[r*ld+c] = fill
		}
	}
	return g
}

// guardVector returns a guarded copy of x.
func guardVector(x []float32, offset int) *guarded {
	g := guard(1, len(x), len(x), offset, 0)
	copy(g.x, x)
	return g
}

// row returns row r.
func (g *guarded) row(r int) []float32 { return g.x[r*g.ld : r*g.ld+g.cols] }

// strayed returns the place of a canary that was overwritten.
func (g *guarded) strayed() (string, bool) {
	for i, v := range g.all {
		at := i - g.offset
		inside := at >= 0 && at < len(g.x) && at%max(g.ld, 1) < g.cols
		if !inside && math.Float32bits(v) != canary {
			return fmt.Sprintf("element %d outside the matrix has become %g", at, v), true
		}
	}
	return "", false
}

func (g *guarded) check(tb testing.TB) {
	tb.Helper()
	if place, bad := g.strayed(); bad {
		tb.Error(place)
	}
}

func TestGuardSeesStrayWrites(t *testing.T) {
	for _, at := range []int{-1, -margin, 3, 4, 14} { // rows of 3 in 5, two of them: 0-2 and 5-7
		g := guard(2, 3, 5, 2, old)
		if _, bad := g.strayed(); bad {
			t.Fatal("an untouched guard complains")
		}
		g.all[g.offset+at] = 0
		if _, bad := g.strayed(); !bad {
			t.Errorf("a write at %d goes unseen", at)
		}
	}
}

// random returns n numbers, mostly between -2 and 2.
func random(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 7))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// special are the numbers that kernels get wrong.
var special = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1,
	math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 1e-39, -1e-39, 1.17549435e-38,
	math.MaxFloat32, -math.MaxFloat32, 1e30, -1e30,
	float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
}

// lengths are the sizes of vectors to test: 0 past two vectors of the largest set
// unrolled four times, and some larger ones.
func lengths() []int {
	var list []int
	for n := range 140 {
		list = append(list, n)
	}
	return append(list, 255, 256, 257, 768, 1000, 3072)
}

// mustPanic checks that f panics with an ArgumentError.
func mustPanic(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if err, ok := recover().(*ArgumentError); !ok {
			t.Errorf("%s: no ArgumentError", name)
		} else if !strings.HasPrefix(err.Error(), "kernels.") {
			t.Errorf("%s: message %q", name, err)
		}
	}()
	f()
}
