package cpu

import (
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// LayerNorm implements [engine.Device].
func (d *Device) LayerNorm(y, stats, x, scale, bias *engine.Tensor, eps float32) {
	d.norm("layer norm", norm{y: data(y), stats: data(stats), x: data(x), eps: eps}, y, stats, x, scale, bias)
}

// AddNorm implements [engine.Device].
func (d *Device) AddNorm(y, sum, stats, x, a, scale, bias *engine.Tensor, eps float32, drop engine.Dropout) {
	engine.CheckShape("add norm", "a", a, x.Rows, x.Cols)
	n := norm{y: data(y), x: data(x), a: data(a), sum: data(y), eps: eps, drop: drop}
	if sum != nil {
		engine.CheckShape("add norm", "sum", sum, x.Rows, x.Cols)
		n.sum = data(sum)
	}
	if stats != nil {
		n.stats = data(stats)
	}
	d.norm("add norm", n, y, stats, x, scale, bias)
}

func (d *Device) norm(op string, n norm, y, stats, x, scale, bias *engine.Tensor) {
	engine.CheckShape(op, "y", y, x.Rows, x.Cols)
	if stats != nil {
		engine.CheckShape(op, "stats", stats, x.Rows, 2)
	}
	engine.CheckShape(op, "scale", scale, 1, x.Cols)
	engine.CheckShape(op, "bias", bias, 1, x.Cols)
	n.scale, n.bias, n.cols = data(scale), data(bias), x.Cols
	d.loops.norm.run(d.limit, x.Rows, rowBlock(x.Cols), n, (*norm).rows)
}

// norm is y = layer norm of x, or of sum = x + dropout(a) where there is an a.
type norm struct {
	y, sum, stats, x, a, scale, bias []float32
	cols                             int
	eps                              float32
	drop                             engine.Dropout
}

// rows does a row at a time, which stays in the first-level cache from one kernel to the next.
func (n *norm) rows(lo, hi int) {
	for i := lo; i < hi; i++ {
		x := rowOf(n.x, i, n.cols)
		if n.a != nil {
			x = rowOf(n.sum, i, n.cols)
			n.addRow(x, i)
		}
		mean, inverse := kernels.LayerNorm(rowOf(n.y, i, n.cols), x, n.scale, n.bias, n.eps)
		if n.stats != nil {
			n.stats[2*i], n.stats[2*i+1] = mean, inverse
		}
	}
}

func (n *norm) addRow(sum []float32, i int) {
	x, a := rowOf(n.x, i, n.cols), rowOf(n.a, i, n.cols)
	if n.drop.Prob == 0 {
		kernels.Add(sum, x, a)
		return
	}
	copy(sum, x)
	kernels.Dropout(sum, a, n.drop.Prob, n.drop.Key, n.drop.Stream, uint64(i*n.cols), true)
}

// normRows is the rows whose parameter gradients one task of the layer norm's
// backward pass adds up by itself. It is fixed, so that the order of the sums is.
const normRows = 32

// LayerNormBackward implements [engine.Device].
func (d *Device) LayerNormBackward(dx, dscale, dbias, dy, x, scale, stats *engine.Tensor) {
	d.normBackward("layer norm backward", normBack{}, dx, dscale, dbias, dy, x, scale, stats)
}

// AddNormBackward implements [engine.Device].
func (d *Device) AddNormBackward(dx, da, dscale, dbias, dy, sum, scale, stats *engine.Tensor, drop engine.Dropout) {
	engine.CheckShape("add norm backward", "da", da, sum.Rows, sum.Cols)
	d.normBackward("add norm backward", normBack{da: data(da), drop: drop}, dx, dscale, dbias, dy, sum, scale, stats)
}

func (d *Device) normBackward(op string, n normBack, dx, dscale, dbias, dy, x, scale, stats *engine.Tensor) {
	engine.CheckShape(op, "dx", dx, x.Rows, x.Cols)
	engine.CheckShape(op, "dy", dy, x.Rows, x.Cols)
	engine.CheckShape(op, "dscale", dscale, 1, x.Cols)
	engine.CheckShape(op, "dbias", dbias, 1, x.Cols)
	engine.CheckShape(op, "scale", scale, 1, x.Cols)
	engine.CheckShape(op, "stats", stats, x.Rows, 2)
	tasks := (x.Rows + normRows - 1) / normRows
	partial := d.New(2*tasks, x.Cols) // dscale and dbias of every task
	n.dx, n.dy, n.x, n.scale, n.stats, n.partial, n.cols = data(dx), data(dy), data(x), data(scale), data(stats), data(partial), x.Cols
	d.loops.normBack.run(d.limit, x.Rows, normRows, n, (*normBack).rows)
	clear(data(dscale))
	clear(data(dbias))
	for task := range tasks {
		kernels.Add(data(dscale), data(dscale), rowOf(n.partial, 2*task, n.cols))
		kernels.Add(data(dbias), data(dbias), rowOf(n.partial, 2*task+1, n.cols))
	}
	d.Free(partial)
}

type normBack struct {
	dx, da, dy, x, scale, stats, partial []float32
	cols                                 int
	drop                                 engine.Dropout
}

func (n *normBack) rows(lo, hi int) {
	task := lo / normRows
	dscale, dbias := rowOf(n.partial, 2*task, n.cols), rowOf(n.partial, 2*task+1, n.cols)
	clear(dscale)
	clear(dbias)
	for i := lo; i < hi; i++ {
		dx := rowOf(n.dx, i, n.cols)
		clear(dx)
		kernels.LayerNormBackward(dx, dscale, dbias, rowOf(n.dy, i, n.cols), rowOf(n.x, i, n.cols), n.scale, n.stats[2*i], n.stats[2*i+1])
		switch {
		case n.da == nil:
		case n.drop.Prob == 0:
			copy(rowOf(n.da, i, n.cols), dx)
		default:
			kernels.Dropout(rowOf(n.da, i, n.cols), dx, n.drop.Prob, n.drop.Key, n.drop.Stream, uint64(i*n.cols), false)
		}
	}
}

// Normalize implements [engine.Device].
func (d *Device) Normalize(y, inverse, x *engine.Tensor) {
	engine.CheckShape("normalize", "y", y, x.Rows, x.Cols)
	engine.CheckShape("normalize", "inverse", inverse, x.Rows, 1)
	d.loops.lengths.run(d.limit, x.Rows, rowBlock(x.Cols), lengths{x: data(x), y: data(y), inverse: data(inverse), cols: x.Cols}, (*lengths).divide)
}

// NormalizeBackward implements [engine.Device].
func (d *Device) NormalizeBackward(dx, dy, y, inverse *engine.Tensor) {
	for _, t := range [...]*engine.Tensor{dx, dy} {
		engine.CheckShape("normalize backward", "an operand", t, y.Rows, y.Cols)
	}
	engine.CheckShape("normalize backward", "inverse", inverse, y.Rows, 1)
	d.loops.lengths.run(d.limit, y.Rows, rowBlock(y.Cols), lengths{data(dx), data(y), data(dy), data(inverse), y.Cols}, (*lengths).slope)
}

// lengths divides rows by their lengths, or finds the gradient x of that.
type lengths struct {
	x, y, dy, inverse []float32
	cols              int
}

func (a *lengths) divide(lo, hi int) {
	for i := lo; i < hi; i++ {
		x := rowOf(a.x, i, a.cols)
		a.inverse[i] = 0
		if squares := kernels.SumSquares(x); squares != 0 { // NaN stays
			a.inverse[i] = float32(1 / math.Sqrt(squares))
		}
		kernels.Scale(rowOf(a.y, i, a.cols), a.inverse[i], x)
	}
}

// slope is dx = (dy - y·(y·dy))/length.
func (a *lengths) slope(lo, hi int) {
	for i := lo; i < hi; i++ {
		dx, y, dy := rowOf(a.x, i, a.cols), rowOf(a.y, i, a.cols), rowOf(a.dy, i, a.cols)
		kernels.Scale(dx, a.inverse[i], dy)
		kernels.Axpy(dx, -a.inverse[i]*kernels.Dot(y, dy), y)
	}
}
