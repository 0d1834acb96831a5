package kernels

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// requireDots selects the instruction set that has products of bfloat16.
func requireDots(t *testing.T) {
	t.Helper()
	t.Cleanup(Use(Available()[len(Available())-1]))
	if active().dots == nil {
		t.Skip("not run: this processor has no products of bfloat16")
	}
}

// roundedBFloat16 rounds as the processor does: to the nearest, of two to the even one; subnormal numbers become zero.
func roundedBFloat16(x float32) float32 {
	bits := math.Float32bits(x)
	switch {
	case x != x:
		return x
	case bits&0x7f800000 == 0:
		return math.Float32frombits(bits & 0x80000000)
	}
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}

// dotCase is a product of rows with a matrix of bfloat16.
type dotCase struct {
	gemmCase
	halves []uint16
	bias   []float32
}

func newDotCase(m, n, k int, flags GemmFlags, pad int, biased bool, seed uint64) *dotCase {
	c := &dotCase{gemmCase: newGemmCase(m, n, k, flags, pad, seed)}
	c.halves = make([]uint16, len(c.b))
	for i, v := range c.b {
		c.halves[i] = uint16(math.Float32bits(v) >> 16)
	}
	BFloat16.Widen(c.b, c.halves)
	if biased {
		c.bias = random(n, seed+2)
	}
	return c
}

// bits computes what the instruction does: the products are exact, and the sums rounded in turn.
func (c *dotCase) bits() []float32 {
	var list []float32
	for i := range c.m {
		for j := range c.n {
			var sum float32
			for p := 0; p < c.k; p += 2 {
				for _, p := range []int{p + 1, p} {
					if p < c.k {
						sum = float32(float64(sum) + float64(roundedBFloat16(float32(c.at(i, p))))*c.bt(p, j))
					}
				}
			}
			if c.bias != nil {
				sum += c.bias[j]
			}
			list = append(list, sum)
		}
	}
	return list
}

// tolerance returns the float64 product of the numbers themselves, and how far from it rounding each to 8 bits may take an element.
func (c *dotCase) tolerance() (want, tol []float64) {
	want, tol = c.oracle()
	for at := range want {
		i, j := at/c.n, at%c.n
		for p := range c.k {
			tol[at] += math.Abs(c.at(i, p)*c.bt(p, j)) / 256
		}
		if c.bias != nil {
			want[at] += float64(c.bias[j])
			tol[at] += 2 * epsilon * (math.Abs(want[at]) + math.Abs(float64(c.bias[j])))
		}
	}
	return want, tol
}

func (c *dotCase) prepared() *BFloat16Matrix {
	return NewBFloat16Matrix(make([]uint16, BFloat16Len(c.n, c.k)), c.halves, c.ldb, c.n, c.k, c.flags, 0)
}

func (c *dotCase) product(t *testing.T, offset int, o Options) []float32 {
	t.Helper()
	var rows BFloat16Rows
	rows.Set(c.a, c.lda, c.m, c.k, o.Limit)
	o.Bias = c.bias
	return c.run(t, func(out []float32, ldc int, _ []float32, _ int, _ []float32, _ int, _, _, _ int, _ GemmFlags) {
		GemmBFloat16(out, ldc, &rows, c.prepared(), o)
	}, offset)
}

// Every height of a tile, width of an edge and length of K, at every place of memory: to the bit, and close to the product of the numbers.
func TestGemmBFloat16(t *testing.T) {
	requireDots(t)
	for m := range 31 {
		for i, n := range []int{0, 1, 15, 16, 17, 31, 32, 33, 63, 65, 100} {
			k := (m*7 + i*5) % 70
			c := newDotCase(m, n, k, GemmFlags(i%2)*TransB, (m+i)%5, m%2 == 0, uint64(m*n+k))
			got := c.product(t, (m+i)%16, Options{})
			if want := c.bits(); !slices.Equal(got, want) {
				t.Fatalf("%v: %v, want %v", c, got, want)
			}
			want, tol := c.tolerance()
			if fault := faults(got, want, tol); fault != "" {
				t.Errorf("%v: %s", c, fault)
			}
		}
	}
}

// Several tasks, any number of threads, what is applied to finished blocks, and views.
func TestGemmBFloat16InTasks(t *testing.T) {
	requireDots(t)
	defer parallel.SetThreads(parallel.Threads())
	for i, size := range [][3]int{{1, 70, 1200}, {26, 192, 768}, {205, 131, 385}, {130, 545, 97}, {70, 1, 3072}} {
		c := newDotCase(size[0], size[1], size[2], GemmFlags(i%2)*TransB, i%3, i%2 == 0, uint64(i))
		want := c.bits()
		for _, threads := range []int{1, 2, 7} {
			parallel.SetThreads(threads)
			var mu sync.Mutex
			seen := 0
			got := c.product(t, threads, Options{Limit: parallel.Limit(i % 3), Apply: func(i0, i1, j0, j1 int) {
				mu.Lock()
				defer mu.Unlock()
				seen += (i1 - i0) * (j1 - j0)
			}})
			if !slices.Equal(got, want) || seen != c.m*c.n {
				t.Errorf("%v on %d threads: differs, or %d elements were final", c, threads, seen)
			}
		}
		if c.n <= panelCols {
			continue
		}
		part := *c
		cols := c.n - panelCols
		var rows BFloat16Rows
		rows.Set(c.a, c.lda, c.m, c.k, 0)
		o := Options{}
		if c.bias != nil {
			o.Bias = c.bias[panelCols:]
		}
		got := make([]float32, c.m*cols)
		GemmBFloat16(got, cols, &rows, part.prepared().Columns(panelCols, c.n), o)
		for i := range c.m {
			if !slices.Equal(got[i*cols:(i+1)*cols], want[i*c.n+panelCols:(i+1)*c.n]) {
				t.Errorf("%v: row %d of a view differs", c, i)
			}
		}
	}
}

