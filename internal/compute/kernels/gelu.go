package kernels

import "math"

// GELU computes the Gaussian error linear unit, dst[i] = x[i]·Φ(x[i]) with
// Φ(x) = (1 + erf(x/√2))/2, the distribution function of the standard normal
// distribution (Hendrycks and Gimpel, arXiv:1606.08415, the exact form). Both
// slices have the same length.
func GELU(dst, x []float32) {
	sameLen("GELU", "dst", len(dst), "x", len(x))
	active().gelu(dst, x)
}

func geluGeneric(dst, x []float32) {
	for i, v := range x {
		if math.IsInf(float64(v), -1) {
			dst[i] = 0 // the limit, where the product would be -Inf·0
			continue
		}
		dst[i] = float32(float64(v) * normalCDF(float64(v)))
	}
}

// GELUBackward computes dx[i] = dy[i]·g'(x[i]) for g of [GELU], and y[i] = g(x[i])
// again, as both come from the same exponential: g'(x) = Φ(x) + x·φ(x),
// φ(x) = exp(-x²/2)/√(2π). All have the same length; dx may be dy, and y may be x.
func GELUBackward(dx, y, x, dy []float32) {
	sameLen("GELUBackward", "dx", len(dx), "y", len(y))
	sameLen("GELUBackward", "dx", len(dx), "x", len(x))
	sameLen("GELUBackward", "dx", len(dx), "dy", len(dy))
	active().geluBackward(dx, y, x, dy)
}

func geluBackwardGeneric(dx, y, x, dy []float32) {
	for i, v := range x {
		dx[i] = dy[i] * float32(geluSlope(float64(v)))
	}
	geluGeneric(y, x)
}

// normalCDF is Φ, without cancellation for large negative x.
func normalCDF(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

// geluSlope is g'.
func geluSlope(x float64) float64 {
	if math.IsInf(x, 0) {
		return normalCDF(x) // the limit, where x·φ(x) would be Inf·0
	}
	const rsqrt2Pi = 0.398942280401432677939946059934 // 1/√(2π)
	return normalCDF(x) + x*rsqrt2Pi*math.Exp(-0.5*x*x)
}
