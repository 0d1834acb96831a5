package nn

import (
	"github.com/unimo-go/unimo/internal/compute/autograd"
)

// Linear is an affine map; B is nil in one without a bias.
type Linear struct {
	W *autograd.Weight
	B *autograd.Var
}

// Apply returns the map of each row of x.
func (l Linear) Apply(t *autograd.Tape, x *autograd.Var) *autograd.Var { return t.Linear(x, l.W, l.B) }

// Norm is a layer norm of rows.
type Norm struct {
	Scale, Bias *autograd.Var
	Epsilon     float32
}

// Apply returns the norm of each row of x.
func (n Norm) Apply(t *autograd.Tape, x *autograd.Var) *autograd.Var {
	return t.LayerNorm(x, n.Scale, n.Bias, n.Epsilon)
}

// Add returns the norm of x + dropout(a).
func (n Norm) Add(t *autograd.Tape, x, a *autograd.Var, prob float32) *autograd.Var {
	return t.AddNorm(x, a, n.Scale, n.Bias, n.Epsilon, prob)
}
