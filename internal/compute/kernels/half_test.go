package kernels

import (
	"math"
	"testing"
)

// Every number of 16 bits, at every place of a vector.
func TestHalves(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		all := make([]uint16, 1<<16)
		for i := range all {
			all[i] = uint16(i)
		}
		for name, form := range map[string]struct {
			convert func(dst []float32, x []uint16)
			oracle  func(h uint16) float64
		}{
			"bfloat16": {FromBFloat16, func(h uint16) float64 { return float64(math.Float32frombits(uint32(h) << 16)) }},
			"float16": {FromFloat16, func(h uint16) float64 {
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
					form.convert(got.x, all[from:from+n])
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
		mustPanic(t, "lengths", func() { FromBFloat16(make([]float32, 2), all[:3]) })
		mustPanic(t, "lengths", func() { FromFloat16(make([]float32, 2), all[:3]) })
	})
}
