package cpu

import (
	"github.com/unimo-go/unimo/internal/engine"
	"github.com/unimo-go/unimo/internal/kernels"
	"github.com/unimo-go/unimo/internal/parallel"
)

// elementBlock is the elements of one elementwise task: 64 KiB of float32, which
// fits the second-level cache with its companions and takes long enough (about
// 5 µs) to be worth handing to another thread.
const elementBlock = 16 << 10

// columnBlock is the columns of one task that sums over rows: eight cache lines.
const columnBlock = 128

// normEpsilon is the reference's layer norm epsilon.
const normEpsilon = 1e-5

// MatMul implements [engine.Device].
func (d *Device) MatMul(dst, a, b *engine.Tensor, op engine.Transpose, accumulate bool) {
	m, k, n := a.Rows, a.Cols, b.Cols
	var flags kernels.GemmFlags
	switch op {
	case engine.NN:
		engine.CheckShape("matmul", "b", b, k, n)
	case engine.NT:
		n = b.Rows
		flags = kernels.TransB
		engine.CheckShape("matmul", "b", b, n, k)
	case engine.TN:
		m, k = a.Cols, a.Rows
		flags = kernels.TransA
		engine.CheckShape("matmul", "b", b, k, n)
	}
	engine.CheckShape("matmul", "dst", dst, m, n)
	if accumulate {
		flags |= kernels.Accumulate
	}
	kernels.Gemm(data(dst), dst.Cols, data(a), a.Cols, data(b), b.Cols, m, n, k, flags)
}

// AddBias implements [engine.Device].
func (d *Device) AddBias(x, bias *engine.Tensor) {
	engine.CheckShape("add bias", "bias", bias, 1, x.Cols)
	xs, bs, cols := data(x), data(bias), x.Cols
	forRows(x.Rows, cols, func(i int) {
		row := xs[i*cols : (i+1)*cols]
		kernels.Add(row, row, bs)
	})
}

// SumRows implements [engine.Device].
func (d *Device) SumRows(dbias, dy *engine.Tensor) {
	engine.CheckShape("sum rows", "dbias", dbias, 1, dy.Cols)
	sum, ys, cols := data(dbias), data(dy), dy.Cols
	parallel.ForBlocks(cols, columnBlock, func(lo, hi int) {
		for i := range dy.Rows {
			kernels.Add(sum[lo:hi], sum[lo:hi], ys[i*cols+lo:i*cols+hi])
		}
	})
}

// Add implements [engine.Device].
func (d *Device) Add(dst, a, b *engine.Tensor) {
	engine.CheckShape("add", "a", a, dst.Rows, dst.Cols)
	engine.CheckShape("add", "b", b, dst.Rows, dst.Cols)
	z, x, y := data(dst), data(a), data(b)
	parallel.ForBlocks(len(z), elementBlock, func(lo, hi int) { kernels.Add(z[lo:hi], x[lo:hi], y[lo:hi]) })
}

// Accumulate implements [engine.Device].
func (d *Device) Accumulate(dst, x *engine.Tensor) { d.Add(dst, dst, x) }

// GELU implements [engine.Device].
func (d *Device) GELU(y, x *engine.Tensor) {
	engine.CheckShape("gelu", "y", y, x.Rows, x.Cols)
	ys, xs := data(y), data(x)
	parallel.ForBlocks(len(xs), elementBlock, func(lo, hi int) { kernels.GELU(ys[lo:hi], xs[lo:hi]) })
}

// GELUBackward implements [engine.Device].
func (d *Device) GELUBackward(dx, dy, x *engine.Tensor) {
	engine.CheckShape("gelu backward", "dx", dx, x.Rows, x.Cols)
	engine.CheckShape("gelu backward", "dy", dy, x.Rows, x.Cols)
	dxs, dys, xs := data(dx), data(dy), data(x)
	parallel.ForBlocks(len(xs), elementBlock, func(lo, hi int) {
		kernels.GELUBackward(dxs[lo:hi], xs[lo:hi], dys[lo:hi])
	})
}

// ReLU implements [engine.Device]. It runs on pooled outputs, a row a sequence,
// and is not worth a kernel.
func (d *Device) ReLU(y, x *engine.Tensor) {
	engine.CheckShape("relu", "y", y, x.Rows, x.Cols)
	ys := data(y)
	for i, v := range data(x) {
		if v < 0 { // written so that NaN stays
			v = 0
		}
		ys[i] = v
	}
}

// ReLUBackward implements [engine.Device].
func (d *Device) ReLUBackward(dx, dy, y *engine.Tensor) {
	engine.CheckShape("relu backward", "dx", dx, y.Rows, y.Cols)
	engine.CheckShape("relu backward", "dy", dy, y.Rows, y.Cols)
	dxs, dys := data(dx), data(dy)
	for i, v := range data(y) {
		if v > 0 {
			dxs[i] += dys[i]
		}
	}
}

// Dropout implements [engine.Device].
func (d *Device) Dropout(y, x *engine.Tensor, drop engine.Dropout) {
	d.dropout("dropout", y, x, drop, false)
}

