package xla

import "github.com/unimo-go/unimo/internal/compute/engine"

// norm is the attributes of layer norms.
type norm struct{ eps, prob float32 }

// LayerNorm implements [engine.Device].
func (d *Device) LayerNorm(y, stats, x, scale, bias *engine.Tensor, eps float32) {
	d.norm("layer norm", y, nil, stats, x, nil, scale, bias, eps, engine.Dropout{})
}

// AddNorm implements [engine.Device].
func (d *Device) AddNorm(y, sum, stats, x, a, scale, bias *engine.Tensor, eps float32, o engine.Dropout) {
	engine.CheckShape("add norm", "a", a, x.Rows, x.Cols)
	if sum != nil {
		engine.CheckShape("add norm", "sum", sum, x.Rows, x.Cols)
	}
	d.norm("add norm", y, sum, stats, x, a, scale, bias, eps, o)
}

func (d *Device) norm(op string, y, sum, stats, x, a, scale, bias *engine.Tensor, eps float32, o engine.Dropout) {
	engine.CheckShape(op, "y", y, x.Rows, x.Cols)
	if stats != nil {
		engine.CheckShape(op, "stats", stats, x.Rows, 2)
	}
	engine.CheckShape(op, "scale", scale, 1, x.Cols)
	engine.CheckShape(op, "bias", bias, 1, x.Cols)
	record(d, op, norm{eps, o.Prob}, lowerNorm, []*engine.Tensor{sum, stats, y},
		d.tensor(x), d.tensor(a), d.dropout(o), d.tensor(scale), d.tensor(bias))
}

func lowerNorm(b *builder, n norm, ins []val) []val {
	x, a, stream, scale, bias := ins[0], ins[1], ins[2], ins[3], ins[4]
	rows, cols := x.dims[0], x.dims[1]
	if a.ok() {
		x = b.add(x, b.dropRows(a, stream, n.prob))
	}
	mean := b.meanOfRows(x)
	off := b.subtract(x, b.column(mean, cols))
	variance := b.meanOfRows(b.multiply(off, off))
	inverse := b.unary("rsqrt", b.plus(variance, float64(n.eps)))
	y := b.multiply(b.multiply(off, b.column(inverse, cols)), b.row(scale, rows))
	stats := b.concatenate(1, b.reshape(mean, rows, 1), b.reshape(inverse, rows, 1))
	return []val{x, stats, b.add(y, b.row(bias, rows))}
}

// meanOfRows is the mean of each row.
func (b *builder) meanOfRows(x val) val {
	return b.times(b.sum(x, 1), 1/float64(max(x.dims[1], 1)))
}

// LayerNormBackward implements [engine.Device].
func (d *Device) LayerNormBackward(dx, dscale, dbias, dy, x, scale, stats *engine.Tensor) {
	d.normBackward("layer norm backward", dx, nil, dscale, dbias, dy, x, scale, stats, engine.Dropout{})
}

// AddNormBackward implements [engine.Device].
func (d *Device) AddNormBackward(dx, da, dscale, dbias, dy, sum, scale, stats *engine.Tensor, o engine.Dropout) {
	engine.CheckShape("add norm backward", "da", da, sum.Rows, sum.Cols)
	d.normBackward("add norm backward", dx, da, dscale, dbias, dy, sum, scale, stats, o)
}

func (d *Device) normBackward(op string, dx, da, dscale, dbias, dy, x, scale, stats *engine.Tensor, o engine.Dropout) {
	engine.CheckShape(op, "dx", dx, x.Rows, x.Cols)
	engine.CheckShape(op, "dy", dy, x.Rows, x.Cols)
	engine.CheckShape(op, "dscale", dscale, 1, x.Cols)
	engine.CheckShape(op, "dbias", dbias, 1, x.Cols)
	engine.CheckShape(op, "scale", scale, 1, x.Cols)
	engine.CheckShape(op, "stats", stats, x.Rows, 2)
	record(d, op, norm{prob: o.Prob}, lowerNormBackward, []*engine.Tensor{dscale, dbias, dx, da},
		d.tensor(dy), d.tensor(x), d.tensor(scale), d.tensor(stats), d.dropout(o))
}

func lowerNormBackward(b *builder, n norm, ins []val) []val {
	dy, x, scale, stats, stream := ins[0], ins[1], ins[2], ins[3], ins[4]
	rows, cols := x.dims[0], x.dims[1]
	part := func(i int) val {
		return b.column(b.slice(stats, []int{0, i}, []int{rows, i + 1}), cols)
	}
	inverse := part(1)
	hat := b.multiply(b.subtract(x, part(0)), inverse)
	g := b.multiply(dy, b.row(scale, rows))
	mean := func(v val) val { return b.column(b.meanOfRows(v), cols) }
	rest := b.subtract(b.subtract(g, mean(g)), b.multiply(hat, mean(b.multiply(g, hat))))
	dx := b.multiply(rest, inverse)
	sum := func(v val) val { return b.reshape(b.sum(v, 0), 1, cols) }
	return []val{sum(b.multiply(dy, hat)), sum(dy), dx, b.dropRows(dx, stream, n.prob)}
}

// Normalize implements [engine.Device].
func (d *Device) Normalize(y, inverse, x *engine.Tensor) {
	engine.CheckShape("normalize", "y", y, x.Rows, x.Cols)
	engine.CheckShape("normalize", "inverse", inverse, x.Rows, 1)
	record(d, "normalize", none{}, lowerNormalize, []*engine.Tensor{y, inverse}, d.tensor(x))
}

// lowerNormalize divides by the largest element first, so that no square is too large or too small.
func lowerNormalize(b *builder, _ none, ins []val) []val {
	x := ins[0]
	rows, cols := x.dims[0], x.dims[1]
	zero := b.number(0, rows)
	most := b.maximum(b.largest(b.unary("abs", x), 1), zero)
	empty := b.compare("EQ", most, zero)
	some := b.choose(empty, b.number(1, rows), most)
	part := b.divide(x, b.column(some, cols))
	length := b.multiply(some, b.unary("sqrt", b.sum(b.multiply(part, part), 1)))
	inverse := b.choose(empty, zero, b.divide(b.number(1, rows), length))
	return []val{b.multiply(x, b.column(inverse, cols)), b.reshape(inverse, rows, 1)}
}

// NormalizeBackward implements [engine.Device].
func (d *Device) NormalizeBackward(dx, dy, y, inverse *engine.Tensor) {
	for _, t := range [...]*engine.Tensor{dx, dy} {
		engine.CheckShape("normalize backward", "an operand", t, y.Rows, y.Cols)
	}
	engine.CheckShape("normalize backward", "inverse", inverse, y.Rows, 1)
	record(d, "normalize backward", none{}, lowerNormalizeBackward, []*engine.Tensor{dx}, d.tensor(dy), d.tensor(y), d.tensor(inverse))
}

func lowerNormalizeBackward(b *builder, _ none, ins []val) []val {
	dy, y, inverse := ins[0], ins[1], ins[2]
	cols := y.dims[1]
	along := b.multiply(y, b.column(b.sum(b.multiply(y, dy), 1), cols))
	return []val{b.multiply(b.subtract(dy, along), b.column(inverse, cols))}
}
