package xla

import "github.com/unimo-go/unimo/internal/compute/engine"

// Copy implements [engine.Device].
func (d *Device) Copy(dst, x *engine.Tensor) {
	engine.CheckShape("copy", "x", x, dst.Rows, dst.Cols)
	record(d, "copy", none{}, lowerCopy, []*engine.Tensor{dst}, d.tensor(x))
}

func lowerCopy(_ *builder, _ none, ins []val) []val { return ins }

// Add implements [engine.Device].
func (d *Device) Add(dst, a, b *engine.Tensor) {
	engine.CheckShape("add", "a", a, dst.Rows, dst.Cols)
	engine.CheckShape("add", "b", b, dst.Rows, dst.Cols)
	record(d, "add", none{}, lowerAdd, []*engine.Tensor{dst}, d.tensor(a), d.tensor(b))
}

func lowerAdd(b *builder, _ none, ins []val) []val { return []val{b.add(ins[0], ins[1])} }