// DropoutBackward implements [engine.Device].
func (d *Device) DropoutBackward(dx, dy *engine.Tensor, drop engine.Dropout) {
	d.dropout("dropout backward", dx, dy, drop, true)
}

func (d *Device) dropout(op string, dst, src *engine.Tensor, drop engine.Dropout, accumulate bool) {
	engine.CheckShape(op, "destination", dst, src.Rows, src.Cols)
	ys, xs := data(dst), data(src)
	parallel.ForBlocks(len(xs), elementBlock, func(lo, hi int) {
		kernels.Dropout(ys[lo:hi], xs[lo:hi], drop.Prob, drop.Key, drop.Stream, uint64(lo), accumulate)
	})
}

// LayerNorm implements [engine.Device].
func (d *Device) LayerNorm(y, stats, x, scale, bias *engine.Tensor) {
	engine.CheckShape("layer norm", "y", y, x.Rows, x.Cols)
	engine.CheckShape("layer norm", "stats", stats, x.Rows, 2)
	engine.CheckShape("layer norm", "scale", scale, 1, x.Cols)
	engine.CheckShape("layer norm", "bias", bias, 1, x.Cols)
	ys, xs, st, g, b, cols := data(y), data(x), data(stats), data(scale), data(bias), x.Cols
	forRows(x.Rows, cols, func(i int) {
		st[2*i], st[2*i+1] = kernels.LayerNorm(ys[i*cols:(i+1)*cols], xs[i*cols:(i+1)*cols], g, b, normEpsilon)
	})
}

// normRows is the rows whose parameter gradients one task of the layer norm's
// backward pass adds up by itself. It is fixed, so that the order of the sums is.
const normRows = 32

// LayerNormBackward implements [engine.Device].
func (d *Device) LayerNormBackward(dx, dscale, dbias, dy, x, scale, stats *engine.Tensor) {
	const op = "layer norm backward"
	engine.CheckShape(op, "dx", dx, x.Rows, x.Cols)
	engine.CheckShape(op, "dy", dy, x.Rows, x.Cols)
	engine.CheckShape(op, "dscale", dscale, 1, x.Cols)
	engine.CheckShape(op, "dbias", dbias, 1, x.Cols)
	engine.CheckShape(op, "scale", scale, 1, x.Cols)
	engine.CheckShape(op, "stats", stats, x.Rows, 2)
	dxs, dys, xs, st, g, cols := data(dx), data(dy), data(x), data(stats), data(scale), x.Cols
	tasks := (x.Rows + normRows - 1) / normRows
	partial := d.New(2*tasks, cols) // dscale and dbias of every task
	defer d.Free(partial)
	ps := data(partial)
	parallel.For(tasks, func(task int) {
		ds := ps[2*task*cols : (2*task+1)*cols]
		db := ps[(2*task+1)*cols : (2*task+2)*cols]
		clear(ds)
		clear(db)
		for i := task * normRows; i < min((task+1)*normRows, x.Rows); i++ {
			lo, hi := i*cols, (i+1)*cols
			kernels.LayerNormBackward(dxs[lo:hi], ds, db, dys[lo:hi], xs[lo:hi], g, st[2*i], st[2*i+1])
		}
	})
	for task := range tasks {
		kernels.Add(data(dscale), data(dscale), ps[2*task*cols:(2*task+1)*cols])
		kernels.Add(data(dbias), data(dbias), ps[(2*task+1)*cols:(2*task+2)*cols])
	}
}

// Gather implements [engine.Device].
func (d *Device) Gather(dst, table *engine.Tensor, ids []int32, accumulate bool) {
	engine.CheckShape("gather", "dst", dst, len(ids), table.Cols)
	engine.CheckIndices("gather", ids, table.Rows)
	ys, ts, cols := data(dst), data(table), table.Cols
	forRows(len(ids), cols, func(i int) {
		row, from := ys[i*cols:(i+1)*cols], ts[int(ids[i])*cols:(int(ids[i])+1)*cols]
		if accumulate {
			kernels.Add(row, row, from)
		} else {
			copy(row, from)
		}
	})
}

// ScatterAdd implements [engine.Device]. Tasks own columns, because several
// tokens may share a row.
func (d *Device) ScatterAdd(dtable *engine.Tensor, ids []int32, dy *engine.Tensor) {
	engine.CheckShape("scatter add", "dy", dy, len(ids), dtable.Cols)
	engine.CheckIndices("scatter add", ids, dtable.Rows)
	ts, ys, cols := data(dtable), data(dy), dtable.Cols
	parallel.ForBlocks(cols, columnBlock, func(lo, hi int) {
		for i, id := range ids {
			row := ts[int(id)*cols+lo : int(id)*cols+hi]
			kernels.Add(row, row, ys[i*cols+lo:i*cols+hi])
		}
	})
}

// forRows runs body for every row, in tasks of about [elementBlock] elements.
func forRows(rows, cols int, body func(i int)) {
	parallel.ForBlocks(rows, max(1, elementBlock/max(1, cols)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			body(i)
		}
	})
}
