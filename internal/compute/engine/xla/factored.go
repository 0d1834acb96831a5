package xla

import (
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// AdamFactored implements [engine.Device]. Sums are in float64.
func (d *Device) AdamFactored(p *engine.Tensor, f engine.Factored, g *engine.Tensor, rows []int32, s engine.AdamStep) {
	const op = "adam factored"
	f.Check(op, p)
	engine.CheckShape(op, "the gradient", g, p.Rows, p.Cols)
	engine.CheckIndices(op, rows, p.Rows)
	if rows != nil && len(rows) == 0 {
		return
	}
	record(d, op, none{}, lowerAdamFactored, []*engine.Tensor{p, f.Rows, f.Columns},
		d.tensor(p), d.tensor(f.Rows), d.tensor(f.Columns), d.tensor(g), d.coefficients(s), d.tensor(s.Clip), d.count(p.Rows), d.some(rows), d.count(len(rows)))
}

func lowerAdamFactored(b *builder, _ none, ins []val) []val {
	p, averages, columns, g, clip, height, rows, count := ins[0], ins[1], ins[2], ins[3], ins[5], b.convert(ins[6], pjrt.F64), ins[7], ins[8]
	n, cols := p.dims[0], p.dims[1]
	c := func(i int) val { return b.reshape(b.slice(ins[4], []int{i}, []int{i + 1})) }
	scale := c(6)
	if clip.ok() {
		scale = b.reshape(clip)
	}
	if rows.ok() {
		g = b.onlyRows([]val{b.like(g, 0)}, []val{g}, rows, count)[0]
	}
	inRows, inColumns := b.sumSquares(g, 1), b.sumSquares(g, 0)
	with := b.reduce("add", b.convert(b.compare("GT", inRows, b.like64(inRows, 0)), pjrt.F64), b.number64(0), 0) // rows
	square := b.convert(scale, pjrt.F64)
	square = b.multiply(square, square)
	mean := func(sums, of val) val {
		return b.divide(b.multiply(sums, b.fill(square, sums.dims...)), b.fill(of, sums.dims...))
	}
	moved := func(average, x val) val { // engine.Moved
		x = b.convert(b.reshape(x, average.dims...), f32)
		return b.dropTiny(b.add(b.multiply(b.fill(c(2), x.dims...), average), b.multiply(b.fill(c(3), x.dims...), x)))
	}
	means := mean(inRows, b.number64(float64(cols)))
	all := b.divide(b.reduce("add", means, b.number64(0), 0), height)
	averages = moved(averages, means)
	columns = moved(columns, b.concatenate(0, mean(inColumns, height), b.reshape(all, 1)))

	above := b.fill(b.slice(columns, []int{0, cols}, []int{1, cols + 1}), 1, cols)
	ratio := b.slice(columns, []int{0, 0}, []int{1, cols})
	ratio = b.choose(b.compare("GT", above, b.like(above, 0)), b.divide(ratio, above), b.like(ratio, 0))
	v := b.dropTiny(b.multiply(b.column(averages, cols), b.row(ratio, n)))
	m := b.dropTiny(b.multiply(b.fill(scale, g.dims...), g))
	root := b.add(b.unary("sqrt", v), b.fill(c(5), v.dims...))

	one := b.number64(1)
	values := b.multiply(b.maximum(with, one), b.number64(float64(cols)))
	size := b.unary("sqrt", b.divide(b.sumSquares(b.divide(m, root), 0, 1), values))
	size = b.divide(c(4), b.convert(b.maximum(size, one), f32))
	update := b.divide(b.multiply(b.fill(size, m.dims...), m), root)
	p = b.subtract(p, b.add(update, b.multiply(b.fill(c(7), p.dims...), p)))

	next := b.unlessNaN(ins[:3], []val{p, averages, columns}, clip)
	return append(b.onlyRows(ins[:2], next[:2:2], rows, count), next[2])
}

// AdamIdleFactored implements [engine.Device]; see [Device.AdamIdle].
func (d *Device) AdamIdleFactored(p *engine.Tensor, f engine.Factored, rows, from []int32, history []engine.AdamStep) {
	const op = "adam idle factored"
	f.Check(op, p)
	d.idle(op, p, rows, from, history, func(s engine.AdamStep, _ int, rows []int32, _ *engine.Tensor) {
		if len(rows) > 0 {
			record(d, op, none{}, lowerAdamIdleFactored, []*engine.Tensor{p, f.Rows}, d.tensor(p), d.tensor(f.Rows), d.coefficients(s), d.some(rows), d.count(len(rows)))
		}
	})
}

func lowerAdamIdleFactored(b *builder, _ none, ins []val) []val {
	p, averages := ins[0], ins[1]
	times := func(x val, i int) val {
		return b.multiply(x, b.fill(b.slice(ins[2], []int{i}, []int{i + 1}), x.dims...))
	}
	return b.onlyRows(ins[:2], []val{b.subtract(p, times(p, 7)), b.dropTiny(times(averages, 2))}, ins[3], ins[4])
}
