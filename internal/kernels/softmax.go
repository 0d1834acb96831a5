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

// Exponentials computes the numerators of [Softmax] for one row,
//
//	dst[i] = exp(scale·x[i] - largest)
//
// and returns the largest of the scaled inputs and the sum of the numerators. So the
// softmax is dst/sum, and log Σ exp(scale·x[i]) is largest + log(sum). Both slices
// have the same length; dst may be x. An empty row gives -Inf and 0.
func Exponentials(dst, x []float32, scale float32) (largest, sum float32) {
	sameLen("Exponentials", "dst", len(dst), "x", len(x))
	return exponentialsGeneric(dst, x, scale)
}

func exponentialsGeneric(dst, x []float32, scale float32) (largest, sum float32) {
	largest = float32(math.Inf(-1))
	for _, v := range x {
		largest = max(largest, scale*v) // max keeps a NaN
	}
	for i, v := range x {
		e := float32(math.Exp(float64(scale*v - largest)))
		dst[i] = e
		sum += e
	}
	return largest, sum
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
	if words != nil {
		sameLen("SoftmaxBackward", "x", len(x), "words", len(words))
		checkProb("SoftmaxBackward", prob)
	}
	if words != nil && prob == 1 {
		clear(x)
		clear(d)
		return
	}
	threshold, keep := dropThreshold(prob)
	softmaxBackwardGeneric(x, d, scale, logSum, words, threshold, keep)
}

func softmaxBackwardGeneric(x, d []float32, scale, logSum float32, words []uint32, threshold uint32, keep float32) {
	var dot float32
	dropped := func(i int) bool { return words != nil && words[i] < threshold }
	if words == nil {
		keep = 1
	}
	for i, v := range x {
		p := float32(math.Exp(float64(scale*v - logSum)))
		if x[i] = p; !dropped(i) {
			dot += p * keep * d[i]
		}
	}
	for i, p := range x {
		if dropped(i) {
			x[i], d[i] = 0, -scale*p*dot
		} else {
			x[i], d[i] = p*keep, scale*p*(keep*d[i]-dot)
		}
	}
}
