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
		for i, v := range x {
			dst[i] = v * sigmoid(v)
		}
	case HardSigmoid:
		for i, v := range x {
			dst[i] = min(max(v+3, 0), 6) * (1.0 / 6)
		}
	case HardSwish:
		for i, v := range x {
			dst[i] = v * (min(max(v+3, 0), 6) * (1.0 / 6))
		}
	default:
		check(false, "Activate", "activation %d", a)
	}
}

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }
