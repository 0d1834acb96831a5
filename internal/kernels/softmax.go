package kernels

import "math"

// Softmax computes one row of a softmax of the scaled inputs,
//
//	dst[i] = exp(scale·x[i] - max) / Σ_j exp(scale·x[j] - max)
//
// with max the largest of the scaled inputs. Both slices have the same length;
// dst may be x. An input -Inf has probability 0; a row that holds NaN or +Inf,
// or nothing but -Inf, becomes NaN.
func Softmax(dst, x []float32, scale float32) {
	sameLen("Softmax", "dst", len(dst), "x", len(x))
	if len(x) > 0 {
		active().softmax(dst, x, scale)
	}
}

func softmaxGeneric(dst, x []float32, scale float32) {
	largest := float32(math.Inf(-1))
	for _, v := range x {
		largest = max(largest, scale*v) // max keeps a NaN
	}
	var sum float32
	for i, v := range x {
		e := float32(math.Exp(float64(scale*v - largest)))
		dst[i] = e
		sum += e
	}
	inverse := 1 / sum
	for i := range dst {
		dst[i] *= inverse
	}
}

// SoftmaxBackward computes, for one row p = Softmax(x, scale) and the gradient
// dp of p, the gradient of x:
//
//	dx[i] = scale · p[i] · (dp[i] - Σ_j p[j]·dp[j])
//
// It overwrites dx, which may be dp. All have the same length.
func SoftmaxBackward(dx, p, dp []float32, scale float32) {
	sameLen("SoftmaxBackward", "dx", len(dx), "p", len(p))
	sameLen("SoftmaxBackward", "dx", len(dx), "dp", len(dp))
	if len(p) > 0 {
		active().softmaxBackward(dx, p, dp, scale)
	}
}

func softmaxBackwardGeneric(dx, p, dp []float32, scale float32) {
	dot := dotGeneric(p, dp)
	for i := range dx {
		dx[i] = scale * p[i] * (dp[i] - dot)
	}
}
