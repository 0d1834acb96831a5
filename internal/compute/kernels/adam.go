package kernels

import "math"

// AdamStep is the coefficients of one step of [Adam]. The corrections of the
// moments' bias belong into StepSize and Epsilon.
type AdamStep struct {
	Beta1     float32 // decay of the first moment
	Beta2     float32 // decay of the second moment
	StepSize  float32 // learning rate, with the correction of the bias
	Epsilon   float32 // added to the root of the second moment
	GradScale float32 // the gradient is multiplied by it first (clipping, averaging)
	Decay     float32 // the share of the parameter that is taken off (learning rate · weight decay)
}

// Adam makes one step of Adam with decoupled weight decay (Kingma and Ba,
// arXiv:1412.6980; Loshchilov and Hutter, arXiv:1711.05101) on the parameters
// p with moments m and v and gradient g:
//
//	g' = g·GradScale
//	m  = Beta1·m + (1-Beta1)·g'
//	v  = Beta2·v + (1-Beta2)·g'²
//	p  = p - StepSize·m/(√v + Epsilon) - Decay·p
//
// where the last p on the right is the one before the step. A moment below
// [leastMoment] becomes zero. g is not changed. All slices have the same length and
// do not overlap.
func Adam(p, m, v, g []float32, s AdamStep) {
	sameLen("Adam", "p", len(p), "m", len(m))
	sameLen("Adam", "p", len(p), "v", len(v))
	sameLen("Adam", "p", len(p), "g", len(g))
	active().adam(p, m, v, g, s)
}

// leastMoment is 2⁻¹⁰⁰. The moments of a parameter without gradient fall until they are
// denormal numbers, on which processors compute a hundred times more slowly. What such a
// moment does to the parameter, or its root beside epsilon, is lost in rounding long before.
const leastMoment = 1.0 / (1 << 50) / (1 << 50)

func adamGeneric(p, m, v, g []float32, s AdamStep) {
	for i := range p {
		adamElement(&p[i], &m[i], &v[i], g[i]*s.GradScale, &s)
	}
}

func adamElement(p, m, v *float32, grad float32, s *AdamStep) {
	*m = dropTiny(s.Beta1**m + (1-s.Beta1)*grad)
	*v = dropTiny(s.Beta2**v + (1-s.Beta2)*grad*grad)
	root := float32(math.Sqrt(float64(*v)))
	*p -= s.StepSize**m/(root+s.Epsilon) + s.Decay**p
}

func dropTiny(x float32) float32 {
	if x < leastMoment && x > -leastMoment {
		return 0
	}
	return x
}

// AdamIdle makes the given steps of [Adam] with a gradient of zero, one after
// the other, to the same bits. Beta1, Beta2 and Epsilon are those of the first step.
func AdamIdle(p, m, v []float32, steps []AdamStep) {
	sameLen("AdamIdle", "p", len(p), "m", len(m))
	sameLen("AdamIdle", "p", len(p), "v", len(v))
	if len(steps) > 0 {
		active().adamIdle(p, m, v, steps)
	}
}

func adamIdleGeneric(p, m, v []float32, steps []AdamStep) {
	for i := range p {
		for j := range steps {
			adamElement(&p[i], &m[i], &v[i], 0, &steps[j])
		}
	}
}

// AdamBfloat16 is [Adam] with moments of 16 bits each. An element of moments has both: as a word, the bfloat16 of m is its upper half
// and that of v its lower one. p is moved by moments of 32 bits, which are rounded after that, up or down by chance so that their mean
// stays: nearer to the nearer one. To the nearest, v would stop at small changes, of 1-Beta2 below 2⁻⁹.
//
// The element with index e = offset+i is rounded by word e mod 4 of Philox4x32-10 with the counter (e/4, stream) and the key, its
// m by the lower half. So vectors may be cut anywhere, and a step can be made again later.
func AdamBfloat16(p, moments, g []float32, s AdamStep, key, stream, offset uint64) {
	sameLen("AdamBfloat16", "p", len(p), "moments", len(moments))
	sameLen("AdamBfloat16", "p", len(p), "g", len(g))
	impl := active()
	buffer := bitsBuffers.Get().(*[bitsChunk]uint32)
	defer bitsBuffers.Put(buffer)
	for lo := 0; lo < len(p); {
		element := offset + uint64(lo)
		skip := int(element % 4) // words of the first block that belong to earlier elements
		count := min(len(p)-lo, bitsChunk-skip)
		words := buffer[:(skip+count+philoxWords-1)/philoxWords*philoxWords]
		impl.philox(words, key, stream, element/4)
		hi := lo + count
		impl.adamBfloat16(p[lo:hi], moments[lo:hi], g[lo:hi], words[skip:skip+count], s)
		lo = hi
	}
}

func adamBfloat16Generic(p, moments, g []float32, words []uint32, s AdamStep) {
	for i := range p {
		both := math.Float32bits(moments[i])
		m, v := math.Float32frombits(both&0xffff0000), math.Float32frombits(both<<16)
		adamElement(&p[i], &m, &v, g[i]*s.GradScale, &s)
		upper, lower := math.Float32bits(m)+words[i]&0xffff, math.Float32bits(v)+words[i]>>16
		moments[i] = math.Float32frombits(upper&0xffff0000 | lower>>16)
	}
}
