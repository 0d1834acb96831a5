package xla

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Concatenate implements [engine.Device].
func (d *Device) Concatenate(y *engine.Tensor, xs ...*engine.Tensor) {
	cols, ins := 0, make([]operand, len(xs))
	for i, x := range xs {
		engine.CheckShape("concatenate", "x", x, y.Rows, x.Cols)
		cols += x.Cols
		ins[i] = d.tensor(x)
	}
	engine.CheckShape("concatenate", "y", y, y.Rows, cols)
	record(d, "concatenate", none{}, lowerConcatenate, []*engine.Tensor{y}, ins...)
}

func lowerConcatenate(b *builder, _ none, ins []val) []val { return []val{b.concatenate(1, ins...)} }

// Slice implements [engine.Device].
func (d *Device) Slice(y, x *engine.Tensor, first int) {
	engine.CheckShape("slice", "y", y, x.Rows, y.Cols)
	if first < 0 || first+y.Cols > x.Cols {
		panic(engine.ShapeError{Op: "slice", Detail: fmt.Sprintf("columns %d to %d of %d", first, first+y.Cols, x.Cols)})
	}
	record(d, "slice", columns{first, first + y.Cols}, lowerSlice, []*engine.Tensor{y}, d.tensor(x))
}

type columns struct{ from, to int }

func lowerSlice(b *builder, c columns, ins []val) []val {
	return []val{b.slice(ins[0], []int{0, c.from}, []int{ins[0].dims[0], c.to})}
}
