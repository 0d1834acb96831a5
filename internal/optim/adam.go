package optim

import (
	"fmt"
	"math"
	"strings"

	"github.com/unimo-go/unimo/internal/engine"
)

// Config holds the optimiser's constants.
type Config struct {
	Beta1, Beta2 float64
	Epsilon      float64
	WeightDecay  float64
	ClipNorm     float64 // 0: no clipping
}

// Default is what every recipe of the reference starts from (SNLI-VE has beta2
// 0.999, generation decays with 0.01).
var Default = Config{Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-6, ClipNorm: 1}

// Param is one tensor to optimise.
type Param struct {
	Name        string
	Value, Grad *engine.Tensor
}

// Adam holds the moments of its parameters.
//
// With g' the clipped gradient and t counted from 1:
//
//	m = β1·m + (1-β1)·g'     v = β2·v + (1-β2)·g'²
//	p = p - lr·sqrt(1-β2ᵗ)/(1-β1ᵗ) · m/(sqrt(v)+ε) - lr·decay·p
//
// As in Paddle 1.8, ε is added to the uncorrected sqrt(v), and the decay takes the
// parameter before the step and the scheduled rate.
type Adam struct {
	cfg    Config
	dev    engine.Device
	params []Param
	m, v   []*engine.Tensor
	steps  int
}

// NewAdam returns an optimiser with zero moments.
func NewAdam(d engine.Device, cfg Config, params []Param) *Adam {
	a := &Adam{cfg: cfg, dev: d, params: params}
	for _, p := range params {
		m, v := d.New(p.Value.Rows, p.Value.Cols), d.New(p.Value.Rows, p.Value.Cols)
		d.Zero(m)
		d.Zero(v)
		a.m, a.v = append(a.m, m), append(a.v, v)
	}
	return a
}

// Steps returns the number of steps taken.
func (a *Adam) Steps() int { return a.steps }

// SetSteps restores the number of steps taken, for a resumed run.
func (a *Adam) SetSteps(n int) { a.steps = n }

// Moments returns the first and second moment of the i-th parameter, to save and
// restore.
func (a *Adam) Moments(i int) (m, v *engine.Tensor) { return a.m[i], a.v[i] }

// Step updates the parameters with the given learning rate and returns the norm
// of all gradients before clipping. Gradients that are not finite change nothing
// and are an error.
func (a *Adam) Step(rate float64) (gradNorm float64, err error) {
	var sum float64
	for _, p := range a.params {
		sum += a.dev.SumSquares(p.Grad)
	}
	gradNorm = math.Sqrt(sum)
	if math.IsNaN(gradNorm) || math.IsInf(gradNorm, 0) {
		return gradNorm, fmt.Errorf("the gradient's norm is %v in %s", gradNorm, a.firstBad())
	}
	clip := 1.0
	if a.cfg.ClipNorm > 0 {
		clip = a.cfg.ClipNorm / max(gradNorm, a.cfg.ClipNorm)
	}
	a.steps++
	t := float64(a.steps)
	step := engine.AdamStep{
		Beta1: float32(a.cfg.Beta1), Beta2: float32(a.cfg.Beta2), Epsilon: float32(a.cfg.Epsilon),
		StepSize:  float32(rate * math.Sqrt(1-math.Pow(a.cfg.Beta2, t)) / (1 - math.Pow(a.cfg.Beta1, t))),
		GradScale: float32(clip),
	}
	for i, p := range a.params {
		step.Decay = 0
		if Decayed(p.Name) {
			step.Decay = float32(a.cfg.WeightDecay * rate)
		}
		a.dev.Adam(p.Value, a.m[i], a.v[i], p.Grad, step)
	}
	return gradNorm, nil
}

// firstBad names the first parameter whose gradient is not finite.
func (a *Adam) firstBad() string {
	for _, p := range a.params {
		if s := a.dev.SumSquares(p.Grad); math.IsNaN(s) || math.IsInf(s, 0) {
			return p.Name
		}
	}
	return "the sum over all parameters"
}

// Decayed says whether weight decay applies to a parameter, by the reference's
// rule on names (under which cls_out_b_0 and cls_out_b_1 are decayed).
func Decayed(name string) bool {
	if strings.Contains(name, "layer_norm") {
		return false
	}
	for _, suffix := range []string{"_bias", "_b", ".b_0"} {
		if strings.HasSuffix(name, suffix) {
			return false
		}
	}
	return true
}
