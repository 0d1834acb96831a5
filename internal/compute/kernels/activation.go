package kernels

import "math"

// Activation is a function of one element.
type Activation int

// The activations, in the order of package engine.
const (
	NoActivation Activation = iota
	ReLU                    // max(x, 0)
	ReLU6                   // min(max(x, 0), 6)
	LeakyReLU               // x, or slope·x where x is negative
	Sigmoid                 // 1/(1+exp(-x))
	SiLU                    // x·sigmoid(x)
	HardSigmoid             // min(max(x+3, 0), 6)/6
	HardSwish               // x·HardSigmoid(x)
	ExactGELU               // x·Φ(x)
	TanhGELU                // x·(1+tanh(√(2/π)·(x+0.044715·x³)))/2
	QuickGELU               // x·sigmoid(1.702·x)
)

// Bounds returns what an activation that is min(max(x, least), most) bounds elements by; ok says that it is one.
func (a Activation) Bounds() (least, most float32, ok bool) {
	least, most = float32(math.Inf(-1)), float32(math.Inf(1))
	switch a {
	case NoActivation:
	case ReLU:
		least = 0
	case ReLU6:
		least, most = 0, 6
	default:
		return least, most, false
	}
	return least, most, true
}

// Activate computes dst[i] = a(x[i]). Both have the same length. slope is that of [LeakyReLU], and not negative.
func Activate(dst, x []float32, a Activation, slope float32) {
	sameLen("Activate", "dst", len(dst), "x", len(x))
	impl := active()
	switch a {
	case NoActivation:
		copy(dst, x)
	case ReLU, ReLU6:
		least, most, _ := a.Bounds()
		impl.clamp(dst, x, least, most)
	case LeakyReLU:
		impl.leakyReLU(dst, x, slope)
	case Sigmoid:
		impl.sigmoid(dst, x)
	case SiLU:
		siluGate.apply(dst, x)
	case HardSigmoid:
		impl.hardSigmoid(dst, x)
	case HardSwish:
		impl.hardSwish(dst, x)
	case ExactGELU:
		GELU(dst, x)
	case TanhGELU:
		tanhGELUGate.apply(dst, x)
	case QuickGELU:
		quickGELUGate.apply(dst, x)
	default:
		check(false, "Activate", "activation %d", a)
	}
}

// ActivateBackward computes dx[i] = dy[i]·a'(x[i]), and y[i] = a(x[i]) again, of [ReLU], [SiLU] and the forms of GELU. All have the
// same length; dx may be dy, and y may be x.
func ActivateBackward(dx, y, x, dy []float32, a Activation) {
	sameLen("ActivateBackward", "dx", len(dx), "y", len(y))
	sameLen("ActivateBackward", "dx", len(dx), "x", len(x))
	sameLen("ActivateBackward", "dx", len(dx), "dy", len(dy))
	switch a {
	case ReLU:
		for i, v := range x {
			if v > 0 {
				dx[i] = dy[i]
			} else {
				dx[i] = 0
			}
			y[i] = max(v, 0)
		}
	case SiLU:
		siluGate.backward(dx, y, x, dy)
	case ExactGELU:
		GELUBackward(dx, y, x, dy)
	case TanhGELU:
		tanhGELUGate.backward(dx, y, x, dy)
	case QuickGELU:
		quickGELUGate.backward(dx, y, x, dy)
	default:
		check(false, "ActivateBackward", "activation %d has no gradient here", a)
	}
}

func clampGeneric(dst, x []float32, least, most float32) {
	for i, v := range x {
		dst[i] = min(max(v, least), most)
	}
}

func leakyReLUGeneric(dst, x []float32, slope float32) {
	for i, v := range x {
		if v < 0 {
			v *= slope
		}
		dst[i] = v
	}
}

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

func sigmoidGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] = sigmoid(v)
	}
}

func hardSigmoidOf(x float32) float32 { return min(max(x+3, 0), 6) * (1.0 / 6) }

func hardSigmoidGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] = hardSigmoidOf(v)
	}
}

func hardSwishGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] = v * hardSigmoidOf(v)
	}
}
