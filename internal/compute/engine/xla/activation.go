package xla

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

func checkActivation(op string, a engine.Activation) {
	if a < engine.NoActivation || a > engine.QuickGELU {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("activation %d", a)})
	}
}

// activation is what Activate does last; slope is that of LeakyReLU.
type activation struct {
	engine.Activation
	slope float32
}

// Activate implements [engine.Device].
func (d *Device) Activate(y, x *engine.Tensor, e engine.Epilogue) {
	engine.CheckShape("activate", "y", y, x.Rows, x.Cols)
	if e.Residual != nil {
		engine.CheckShape("activate", "residual", e.Residual, x.Rows, x.Cols)
	}
	checkActivation("activate", e.Activation)
	record(d, "activate", activation{e.Activation, e.Slope}, lowerActivate, []*engine.Tensor{y}, d.tensor(x), d.tensor(e.Residual))
}

func lowerActivate(b *builder, a activation, ins []val) []val {
	x := ins[0]
	if ins[1].ok() {
		x = b.add(x, ins[1])
	}
	return []val{b.activate(x, a.Activation, a.slope)}
}

// ActivateBackward implements [engine.Device].
func (d *Device) ActivateBackward(dx, y, dy, x *engine.Tensor, a engine.Activation) {
	for _, t := range [...]*engine.Tensor{dx, y, dy} {
		engine.CheckShape("activate backward", "an operand", t, x.Rows, x.Cols)
	}
	switch a {
	case engine.ReLU, engine.SiLU, engine.GELU, engine.TanhGELU, engine.QuickGELU:
	default:
		panic(engine.ShapeError{Op: "activate backward", Detail: fmt.Sprintf("activation %d has no gradient here", a)})
	}
	record(d, "activate backward", a, lowerActivateBackward, []*engine.Tensor{dx, y}, d.tensor(dy), d.tensor(x))
}

// lowerActivateBackward computes a(x) again; that of the forward pass would be kept.
func lowerActivateBackward(b *builder, a engine.Activation, ins []val) []val {
	y, slope := b.activateWithSlope(b.after(ins[1], ins[0]), a)
	return []val{b.multiply(ins[0], slope), y}
}

// activate is a(x). Slope is that of LeakyReLU.
func (b *builder) activate(x val, a engine.Activation, slope float32) val {
	switch a {
	case engine.NoActivation:
		return x
	case engine.ReLU6:
		return b.clamp(x, 0, 6)
	case engine.LeakyReLU:
		return b.choose(b.compare("LT", x, b.like(x, 0)), b.times(x, float64(slope)), x)
	case engine.Sigmoid:
		return b.unary("logistic", x)
	case engine.HardSigmoid:
		return b.hardSigmoid(x)
	case engine.HardSwish:
		return b.multiply(x, b.hardSigmoid(x))
	}
	y, _ := b.activateWithSlope(x, a)
	return y
}

func (b *builder) hardSigmoid(x val) val { return b.times(b.clamp(b.plus(x, 3), 0, 6), 1.0/6) }

func (b *builder) clamp(x val, least, most float64) val {
	return b.minimum(b.maximum(x, b.like(x, least)), b.like(x, most))
}

// activateWithSlope is a(x) and a'(x) of those that have a gradient. Nobody computes a slope that nobody reads. It is finite for any x.
func (b *builder) activateWithSlope(x val, a engine.Activation) (y, slope val) {
	switch a {
	case engine.ReLU:
		zero := b.like(x, 0)
		return b.maximum(x, zero), b.choose(b.compare("GT", x, zero), b.like(x, 1), zero)
	case engine.SiLU:
		return b.gate(x, 1, 0)
	case engine.QuickGELU:
		return b.gate(x, 1.702, 0)
	case engine.TanhGELU: // x·(1+tanh(u/2))/2 is x·σ(u)
		c := 2 * math.Sqrt(2/math.Pi)
		return b.gate(x, c, 0.044715*c)
	}
	const limit = 30 // where Φ is 0 or 1, and its density 0
	z := b.clamp(x, -limit, limit)
	erf := b.line(f32, x.dims, "chlo.erf %s : %s -> %s", b.times(z, math.Sqrt2/2).name, x.tensor(), x.tensor())
	phi := b.times(b.plus(erf, 1), 0.5)
	density := b.times(b.unary("exponential", b.times(b.multiply(z, z), -0.5)), 1/math.Sqrt(2*math.Pi))
	return b.multiply(b.maximum(x, b.like(x, -limit)), phi), b.add(phi, b.multiply(z, density))
}

// gate is f = x·σ(u(x)) with u = x·(A + B·x²), and its slope σ + x·σ·(1-σ)·u'.
func (b *builder) gate(x val, A, B float64) (y, slope val) {
	limit := 87 / A // where σ is 0 or 1
	z := b.clamp(x, -limit, limit)
	square := b.times(b.multiply(z, z), B)
	u := b.multiply(z, b.plus(square, A))
	sigma, rest := b.unary("logistic", u), b.unary("logistic", b.unary("negate", u))
	du := b.plus(b.times(square, 3), A)
	bend := b.multiply(b.multiply(z, du), rest)
	return b.multiply(b.maximum(x, b.like(x, -limit)), sigma), b.multiply(sigma, b.plus(bend, 1))
}

// SwiGLU implements [engine.Device].
func (d *Device) SwiGLU(y, h *engine.Tensor) {
	engine.CheckShape("swiglu", "h", h, y.Rows, 2*y.Cols)
	record(d, "swiglu", none{}, lowerSwiGLU, []*engine.Tensor{y}, d.tensor(h))
}

func lowerSwiGLU(b *builder, _ none, ins []val) []val {
	first, second := b.halves(ins[0])
	return []val{b.multiply(b.activate(first, engine.SiLU, 0), second)}
}

// SwiGLUBackward implements [engine.Device].
func (d *Device) SwiGLUBackward(dh, dy, h *engine.Tensor) {
	engine.CheckShape("swiglu backward", "h", h, dy.Rows, 2*dy.Cols)
	engine.CheckShape("swiglu backward", "dh", dh, dy.Rows, 2*dy.Cols)
	record(d, "swiglu backward", none{}, lowerSwiGLUBackward, []*engine.Tensor{dh}, d.tensor(dy), d.tensor(h))
}

func lowerSwiGLUBackward(b *builder, _ none, ins []val) []val {
	dy := ins[0]
	first, second := b.halves(ins[1])
	y, slope := b.activateWithSlope(first, engine.SiLU)
	return []val{b.concatenate(1, b.multiply(b.multiply(dy, second), slope), b.multiply(dy, y))}
}

func (b *builder) halves(h val) (first, second val) {
	rows, cols := h.dims[0], h.dims[1]/2
	return b.slice(h, []int{0, 0}, []int{rows, cols}), b.slice(h, []int{0, cols}, []int{rows, 2 * cols})
}
