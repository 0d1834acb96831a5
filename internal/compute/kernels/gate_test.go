package kernels

import (
	"math"
	"slices"
	"testing"
)

// gates are the activations that are gates, and what the argument of their σ is.
var gates = map[Activation]func(x float64) float64{
	SiLU:      func(x float64) float64 { return x },
	QuickGELU: func(x float64) float64 { return 1.702 * x },
	TanhGELU:  func(x float64) float64 { return 2 * math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) },
}

// gateOracle returns x·σ(u(x)) and its slope, by central differences of u.
func gateOracle(u func(float64) float64, x float64) (value, slope float64) {
	const step = 1e-4
	sigma := 1 / (1 + math.Exp(-u(x)))
	du := (u(x+step) - u(x-step)) / (2 * step)
	return x * sigma, sigma + x*sigma/(1+math.Exp(u(x)))*du
}

func TestGates(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for a, u := range gates {
			for _, n := range lengths() {
				x, dy := guardVector(random(n, uint64(n)), n%16).x, guardVector(random(n, 9), n%13).x
				for i := range x {
					x[i] *= 5
				}
				var want, slopes, tolerance, slopeTolerance []float64
				for i, v := range x {
					y, slope := gateOracle(u, float64(v))
					want, slopes = append(want, y), append(slopes, float64(dy[i])*slope)
					size := math.Abs(y) * (1 + math.Abs(u(float64(v)))/2) // rounding moves the exponent
					tolerance = append(tolerance, 8*epsilon*size+1e-35)
					slopeTolerance = append(slopeTolerance, 1e-6*math.Abs(float64(dy[i])))
				}
				y, again, dx := guard(1, n, n, n%11, old), guard(1, n, n, n%7, old), guard(1, n, n, n%5, old)
				Activate(y.x, x, a, 0)
				ActivateBackward(dx.x, again.x, x, dy, a)
				for _, g := range []*guarded{y, again, dx} {
					g.check(t)
				}
				for name, fault := range map[string]string{
					"values": faults(y.x, want, tolerance), "values again": faults(again.x, want, tolerance), "slopes": faults(dx.x, slopes, slopeTolerance),
				} {
					if fault != "" {
						t.Errorf("activation %d, n=%d, %s: %s", a, n, name, fault)
					}
				}
				Activate(x, x, a, 0)
				if !slices.Equal(x, y.x) {
					t.Errorf("activation %d, n=%d: in place differs", a, n)
				}
			}
		}
	})
}

func TestGatesOfSpecialValues(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachISA(t, func(t *testing.T) {
		for a := range gates {
			x, dy := []float32{inf, 1e30, 200, 0, -200, -1e30, -inf, nan}, []float32{2, 2, 2, 2, 2, 2, 2, 2}
			y := make([]float32, len(x))
			Activate(y, x, a, 0)
			ActivateBackward(dy, x, x, dy, a) // in place
			for i, want := range []float32{inf, 1e30, 200, 0, 0, 0, 0} {
				slope := float32(0)
				if want > 0 {
					slope = 2
				} else if i == 3 {
					slope = 1
				}
				if got := y[i]; got != want && !(math.Abs(float64(got-want)) < 1e-34) || x[i] != got || !(math.Abs(float64(dy[i]-slope)) < 1e-30) {
					t.Errorf("activation %d, value %d: %g, again %g, want %g; slope %g, want %g", a, i, got, x[i], want, dy[i], slope)
				}
			}
			if y[7] == y[7] || x[7] == x[7] || dy[7] == dy[7] {
				t.Errorf("activation %d of NaN: %g, slope %g", a, y[7], dy[7])
			}
		}
	})
}

func TestReLUBackward(t *testing.T) {
	x, dy := []float32{3, 0, -2}, []float32{5, 6, 7}
	ActivateBackward(dy, x, x, dy, ReLU)
	if !slices.Equal(dy, []float32{5, 0, 0}) || !slices.Equal(x, []float32{3, 0, 0}) {
		t.Errorf("slopes %v of %v", dy, x)
	}
}
