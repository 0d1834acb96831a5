package kernels

import "math"

// gate is the parameters of a function x·σ(u(x)) with u(x) = x·(A + B·x²) and the logistic function σ. A is positive, B is
// not negative.
type gate struct{ A, B float32 }

// The functions that people use. TanhGELU approximates GELU by a hyperbolic tangent (Hendrycks and Gimpel, arXiv:1606.08415),
// as x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2 = x·σ(2·√(2/π)·(x + 0.044715·x³)); QuickGELU is their coarser form.
var (
	siluGate      = gate{A: 1}
	quickGELUGate = gate{A: 1.702}
	tanhGELUGate  = gate{A: 1.5957691216057308, B: 0.044715 * 1.5957691216057308}
)

// gateLimit is where exp(-u) leaves the normal float32 numbers.
const gateLimit = 87

// lowest is an x left of which the function is next to zero.
func (g gate) lowest() float32 { return -gateLimit / g.A }

// apply computes dst[i] = x[i]·σ(u(x[i])).
func (g gate) apply(dst, x []float32) { active().gate(dst, x, g.A, g.B, g.lowest()) }

// backward computes dx[i] = dy[i]·f'(x[i]) and y[i] = f(x[i]) again:
//
//	f' = σ + x·σ·(1-σ)·u'     u' = A + 3·B·x²
func (g gate) backward(dx, y, x, dy []float32) {
	active().gateBackward(dx, y, x, dy, g.A, g.B, g.lowest())
}

func gateGeneric(dst, x []float32, a, b, lowest float32) {
	for i, v := range x {
		dst[i], _ = gated(v, a, b, lowest)
	}
}

func gateBackwardGeneric(dx, y, x, dy []float32, a, b, lowest float32) {
	for i, v := range x {
		value, slope := gated(v, a, b, lowest)
		dx[i], y[i] = dy[i]*slope, value
	}
}

// gated returns f(x) and f'(x). Outside of ±lowest σ and its products are what they are there.
func gated(x, a, b, lowest float32) (value, slope float32) {
	raised := float64(max(x, lowest))
	z := min(raised, -float64(lowest))
	p, q := float64(a)+float64(b)*z*z, 2*float64(b)*z*z
	e := math.Exp(min(-z*p, gateLimit))
	sigma := 1 / (1 + e)
	return float32(raised * sigma), float32(sigma * (1 + z*(p+q)*e*sigma))
}