// NaN and the infinities reach their own row, and subnormal numbers count as zero.
func TestGemmBFloat16SpecialValues(t *testing.T) {
	requireDots(t)
	for i, v := range special {
		for _, k := range []int{1, 20, 37} {
			c := newDotCase(15, 37, k, 0, 0, true, uint64(i))
			c.a[7*k+k/2] = v
			got := c.product(t, 0, Options{})
			want := c.bits()
			same := func(x, y float32) bool {
				return x == y || x != x && y != y
			}
			if !slices.EqualFunc(got, want, same) {
				t.Errorf("%g, k=%d: differs: %v, want %v", v, k, got[7*c.n:8*c.n], want[7*c.n:8*c.n])
			}
		}
	}
}

// Every number of 16 bits as a weight, and the numbers between them as activations, at every length.
func TestBFloat16Rounding(t *testing.T) {
	requireDots(t)
	x := make([]float32, 0, 1<<18)
	for high := range uint32(1 << 16) {
		for _, low := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} {
			x = append(x, math.Float32frombits(high<<16|low))
		}
	}
	for _, n := range append(lengths(), len(x)) {
		for _, from := range []int{0, len(x)/3 + 1, len(x) - n} {
			if from+n > len(x) {
				continue
			}
			var rows BFloat16Rows
			rows.Set(x[from:from+n], n, 1, n, 0)
			for i, v := range x[from : from+n] {
				got := math.Float32frombits(uint32(rows.data[2*i])<<16 | uint32(rows.data[2*i+1])<<24)
				want := roundedBFloat16(v)
				if math.Float32bits(got) != math.Float32bits(want) && (got == got || want == want) {
					t.Fatalf("%g of %d is rounded to %g, want %g", v, n, got, want)
				}
			}
		}
	}
}

func TestGemmBFloat16ChecksItsArguments(t *testing.T) {
	requireDots(t)
	b := make([]uint16, 9)
	prepare := func(n, k int, flags GemmFlags) *BFloat16Matrix {
		return NewBFloat16Matrix(make([]uint16, 128), b, 3, n, k, flags, 0)
	}
	var rows BFloat16Rows
	rows.Set(make([]float32, 9), 3, 3, 3, 0)
	x := make([]float32, 9)
	for name, f := range map[string]func(){
		"negative":  func() { prepare(-1, 3, 0) },
		"short B":   func() { prepare(3, 4, 0) },
		"flags":     func() { prepare(3, 3, TransA) },
		"memory":    func() { prepare(33, 3, 0) },
		"columns":   func() { prepare(3, 3, 0).Columns(1, 2) },
		"no column": func() { prepare(3, 3, 0).Columns(0, 4) },
		"short A":   func() { new(BFloat16Rows).Set(x[:8], 3, 3, 3, 0) },
		"K":         func() { GemmBFloat16(x, 3, &rows, NewBFloat16Matrix(make([]uint16, 64), b, 3, 3, 2, 0, 0), Options{}) },
		"short C":   func() { GemmBFloat16(x[:8], 3, &rows, prepare(3, 3, 0), Options{}) },
		"bias":      func() { GemmBFloat16(x, 3, &rows, prepare(3, 3, 0), Options{Bias: x[:2]}) },
		"clamp":     func() { GemmBFloat16(x, 3, &rows, prepare(3, 3, 0), Options{Clamp: true}) },
	} {
		mustPanic(t, name, f)
	}
	defer Use(Generic)()
	if HasBFloat16Products() {
		t.Error("plain Go has products of bfloat16")
	}
	mustPanic(t, "plain Go", func() { rows.Set(x, 3, 3, 3, 0) })
}

func BenchmarkBFloat16Products(b *testing.B) {
	if active().dots == nil {
		b.Skip("not run: this processor has no products of bfloat16")
	}
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(1)
	b.Logf("fast: %v", HasBFloat16Products())
	for _, m := range []int{1, 4, 14, 26, 416} {
		for _, s := range [][2]int{{768, 768}, {3072, 768}} {
			c := newDotCase(m, s[0], s[1], 0, 0, true, 1)
			matrix, half := c.prepared(), NewHalfMatrix(make([]uint16, HalfLen(c.n, c.k)), c.halves, BFloat16, c.ldb, c.n, c.k, 0, 0)
			out := make([]float32, c.m*c.n)
			var rows BFloat16Rows
			b.Run(fmt.Sprintf("%dx%dx%d/own", m, s[0], s[1]), func(b *testing.B) {
				for b.Loop() {
					rows.Set(c.a, c.lda, c.m, c.k, 0)
					GemmBFloat16(out, c.n, &rows, matrix, Options{Bias: c.bias})
				}
				reportFLOPs(b, 2*float64(m)*float64(c.n)*float64(c.k))
			})
			b.Run(fmt.Sprintf("%dx%dx%d/float32", m, s[0], s[1]), func(b *testing.B) {
				for b.Loop() {
					GemmHalf(out, c.n, c.a, c.lda, half, m, 0, Options{Bias: c.bias})
				}
				reportFLOPs(b, 2*float64(m)*float64(c.n)*float64(c.k))
			})
		}
	}
}
