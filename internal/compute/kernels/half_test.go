package kernels

import (
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// Every number of 16 bits, at every place of a vector.
func TestHalves(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		all := make([]uint16, 1<<16)
		for i := range all {
			all[i] = uint16(i)
		}
		for name, form := range map[string]struct {
			format HalfFormat
			oracle func(h uint16) float64
		}{
			"bfloat16": {BFloat16, func(h uint16) float64 { return float64(math.Float32frombits(uint32(h) << 16)) }},
			"float16": {Float16, func(h uint16) float64 {
				sign, exponent, fraction := 1-2*float64(h>>15), int(h>>10&31), float64(h&1023)/1024
				switch {
				case exponent == 0:
					return sign * math.Ldexp(fraction, -14)
				case exponent < 31:
					return sign * math.Ldexp(1+fraction, exponent-15)
				case fraction == 0:
					return math.Inf(int(sign))
				}
				return math.NaN()
			}},
		} {
			for _, n := range append(lengths(), len(all)) {
				for _, from := range []int{0, 0x3bf0, 0xfff0 - n} {
					if from < 0 || from+n > len(all) {
						continue
					}
					got := guardVector(make([]float32, n), n%16)
					form.format.Widen(got.x, all[from:from+n])
					got.check(t)
					for i, v := range got.x {
						want := form.oracle(all[from+i])
						if !closeTo(float64(v), want, 0) || math.Signbit(float64(v)) != (all[from+i]>>15 == 1) {
							t.Fatalf("%s: %#04x of %d is %g, want %g", name, all[from+i], n, v, want)
						}
					}
				}
			}
		}
		mustPanic(t, "lengths", func() { BFloat16.Widen(make([]float32, 2), all[:3]) })
		mustPanic(t, "lengths", func() { Float16.Widen(make([]float32, 2), all[:3]) })
	})
}

// A product with 16-bit numbers has the bits of that with the same numbers in float32: tiles, edges, blocks of K, any threads, views.
func TestGemmHalf(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	eachISA(t, func(t *testing.T) {
		sizes := [][3]int{{205, 131, 385}, {26, 192, 768}, {1, 70, 1200}, {70, 1, 1000}, {40, 300, 97}}
		for i := range 60 {
			sizes = append(sizes, [3]int{1 + i%17, 1 + i*7%70, 1 + i*5%40})
		}
		for i, size := range append(sizes, [3]int{0, 5, 3}, [3]int{5, 0, 3}, [3]int{5, 40, 0}) {
			flags := []GemmFlags{0, TransB, TransA, TransB | Accumulate}[i%4]
			c := newGemmCase(size[0], size[1], size[2], flags, i%3, uint64(i))
			format := HalfFormat(i / 4 % 2)
			halves := make([]uint16, len(c.b))
			for j, v := range c.b {
				halves[j] = uint16(math.Float32bits(v) >> 16)
			}
			format.Widen(c.b, halves)
			var bias []float32
			if flags&Accumulate == 0 {
				bias = random(c.n, 3)
			}
			parallel.SetThreads(1 + i%3)
			o := Options{Bias: bias}
			want := c.run(t, func(out []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags) {
				GemmWith(out, ldc, a, lda, b, ldb, m, n, k, flags, o)
			}, i)
			matrix := NewHalfMatrix(make([]uint16, HalfLen(c.n, c.k)), halves, format, c.ldb, c.n, c.k, flags&TransB, 0)
			got := c.run(t, func(out []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags) {
				GemmHalf(out, ldc, a, lda, matrix, m, flags&^TransB, o)
			}, i)
			if !slices.Equal(got, want) {
				t.Errorf("%v: differs from float32", &c)
			}
			if c.n <= panelCols || flags&(Accumulate|TransA) != 0 || c.m == 0 || c.k == 0 {
				continue
			}
			part := make([]float32, c.m*(c.n-panelCols))
			GemmHalf(part, c.n-panelCols, c.a, c.lda, matrix.Columns(panelCols, c.n), c.m, 0, Options{Bias: bias[panelCols:]})
			for i := range c.m {
				if !slices.Equal(part[i*(c.n-panelCols):][:c.n-panelCols], want[i*c.n+panelCols:(i+1)*c.n]) {
					t.Errorf("%v: row %d of a view differs", &c, i)
				}
			}
		}
	})
}

func TestGemmHalfChecksItsArguments(t *testing.T) {
	b := make([]uint16, 9)
	prepare := func(n, k int, flags GemmFlags) *HalfMatrix {
		return NewHalfMatrix(make([]uint16, 96), b, Float16, 3, n, k, flags, 0)
	}
	x := make([]float32, 9)
	for name, f := range map[string]func(){
		"negative":  func() { prepare(-1, 3, 0) },
		"short B":   func() { NewHalfMatrix(make([]uint16, 128), b, Float16, 3, 3, 4, 0, 0) },
		"flags":     func() { prepare(3, 3, TransA) },
		"memory":    func() { prepare(3, 2, 0) },
		"columns":   func() { prepare(3, 3, 0).Columns(1, 2) },
		"no column": func() { prepare(3, 3, 0).Columns(0, 4) },
		"TransB":    func() { GemmHalf(x, 3, x, 3, prepare(3, 3, 0), 3, TransB, Options{}) },
		"short C":   func() { GemmHalf(x[:8], 3, x, 3, prepare(3, 3, 0), 3, 0, Options{}) },
	} {
		mustPanic(t, name, f)
	}
}
