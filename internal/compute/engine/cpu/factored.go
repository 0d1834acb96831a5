package cpu

import (
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// factoredBlock is how many values of a matrix AdamFactored updates at a time: what is computed on the way stays in the cache.
const factoredBlock = 1 << 18

// AdamFactored implements [engine.Device].
func (d *Device) AdamFactored(p *engine.Tensor, f engine.Factored, g *engine.Tensor, rows []int32, s engine.AdamStep) {
	const op = "adam factored"
	f.Check(op, p)
	engine.CheckShape(op, "the gradient", g, p.Rows, p.Cols)
	engine.CheckIndices(op, rows, p.Rows)
	k, ok := clipped(s)
	count := p.Rows
	if rows != nil {
		count = len(rows)
	}
	if !ok || count == 0 {
		return
	}
	s.GradScale, s.Clip = k.GradScale, nil
	a := factored{d, f}
	blocks := d.blocks(p, g, count, rows)
	with := a.average(blocks, p, g, count, rows, s)

	columns := data(f.Columns)
	ratio := d.New(1, p.Cols)
	defer d.Free(ratio)
	ratios, all := data(ratio), columns[p.Cols]
	for j := range ratios {
		ratios[j] = 0
		if all > 0 {
			ratios[j] = columns[j] / all
		}
	}

	step := s
	step.Beta1, step.Beta2, step.StepSize, step.Decay = 0, 1, 1, 0
	var squares float64 // of the update
	for _, b := range blocks {
		b.gradient(func(g *engine.Tensor) {
			u := d.New(g.Rows, g.Cols)
			d.Zero(u)
			a.update(u, g, ratio, b, step)
			squares += engine.SumSquares(d, u)
			d.Free(u)
		})
	}
	root := math.Sqrt(squares / float64(max(with, 1)*p.Cols))
	step.StepSize, step.Decay = s.StepSize/float32(max(1, root)), s.Decay
	for _, b := range blocks {
		b.parameter(func(p *engine.Tensor) {
			b.gradient(func(g *engine.Tensor) { a.update(p, g, ratio, b, step) })
		})
	}
}

// factored makes steps with a second moment.
type factored struct {
	*Device
	engine.Factored
}

// update makes a step of Adam whose second moment is given.
func (a factored) update(p, g, ratio *engine.Tensor, b someRows, step engine.AdamStep) {
	zero, v, r := a.New(g.Rows, g.Cols), a.New(g.Rows, g.Cols), a.New(g.Rows, 1)
	a.Zero(zero)
	a.Gather(r, a.Factored.Rows, b.numbers, false)
	a.MatMul(v, r, ratio, engine.NN, false)
	a.Adam(p, zero, v, g, nil, step)
	for _, t := range []*engine.Tensor{zero, v, r} {
		a.Free(t)
	}
}

// average takes the squares of gradients into the averages, and returns how many rows have a gradient that is not zero.
func (a factored) average(blocks []someRows, p, g *engine.Tensor, count int, rows []int32, s engine.AdamStep) (with int) {
	sums := make([]float64, count)
	a.RowSquares(sums, g, rows)
	square := float64(s.GradScale) * float64(s.GradScale)
	averages := data(a.Factored.Rows)
	var all float64
	for i, sum := range sums {
		mean, row := sum*square/float64(p.Cols), rowIndex(rows, i)
		all += mean
		averages[row] = engine.Moved(averages[row], float32(mean), s.Beta2)
		if sum > 0 {
			with++
		}
	}

	sum := a.New(1, p.Cols)
	for i, b := range blocks {
		b.gradient(func(g *engine.Tensor) {
			squares := a.New(g.Rows, g.Cols)
			a.Multiply(squares, g, g)
			a.SumRows(sum, squares, i > 0)
			a.Free(squares)
		})
	}
	columns := data(a.Columns)
	for j, s2 := range data(sum) {
		columns[j] = engine.Moved(columns[j], float32(float64(s2)*square/float64(p.Rows)), s.Beta2)
	}
	columns[p.Cols] = engine.Moved(columns[p.Cols], float32(all/float64(p.Rows)), s.Beta2)
	a.Free(sum)
	return with
}

// AdamIdleFactored implements [engine.Device].
func (d *Device) AdamIdleFactored(p *engine.Tensor, f engine.Factored, rows, from []int32, history []engine.AdamStep) {
	const op = "adam idle factored"
	f.Check(op, p)
	engine.CheckIdle(op, p, rows, from, history)
	averages, decays := data(f.Rows), false
	for i, row := range rows {
		for _, s := range history[from[i]:] {
			averages[row] = engine.Faded(averages[row], s.Beta2, 1)
		}
	}
	for _, s := range history {
		decays = decays || s.Decay != 0
	}
	if !decays {
		return
	}
	for _, b := range d.blocks(p, nil, len(rows), rows) {
		b.parameter(func(p *engine.Tensor) {
			m, v := d.New(p.Rows, p.Cols), d.New(p.Rows, p.Cols)
			d.Zero(m)
			d.Zero(v)
			all := make([]int32, p.Rows)
			for i := range all {
				all[i] = int32(i)
			}
			d.AdamIdle(p, m, v, all, from[b.first:b.first+p.Rows], history)
			d.Free(m)
			d.Free(v)
		})
	}
}

// someRows are a block of rows of a parameter and of its gradient.
type someRows struct {
	*Device
	p, g    *engine.Tensor
	picked  bool    // else they lie together
	first   int     // the place of the first among all that are updated
	numbers []int32 // of the rows
}

// blocks divides count rows of p: those of rows or, if that is nil, all.
func (d *Device) blocks(p, g *engine.Tensor, count int, rows []int32) []someRows {
	var list []someRows
	at := max(1, factoredBlock/p.Cols)
	for first := 0; first < count; first += at {
		b := someRows{Device: d, p: p, g: g, picked: rows != nil, first: first}
		if b.picked {
			b.numbers = rows[first:min(first+at, count)]
		} else {
			for row := first; row < min(first+at, count); row++ {
				b.numbers = append(b.numbers, int32(row))
			}
		}
		list = append(list, b)
	}
	return list
}

// gradient calls do with the block's rows of the gradient.
func (b someRows) gradient(do func(g *engine.Tensor)) { b.rows(b.g, do) }

// parameter calls do with the block's rows of the parameter, which it changes.
func (b someRows) parameter(do func(p *engine.Tensor)) {
	b.rows(b.p, func(p *engine.Tensor) {
		do(p)
		if b.picked {
			b.ScatterAdd(b.p, b.numbers, p, slices.Repeat([]bool{true}, len(b.numbers))) // in place of those there
		}
	})
}

// rows calls do with the block's rows of a tensor, or with a copy if they are picked.
func (b someRows) rows(of *engine.Tensor, do func(x *engine.Tensor)) {
	if !b.picked {
		do(b.Part(of, b.first, b.first+len(b.numbers)))
		return
	}
	x := b.New(len(b.numbers), of.Cols)
	b.Gather(x, of, b.numbers, false)
	do(x)
	b.Free(x)
}
