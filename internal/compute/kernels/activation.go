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

// Activate computes dst[i] = a(x[i]). Both have the same length. slope is that of [LeakyReLU].
func Activate(dst, x []float32, a Activation, slope float32) {
	sameLen("Activate", "dst", len(dst), "x", len(x))
	switch a {
	case NoActivation:
		copy(dst, x)
	case ReLU:
		for i, v := range x {
			dst[i] = max(v, 0)
		}
	case ReLU6:
		for i, v := range x {
			dst[i] = min(max(v, 0), 6)
		}
	case LeakyReLU:
		for i, v := range x {
			if v < 0 {
				v *= slope
			}
			dst[i] = v
		}
	case Sigmoid:
		for i, v := range x {
			dst[i] = sigmoid(v)
		}
	case SiLU:
		siluGate.apply(dst, x)
	case HardSigmoid:
		for i, v := range x {
			dst[i] = min(max(v+3, 0), 6) * (1.0 / 6)
		}
	case HardSwish:
		for i, v := range x {
			dst[i] = v * (min(max(v+3, 0), 6) * (1.0 / 6))
		}
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

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }
