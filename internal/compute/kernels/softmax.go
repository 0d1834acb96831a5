package kernels

import "math"

// Softmax computes one row of a softmax of the scaled inputs,
//
//	dst[i] = exp(scale·x[i] - max) / Σ_j exp(scale·x[j] - max)
//
// with max the largest of the scaled inputs. Both slices have the same length;
// dst may be x. An input -Inf has probability 0; a row that holds NaN or +Inf,
// or nothing but -Inf, becomes NaN.
// Softmax panics with an [ArgumentError] unless the scale is positive.
func Softmax(dst, x []float32, scale float32) {
	checkExponentials("Softmax", dst, x, scale)
	_, sum := active().exponentials(dst, x, scale)
	active().scale(dst, 1/sum, dst)
}

// Exponentials computes the numerators of [Softmax] for one row,
//
//	dst[i] = exp(scale·x[i] - largest)
//
// and returns the largest of the scaled inputs and the sum of the numerators. So the
// softmax is dst/sum, and log Σ exp(scale·x[i]) is largest + log(sum). Both slices
// have the same length; dst may be x. An empty row gives -Inf and 0. Exponentials panics
// with an [ArgumentError] unless the scale is positive.
func Exponentials(dst, x []float32, scale float32) (largest, sum float32) {
	checkExponentials("Exponentials", dst, x, scale)
	return active().exponentials(dst, x, scale)
}

func checkExponentials(kernel string, dst, x []float32, scale float32) {
	sameLen(kernel, "dst", len(dst), "x", len(x))
	if !(scale > 0) {
		check(false, kernel, "scale %v is not positive", scale)
	}
}

func exponentialsGeneric(dst, x []float32, scale float32) (largest, sum float32) {
	peak := float32(math.Inf(-1))
	for _, v := range x {
		peak = max(peak, v) // max keeps a NaN
	}
	var total float64 // a chain of float32 sums would lose more than the lanes of vectors do
	for i, v := range x {
		dst[i] = float32(math.Exp(float64(scale * (v - peak))))
		total += float64(dst[i])
	}
	return scale * peak, float32(total)
}

// SoftmaxBackward goes back through the dropout and the softmax of one row. With
//
//	p[i] = exp(scale·x[i] - logSum)
//	m[i] = words[i] >= prob·2³² ? 1/(1-prob) : 0
//
// it replaces the scores x by what the forward pass went on with, and d, the
// gradient of that, by the gradient of the scores:
//
//	x[i] = p[i]·m[i]
//	d[i] = scale · p[i] · (m[i]·d[i] - Σ_j p[j]·m[j]·d[j])
//
// logSum is log Σ exp(scale·x[i]) of the forward pass, the words are those that
// [Words] returns for the row's elements. No words mean no dropout. All slices have the same length.
func SoftmaxBackward(x, d []float32, scale, logSum float32, words []uint32, prob float32) {
	sameLen("SoftmaxBackward", "x", len(x), "d", len(d))
	if words == nil {
		active().softmaxBackward(x, d, scale, logSum)
		return
	}
	sameLen("SoftmaxBackward", "x", len(x), "words", len(words))
	checkProb("SoftmaxBackward", prob)
	if prob == 1 {
		clear(x)
		clear(d)
		return
	}
	threshold, keep := DropThreshold(prob)
	active().softmaxDropoutBackward(x, d, scale, logSum, words, threshold, keep)
}

func softmaxBackwardGeneric(x, d []float32, scale, logSum float32) {
	var dot float32
	for i, v := range x {
		x[i] = float32(math.Exp(float64(scale*v - logSum)))
		dot += x[i] * d[i]
	}
	for i, p := range x {
		d[i] = scale * p * (d[i] - dot)
	}
}

func softmaxDropoutBackwardGeneric(x, d []float32, scale, logSum float32, words []uint32, threshold uint32, keep float32) {
	var dot float32
	for i, v := range x {
		x[i] = float32(math.Exp(float64(scale*v - logSum)))
		if words[i] >= threshold {
			d[i] *= keep
			dot += x[i] * d[i]
		} else {
			d[i] = 0
		}
	}
	for i, p := range x {
		d[i] = scale * p * (d[i] - dot)
		if x[i] = 0; words[i] >= threshold {
			x[i] = p * keep
		}
	}
}
