package cpu

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// RowSquares implements [engine.Device].
func (d *Device) RowSquares(sums []float64, t *engine.Tensor, rows []int32) {
	n := t.Rows
	if rows != nil {
		engine.CheckIndices("row squares", rows, t.Rows)
		n = len(rows)
	}
	if len(sums) != n {
		panic(engine.ShapeError{Op: "row squares", Detail: fmt.Sprintf("%d sums of %d rows", len(sums), n)})
	}
	d.loops.squares.run(d.limit, n, rowBlock(t.Cols), squares{d.Host(t), sums, t.Cols, rows}, (*squares).sum)
}

// SumSquares implements [engine.Device]. A row without anything adds exactly nothing,
// so the sum over the rows that hold something is that over all.
func (d *Device) SumSquares(sums []float64, ts []*engine.Tensor, rows [][]int32) {
	if len(sums) != len(ts) || rows != nil && len(rows) != len(ts) {
		panic(engine.ShapeError{Op: "sum squares", Detail: fmt.Sprintf("%d sums of %d tensors, rows of %d", len(sums), len(ts), len(rows))})
	}
	for i, t := range ts {
		n, some := t.Rows, []int32(nil)
		if rows != nil && rows[i] != nil {
			n, some = len(rows[i]), rows[i]
		}
		squares := grow(&d.loops.rowsSquares, n)
		d.RowSquares(squares, t, some)
		sums[i] = 0
		for _, s := range squares {
			sums[i] += s
		}
	}
}

// Clip implements [engine.Device].
func (d *Device) Clip(clip, measure *engine.Tensor, ts []*engine.Tensor, limit float64) {
	engine.CheckClip(clip, measure)
	squares := make([]float64, len(ts))
	d.SumSquares(squares, ts, nil)
	var sum float64
	first := len(ts)
	for i, s := range squares {
		if sum += s; s-s != 0 && first == len(ts) {
			first = i
		}
	}
	norm, factor, c := math.Sqrt(sum), 1.0, data(clip)
	if limit > 0 {
		factor = limit / max(norm, limit)
	}
	upper := float32(norm)
	if upper-upper != 0 || c[0] != c[0] {
		factor = math.NaN()
	}
	c[0] = float32(factor)
	copy(data(measure), []float32{upper, float32(norm - float64(upper)), float32(first), c[0]})
}

type squares struct {
	x    []float32
	sums []float64
	cols int
	rows []int32
}

func (a *squares) sum(lo, hi int) {
	for i := lo; i < hi; i++ {
		a.sums[i] = kernels.SumSquares(rowOf(a.x, rowIndex(a.rows, i), a.cols))
	}
}

// rowIndex is the i-th of rows, of which nil means all.
func rowIndex(rows []int32, i int) int {
	if rows == nil {
		return i
	}
	return int(rows[i])
}

// Adam implements [engine.Device].
func (d *Device) Adam(p, m, v, g *engine.Tensor, rows []int32, s engine.AdamStep) {
	const op = "adam"
	for _, t := range [...]*engine.Tensor{m, v, g} {
		engine.CheckShape(op, "a moment or the gradient", t, p.Rows, p.Cols)
	}
	step, ok := clipped(s)
	if !ok {
		return
	}
	a := adam{data(p), data(m), data(v), data(g), p.Cols, rows, step}
	if rows == nil {
		d.loops.adam.run(d.limit, p.Len(), elementBlock, a, (*adam).elements)
		return
	}
	engine.CheckIndices(op, rows, p.Rows)
	d.loops.adam.run(d.limit, len(rows), rowBlock(p.Cols), a, (*adam).some)
}

// kernelStep is a step as kernels have it, which clip nothing.
func kernelStep(s engine.AdamStep) kernels.AdamStep {
	return kernels.AdamStep{Beta1: s.Beta1, Beta2: s.Beta2, StepSize: s.StepSize, Epsilon: s.Epsilon, GradScale: s.GradScale, Decay: s.Decay}
}

// clipped is a step with its clip; not ok: it changes nothing.
func clipped(s engine.AdamStep) (k kernels.AdamStep, ok bool) {
	if k = kernelStep(s); s.Clip == nil {
		return k, true
	}
	k.GradScale = data(s.Clip)[0]
	return k, k.GradScale == k.GradScale
}

type adam struct {
	p, m, v, g []float32
	cols       int
	rows       []int32
	step       kernels.AdamStep
}

func (a *adam) elements(lo, hi int) {
	kernels.Adam(a.p[lo:hi], a.m[lo:hi], a.v[lo:hi], a.g[lo:hi], a.step)
}

func (a *adam) some(lo, hi int) {
	for _, row := range a.rows[lo:hi] {
		a.elements(int(row)*a.cols, int(row+1)*a.cols)
	}
}

// AdamIdle implements [engine.Device].
func (d *Device) AdamIdle(p, m, v *engine.Tensor, rows, from []int32, history []engine.AdamStep) {
	const op = "adam idle"
	engine.CheckShape(op, "m", m, p.Rows, p.Cols)
	engine.CheckShape(op, "v", v, p.Rows, p.Cols)
	steps := d.idleSteps(op, p, rows, from, history)
	d.loops.idle.run(d.limit, len(rows), idleRows, idle{data(p), data(m), data(v), p.Cols, rows, from, steps}, (*idle).some)
}

// idleRows is the rows of one task: few, as they may have very different numbers of steps to take.
const idleRows = 4

// idleSteps checks the arguments of idle steps, and returns the history as kernels have it.
func (d *Device) idleSteps(op string, p *engine.Tensor, rows, from []int32, history []engine.AdamStep) []kernels.AdamStep {
	engine.CheckIdle(op, p, rows, from, history)
	steps := d.loops.history[:0]
	for _, s := range history {
		steps = append(steps, kernelStep(s))
	}
	d.loops.history = steps
	return steps
}

type idle struct {
	p, m, v    []float32
	cols       int
	rows, from []int32
	history    []kernels.AdamStep
}

func (a *idle) some(lo, hi int) {
	for i := lo; i < hi; i++ {
		row := int(a.rows[i])
		kernels.AdamIdle(rowOf(a.p, row, a.cols), rowOf(a.m, row, a.cols), rowOf(a.v, row, a.cols), a.history[a.from[i]:])
	}
}

// AdamBfloat16 implements [engine.Device].
func (d *Device) AdamBfloat16(p, moments, g *engine.Tensor, rows []int32, s engine.AdamStep, r engine.Rounding) {
	const op = "adam bfloat16"
	engine.CheckShape(op, "moments", moments, p.Rows, p.Cols)
	engine.CheckShape(op, "the gradient", g, p.Rows, p.Cols)
	step, ok := clipped(s)
	if !ok {
		return
	}
	a := rounded{p: data(p), moments: data(moments), g: data(g), cols: p.Cols, rows: rows, step: step, rounding: r}
	if rows == nil {
		d.loops.rounded.run(d.limit, p.Len(), elementBlock, a, (*rounded).elements)
		return
	}
	engine.CheckIndices(op, rows, p.Rows)
	d.loops.rounded.run(d.limit, len(rows), rowBlock(p.Cols), a, (*rounded).some)
}

// AdamIdleBfloat16 implements [engine.Device].
func (d *Device) AdamIdleBfloat16(p, moments *engine.Tensor, rows, from []int32, history []engine.AdamStep, r engine.Rounding) {
	const op = "adam idle bfloat16"
	engine.CheckShape(op, "moments", moments, p.Rows, p.Cols)
	steps := d.idleSteps(op, p, rows, from, history)
	if len(d.loops.zeros) < p.Cols {
		d.loops.zeros = make([]float32, p.Cols)
	}
	a := rounded{p: data(p), moments: data(moments), g: d.loops.zeros[:p.Cols], cols: p.Cols, rows: rows, from: from, history: steps, rounding: r}
	d.loops.rounded.run(d.limit, len(rows), idleRows, a, (*rounded).idle)
}

// rounded is steps with moments that are rounded.
type rounded struct {
	p, moments, g []float32 // g of idle steps is one row of zeros
	cols          int
	rows, from    []int32
	step          kernels.AdamStep
	history       []kernels.AdamStep
	rounding      engine.Rounding
}

func (a *rounded) elements(lo, hi int) {
	kernels.AdamBfloat16(a.p[lo:hi], a.moments[lo:hi], a.g[lo:hi], a.step, a.rounding.Key, a.rounding.Stream, uint64(a.rounding.First+lo))
}

func (a *rounded) some(lo, hi int) {
	for _, row := range a.rows[lo:hi] {
		a.elements(int(row)*a.cols, int(row+1)*a.cols)
	}
}

func (a *rounded) idle(lo, hi int) {
	for i := lo; i < hi; i++ {
		row := int(a.rows[i])
		p, moments, first := rowOf(a.p, row, a.cols), rowOf(a.moments, row, a.cols), uint64(a.rounding.First+row*a.cols)
		for n := int(a.from[i]); n < len(a.history); n++ {
			kernels.AdamBfloat16(p, moments, a.g, a.history[n], a.rounding.Key, a.rounding.Stream+uint64(n), first)
		}
	}
}
