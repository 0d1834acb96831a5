package xla

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// pool says what a pool is to do.
type pool struct {
	engine.Window
	countPadding bool
	rows         int // the device's, of the result
}

// MaxPool implements [engine.Device].
func (d *Device) MaxPool(y, x *engine.Tensor, w engine.Window) {
	d.pool("max pool", y, x, w, false, lowerMaxPool)
}

// AveragePool implements [engine.Device].
func (d *Device) AveragePool(y, x *engine.Tensor, w engine.Window, countPadding bool) {
	d.pool("average pool", y, x, w, countPadding, lowerAveragePool)
}

func (d *Device) pool(op string, y, x *engine.Tensor, w engine.Window, countPadding bool, lower func(*builder, pool, []val) []val) {
	w = w.Check(op, y, x, x.Cols, x.Cols)
	if y.Rows == 0 {
		return
	}
	record(d, op, pool{w, countPadding, of(y).room}, lower, []*engine.Tensor{y}, d.tensor(x))
}

func lowerMaxPool(b *builder, p pool, ins []val) []val {
	x := b.picture(ins[0], p.Height, p.Width)
	return []val{b.rows(b.window("maximum", x, b.number(math.Inf(-1)), p.Window), p.rows)}
}

func lowerAveragePool(b *builder, p pool, ins []val) []val {
	sum := b.window("add", b.picture(ins[0], p.Height, p.Width), b.number(0), p.Window)
	count := b.like(sum, float64(p.Rows*p.Cols))
	if !p.countPadding {
		height, width := p.Out()
		lines, columns := make([]float32, height), make([]float32, width)
		for i := range lines {
			lines[i] = within(i*p.Stride-p.Top, p.Rows, p.Dilation, p.Height)
		}
		for i := range columns {
			columns[i] = within(i*p.Stride-p.Left, p.Cols, p.Dilation, p.Width)
		}
		count = b.multiply(b.spread(b.numbers(lines), sum.dims, 1), b.spread(b.numbers(columns), sum.dims, 2))
		count = b.maximum(count, b.like(sum, 1))
	}
	return []val{b.rows(b.divide(sum, count), p.rows)}
}

// within returns how many of n places, from one on, are those of a line of size pixels.
func within(from, n, step, size int) (count float32) {
	for i := range n {
		if at := from + i*step; at >= 0 && at < size {
			count++
		}
	}
	return count
}

// Resize implements [engine.Device].
func (d *Device) Resize(y, x *engine.Tensor, r engine.Resize) {
	r.Check(y, x)
	record(d, "resize", resize{r, of(y).room}, lowerResize, []*engine.Tensor{y}, d.tensor(x))
}

// resize says what Resize is to do.
type resize struct {
	engine.Resize
	rows int // the device's, of the result
}

// lowerResize takes lines of the picture, then columns.
func lowerResize(b *builder, r resize, ins []val) []val {
	channels := ins[0].dims[1]
	lines := b.reshape(b.fit(ins[0], r.Height*r.Width), r.Height, r.Width*channels)
	lines = b.resized(lines, r.Resize, r.Height, r.ToHeight)
	turn := func(x val, rows, cols int) val {
		x = b.transpose(b.reshape(x, rows, cols, channels), 1, 0, 2)
		return b.reshape(x, cols, rows*channels)
	}
	columns := b.resized(turn(lines, r.ToHeight, r.Width), r.Resize, r.Width, r.ToWidth)
	y := turn(columns, r.ToWidth, r.ToHeight)
	return []val{b.fit(b.reshape(y, r.ToHeight*r.ToWidth, channels), r.rows)}
}

// resized makes `to` rows of `from`, each one of these or a mean of two.
func (b *builder) resized(x val, r engine.Resize, from, to int) val {
	firsts, seconds, shares := make([]int, to), make([]int, to), make([]float32, to)
	for i := range to {
		if r.Nearest {
			firsts[i] = r.Closest(i, from, to)
		} else {
			firsts[i], seconds[i], shares[i] = r.Between(i, from, to)
		}
	}
	first := b.take(x, b.integers(firsts))
	if r.Nearest {
		return first
	}
	share := b.column(b.numbers(shares), x.dims[1])
	second := b.take(x, b.integers(seconds))
	return b.add(b.multiply(b.subtract(b.like(share, 1), share), first), b.multiply(share, second))
}

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
