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
// where the last p on the right is the one before the step. g is not changed.
// All slices have the same length and do not overlap.
func Adam(p, m, v, g []float32, s AdamStep) {
	sameLen("Adam", "p", len(p), "m", len(m))
	sameLen("Adam", "p", len(p), "v", len(v))
	sameLen("Adam", "p", len(p), "g", len(g))
	active().adam(p, m, v, g, s)
}

func adamGeneric(p, m, v, g []float32, s AdamStep) {
	for i := range p {
		grad := g[i] * s.GradScale
		m[i] = s.Beta1*m[i] + (1-s.Beta1)*grad
		v[i] = s.Beta2*v[i] + (1-s.Beta2)*grad*grad
		root := float32(math.Sqrt(float64(v[i])))
		p[i] -= s.StepSize*m[i]/(root+s.Epsilon) + s.Decay*p[i]
	}
}
