package xla

import (
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// ascent is what of a step of an attack belongs to a run, and on the grid how many examples it has.
type ascent struct {
	examples    int
	rate, bound float64
	largest     bool
	bySlopes    bool
}

// Ascend implements [engine.Device]; as on the processor it computes in float64.
func (d *Device) Ascend(x, slopes *engine.Tensor, scale float32, a engine.Ascent) {
	const op = "ascend"
	a.Check(op, x, slopes)
	n := len(a.Offsets) - 1
	owners := make([]int32, grid(x.Rows)) // of rows; -1: no example
	for row := range owners {
		owners[row] = -1
	}
	for i := range n {
		for row, to := a.Example(i); row < to; row++ {
			owners[row] = int32(i)
		}
	}
	record(d, op, ascent{grid(n), a.Rate, a.Bound, a.Largest, a.BySlopes}, lowerAscend, []*engine.Tensor{x}, d.tensor(x), d.tensor(slopes), d.ints(owners), d.scalar(scale))
}

func lowerAscend(b *builder, a ascent, ins []val) []val {
	x, slopes, owners := ins[0], b.convert(ins[1], pjrt.F64), ins[2]
	if a.examples == 0 {
		return ins[:1]
	}
	rows, cols := x.dims[0], x.dims[1]
	mine := b.compare("EQ", b.row(owners, a.examples), b.iota(pjrt.I32, 0, a.examples, rows))
	// size is the norm of each example's rows.
	size := func(x val) val {
		op, each := "add", b.multiply(x, x)
		if a.largest {
			op, each = "maximum", b.unary("abs", x)
		}
		each = b.row(b.reduce(op, each, b.number64(0), 1), a.examples)
		sum := b.reduce(op, b.choose(mine, each, b.like64(each, 0)), b.number64(0), 1)
		if a.largest {
			return sum
		}
		return b.unary("sqrt", sum)
	}
	// of gives all elements the number of their example.
	of := func(numbers val) val { return b.column(b.take(b.reshape(numbers, a.examples, 1), owners), cols) }
	scale := b.fill(b.convert(ins[3], pjrt.F64), a.examples)
	norm := b.maximum(b.multiply(size(slopes), scale), b.number64(engine.LeastSlopes, a.examples))
	rate := b.divide(b.multiply(b.number64(a.rate, a.examples), scale), norm)
	moved := b.convert(b.add(b.convert(x, pjrt.F64), b.multiply(of(rate), slopes)), f32)
	switch {
	case a.bound == 0:
	case a.largest:
		moved = b.minimum(b.maximum(moved, b.like(x, -a.bound)), b.like(x, a.bound))
	default:
		wide := b.convert(moved, pjrt.F64)
		if !a.bySlopes {
			norm = size(wide)
		}
		shrunk := b.convert(b.divide(b.multiply(wide, b.like64(wide, a.bound)), of(norm)), f32)
		above := b.compare("GT", of(norm), b.like64(wide, a.bound))
		moved = b.choose(above, shrunk, moved)
	}
	return []val{b.choose(b.compare("GE", b.column(owners, cols), b.integer(pjrt.I32, 0, rows, cols)), moved, x)}
}
