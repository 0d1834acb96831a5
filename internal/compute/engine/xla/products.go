package xla

import (
	"strconv"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// MatMul implements [engine.Device]. Of TN, which is the gradient of a weight, one factor is a gradient: the rows behind its own are zero, so
// those of the other do not count.
func (d *Device) MatMul(dst, a, b *engine.Tensor, op engine.Transpose, accumulate bool) {
	m, k, n := a.Rows, a.Cols, b.Cols
	switch op {
	case engine.NN:
		engine.CheckShape("matmul", "b", b, k, n)
	case engine.NT:
		n = b.Rows
		engine.CheckShape("matmul", "b", b, n, k)
	case engine.TN:
		m, k = a.Cols, a.Rows
		engine.CheckShape("matmul", "b", b, k, n)
	}
	engine.CheckShape("matmul", "dst", dst, m, n)
	sum := absent
	if accumulate {
		sum = d.tensor(dst)
	}
	if op == engine.TN {
		k = 0 // a batch's, which is no attribute
	}
	record(d, "matmul", matmul{op, k, n, of(dst).room}, lowerMatMul, []*engine.Tensor{dst}, d.tensor(a), d.tensor(b), sum)
}

// matmul says what MatMul is to do.
type matmul struct {
	op         engine.Transpose
	k, n, rows int // of the sum, but for TN; of the columns and of the device's rows of the result
}

func lowerMatMul(b *builder, a matmul, ins []val) []val {
	var r val
	if a.op == engine.TN {
		r = b.fit(b.product(ins[0], ins[1], 0, 0, 0), a.rows)
	} else {
		r = b.through(ins[0], ins[1], a.op, a.k, a.n)
	}
	if ins[2].ok() {
		r = b.add(ins[2], r)
	}
	return []val{r}
}

// through is x·w or x·wᵀ, a sum over k, with n columns.
func (b *builder) through(x, w val, op engine.Transpose, k, n int) val {
	if op == engine.NT {
		return b.product(x, b.fit(w, n), 0, 1, 1)
	}
	return b.product(x, b.fit(w, k), 0, 1, 0)
}

// Linear implements [engine.Device].
func (d *Device) Linear(y, x *engine.Tensor, w engine.Weight, bias *engine.Tensor) {
	d.linear("linear", linear{}, []*engine.Tensor{y}, x, w, bias)
}

// LinearActivate implements [engine.Device].
func (d *Device) LinearActivate(y, h, x *engine.Tensor, w engine.Weight, bias *engine.Tensor, a engine.Activation) {
	engine.CheckShape("linear activate", "y", y, h.Rows, h.Cols)
	checkActivation("linear activate", a)
	d.linear("linear activate", linear{activation: a}, []*engine.Tensor{h, y}, x, w, bias) // where h is y, y counts
}

// linear says how rows are multiplied by a weight.
type linear struct {
	op         engine.Transpose
	in, out    int
	bytes      bool
	activation engine.Activation // of the second result
}

func linearOf(w engine.Weight) linear {
	p, _ := w.Prepared.(prepared)
	return linear{op: w.Op, in: w.In(), out: w.Out(), bytes: p.bytes}
}

func (d *Device) linear(op string, a linear, outs []*engine.Tensor, x *engine.Tensor, w engine.Weight, bias *engine.Tensor) {
	l := linearOf(w)
	l.activation = a.activation
	engine.CheckShape(op, "x", x, x.Rows, l.in)
	engine.CheckShape(op, "y", outs[0], x.Rows, l.out)
	if bias != nil {
		engine.CheckShape(op, "bias", bias, 1, l.out)
	}
	d.asked.Add(int64(x.Rows) * int64(l.in*l.out))
	d.padded.Add(int64(of(x).room-x.Rows) * int64(l.in*l.out))
	record(d, op, l, lowerLinear, outs, d.tensor(x), d.weight(w), d.tensor(bias))
}

func lowerLinear(b *builder, a linear, ins []val) []val {
	h := b.linear(a, ins[0], ins[1], ins[2])
	return []val{h, b.activate(h, a.activation, 0)}
}

// linear is x·w + bias, which may be none.
func (b *builder) linear(a linear, x, w, bias val) val {
	var scale val
	if a.bytes {
		x, scale = b.bytes(x)
	}
	y := b.through(x, w, a.op, a.in, a.out)
	if a.bytes {
		y = b.multiply(y, b.column(scale, a.out))
	}
	if bias.ok() {
		y = b.add(y, b.row(bias, y.dims[0]))
	}
	return y
}

// bytes rounds each row of x to 8 bits as the kernels' products of bytes do: the range of the row, with zero in it, has 255 steps. It returns
// the whole numbers and what to multiply each row of a product by. The steps are found in float64, so that they are the same ones.
func (b *builder) bytes(x val) (rounded, scale val) {
	rows, cols := x.dims[0], x.dims[1]
	zeros := b.number(0, rows)
	most := b.convert(b.maximum(b.largest(x, 1), zeros), pjrt.F64)
	negative := b.convert(b.maximum(b.largest(b.unary("negate", x), 1), zeros), pjrt.F64)
	width := b.add(most, negative)
	steps := b.constant(pjrt.F64, "255.0", rows)
	inverse := b.divide(steps, width)
	none := b.compare("LT", width, b.constant(pjrt.F64, strconv.FormatFloat(255*0x1p-126, 'e', -1, 64), rows)) // nothing that a product would show
	scale = b.choose(none, zeros, b.convert(b.divide(width, steps), f32))
	factor := b.choose(none, zeros, b.convert(inverse, f32))
	zero := b.choose(none, zeros, b.convert(b.unary("round_nearest_even", b.multiply(negative, inverse)), f32))

	q := b.unary("round_nearest_even", b.multiply(x, b.column(factor, cols)))
	from := b.column(b.unary("negate", zero), cols)
	return b.minimum(b.maximum(q, from), b.plus(from, 255)), scale
}
