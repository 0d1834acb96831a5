package xla

import (
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// elementwise records y = lower(xs), element by element.
func (d *Device) elementwise(op string, lower func(b *builder, _ none, ins []val) []val, y *engine.Tensor, xs ...*engine.Tensor) {
	var ins [3]operand
	for i, x := range xs {
		engine.CheckShape(op, "an operand", x, y.Rows, y.Cols)
		ins[i] = d.tensor(x)
	}
	record(d, op, none{}, lower, []*engine.Tensor{y}, ins[:len(xs)]...)
}

// Copy implements [engine.Device].
func (d *Device) Copy(dst, x *engine.Tensor) {
	engine.CheckShape("copy", "an operand", x, dst.Rows, dst.Cols)
	record(d, "copy", of(dst).room, lowerCopy, []*engine.Tensor{dst}, d.tensor(x))
}

// lowerCopy makes the rows of the device's memory as many as the copy's, which may have been made for another batch.
func lowerCopy(b *builder, room int, ins []val) []val {
	if ins[0].dims[0] == room {
		return ins
	}
	return []val{b.fit(ins[0], room)}
}

// Add implements [engine.Device].
func (d *Device) Add(dst, a, b *engine.Tensor) { d.elementwise("add", lowerAdd, dst, a, b) }

func lowerAdd(b *builder, _ none, ins []val) []val { return []val{b.add(ins[0], ins[1])} }

// Multiply implements [engine.Device].
func (d *Device) Multiply(dst, a, b *engine.Tensor) {
	d.elementwise("multiply", lowerMultiply, dst, a, b)
}

func lowerMultiply(b *builder, _ none, ins []val) []val { return []val{b.multiply(ins[0], ins[1])} }

// Scale implements [engine.Device].
func (d *Device) Scale(dst, x *engine.Tensor, c float32) {
	engine.CheckShape("scale", "x", x, dst.Rows, dst.Cols)
	record(d, "scale", none{}, lowerScale, []*engine.Tensor{dst}, d.tensor(x), d.scalar(c))
}

// ScaleBy implements [engine.Device].
func (d *Device) ScaleBy(dst, x, c *engine.Tensor) {
	engine.CheckShape("scale by", "c", c, 1, 1)
	engine.CheckShape("scale by", "x", x, dst.Rows, dst.Cols)
	record(d, "scale", none{}, lowerScale, []*engine.Tensor{dst}, d.tensor(x), d.tensor(c))
}

func lowerScale(b *builder, _ none, ins []val) []val {
	return []val{b.multiply(ins[0], b.fill(ins[1], ins[0].dims...))}
}

// Sigmoid implements [engine.Device].
func (d *Device) Sigmoid(y, x *engine.Tensor) { d.elementwise("sigmoid", lowerSigmoid, y, x) }

func lowerSigmoid(b *builder, _ none, ins []val) []val { return []val{b.unary("logistic", ins[0])} }

// SigmoidBackward implements [engine.Device].
func (d *Device) SigmoidBackward(dx, dy, y *engine.Tensor) {
	d.elementwise("sigmoid backward", lowerSigmoidBackward, dx, dy, y)
}

func lowerSigmoidBackward(b *builder, _ none, ins []val) []val {
	dy, y := ins[0], ins[1]
	return []val{b.multiply(b.multiply(dy, y), b.subtract(b.like(y, 1), y))}
}

// Tanh implements [engine.Device].
func (d *Device) Tanh(y, x *engine.Tensor) { d.elementwise("tanh", lowerTanh, y, x) }

func lowerTanh(b *builder, _ none, ins []val) []val { return []val{b.unary("tanh", ins[0])} }

// TanhBackward implements [engine.Device].
func (d *Device) TanhBackward(dx, dy, y *engine.Tensor) {
	d.elementwise("tanh backward", lowerTanhBackward, dx, dy, y)
}

func lowerTanhBackward(b *builder, _ none, ins []val) []val {
	dy, y := ins[0], ins[1]
	return []val{b.multiply(dy, b.subtract(b.like(y, 1), b.multiply(y, y)))}
}

// ReLU implements [engine.Device].
func (d *Device) ReLU(y, x *engine.Tensor) { d.elementwise("relu", lowerReLU, y, x) }

func lowerReLU(b *builder, _ none, ins []val) []val {
	return []val{b.maximum(ins[0], b.like(ins[0], 0))}
}

// ReLUBackward implements [engine.Device].
func (d *Device) ReLUBackward(dx, dy, y *engine.Tensor) {
	d.elementwise("relu backward", lowerReLUBackward, dx, dy, y)
}

func lowerReLUBackward(b *builder, _ none, ins []val) []val {
	zero := b.like(ins[0], 0)
	return []val{b.choose(b.compare("GT", ins[1], zero), ins[0], zero)}
}

// Dropout implements [engine.Device].
func (d *Device) Dropout(y, x *engine.Tensor, o engine.Dropout) {
	engine.CheckShape("dropout", "y", y, x.Rows, x.Cols)
	record(d, "dropout", o.Prob, lowerDropout, []*engine.Tensor{y}, d.tensor(x), d.dropout(o))
}

func lowerDropout(b *builder, prob float32, ins []val) []val {
	return []val{b.dropRows(ins[0], ins[1], prob)}
}

// Noise implements [engine.Device], with the processor's bits. Rows behind have no bound, so they are zero.
func (d *Device) Noise(x *engine.Tensor, bounds []float32, n engine.Noise) {
	n.Check("noise", x, bounds)
	record(d, "noise", x.Cols, lowerNoise, []*engine.Tensor{x}, host(pjrt.F32, bounds, of(x).room), d.stream(n.Key, n.Stream))
}

func lowerNoise(b *builder, cols int, ins []val) []val {
	rows := ins[0].dims[0]
	words := b.reshape(b.words(ins[1], rows*cols), rows, cols)
	share := b.times(b.convert(b.bits(words, pjrt.I32), f32), 1.0/(1<<31))
	return []val{b.multiply(share, b.column(ins[0], cols))}
}
