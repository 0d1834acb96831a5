package cpu

import (
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// elementBlock is the elements of one elementwise task: 64 KiB of float32, which
// fits the second-level cache with its companions and takes long enough (about
// 5 µs) to be worth handing to another thread.
const elementBlock = 16 << 10

// columnBlock is the columns of one task that sums over rows: eight cache lines.
const columnBlock = 128

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
	kernels.GemmWith(data(dst), dst.Cols, data(a), a.Cols, data(b), b.Cols, m, n, k, flags, kernels.Options{Limit: d.limit})
}

// Prepare implements [engine.Device]. The packed copy stays for the life of the device.
func (d *Device) Prepare(w *engine.Tensor, op engine.Transpose) engine.Weight {
	weight := engine.Plain(w, op)
	n, k := weight.Out(), weight.In()
	if s := d.StoredAs(w); s.Multiplied(op) {
		memory := bytesOf(data(d.New(1, (kernels.Int8Len(n, k)+3)/4)))
		weight.Prepared = kernels.NewInt8Matrix(memory, s.Bytes, w.Cols, s.Scales, n, k, flagsOf(op), d.limit)
		return weight
	} else if format, ok := s.Half(); ok && d.rounds && format == kernels.BFloat16 {
		memory := halvesOf(data(d.New(1, (kernels.BFloat16Len(n, k)+1)/2)))[:kernels.BFloat16Len(n, k)]
		weight.Prepared = kernels.NewBFloat16Matrix(memory, s.Halves, w.Cols, n, k, flagsOf(op), d.limit)
		return weight
	} else if ok {
		memory := halvesOf(data(d.New(1, (kernels.HalfLen(n, k)+1)/2)))[:kernels.HalfLen(n, k)]
		weight.Prepared = kernels.NewHalfMatrix(memory, s.Halves, format, w.Cols, n, k, flagsOf(op), d.limit)
		return weight
	}
	memory := data(d.New(1, kernels.PackedLen(n, k)))
	weight.Prepared = kernels.PackBInto(memory, d.Host(w), w.Cols, n, k, flagsOf(op), d.limit)
	return weight
}

// flagsOf returns how a product x·op(w) reads w.
func flagsOf(op engine.Transpose) kernels.GemmFlags {
	if op == engine.NT {
		return kernels.TransB
	}
	return 0
}

// Linear implements [engine.Device].
func (d *Device) Linear(y, x *engine.Tensor, w engine.Weight, bias *engine.Tensor) {
	d.linear("linear", y, x, w, bias, nil)
}

// LinearActivate implements [engine.Device]. Each thread applies the activation to what it has
// just computed, while that is in its cache.
func (d *Device) LinearActivate(y, h, x *engine.Tensor, w engine.Weight, bias *engine.Tensor, f engine.Activation) {
	engine.CheckShape("linear activate", "y", y, h.Rows, h.Cols)
	a := &d.loops.activation
	if a.apply == nil {
		a.apply = a.blocks
	}
	a.y, a.h, a.cols, a.of = data(y), data(h), h.Cols, kernels.Activation(f)
	d.linear("linear activate", h, x, w, bias, a.apply)
}

// activation is applied to blocks of a product.
type activation struct {
	y, h  []float32
	cols  int
	of    kernels.Activation
	apply func(i0, i1, j0, j1 int)
}

func (a *activation) blocks(i0, i1, j0, j1 int) {
	for i := i0; i < i1; i++ {
		kernels.Activate(a.y[i*a.cols+j0:i*a.cols+j1], a.h[i*a.cols+j0:i*a.cols+j1], a.of, 0)
	}
}

// linear computes y = x·w + bias and applies what apply does to blocks of it.
func (d *Device) linear(op string, y, x *engine.Tensor, w engine.Weight, bias *engine.Tensor, apply func(i0, i1, j0, j1 int)) {
	n, k := w.Out(), w.In()
	engine.CheckShape(op, "x", x, x.Rows, k)
	engine.CheckShape(op, "y", y, x.Rows, n)
	o := kernels.Options{Limit: d.limit, Apply: apply}
	if bias != nil {
		engine.CheckShape(op, "bias", bias, 1, n)
		o.Bias = data(bias)
	}
	switch prepared := w.Prepared.(type) {
	case *kernels.PackedB:
		kernels.GemmPacked(data(y), n, data(x), k, prepared, x.Rows, 0, o)
		return
	case *kernels.HalfMatrix:
		kernels.GemmHalf(data(y), n, data(x), k, prepared, x.Rows, 0, o)
		return
	case *kernels.BFloat16Matrix:
		rows := &d.loops.halfRows
		rows.Set(data(x), k, x.Rows, k, d.limit)
		kernels.GemmBFloat16(data(y), n, rows, prepared, o)
		return
	case *kernels.Int8Matrix:
		rows := &d.loops.bytes
		rows.Set(data(x), k, x.Rows, k, d.limit)
		kernels.GemmInt8(data(y), n, rows, prepared, o)
		return
	}
	kernels.GemmWith(data(y), n, data(x), k, data(w.Tensor), w.Tensor.Cols, x.Rows, n, k, flagsOf(w.Op), o)
}

// SumRows implements [engine.Device].
func (d *Device) SumRows(sum, x *engine.Tensor, accumulate bool) {
	engine.CheckShape("sum rows", "sum", sum, 1, x.Cols)
	d.loops.sumRows.run(d.limit, x.Cols, columnBlock, summing{data(sum), data(x), x.Rows, x.Cols, accumulate}, (*summing).columns)
}

type summing struct {
	sum, x     []float32
	rows, cols int
	accumulate bool
}

func (a *summing) columns(lo, hi int) {
	if !a.accumulate {
		clear(a.sum[lo:hi])
	}
	for i := range a.rows {
		kernels.Add(a.sum[lo:hi], a.sum[lo:hi], a.x[i*a.cols+lo:i*a.cols+hi])
	}
}

// unary, binary and slope are the arguments of elementwise operations.
type (
	unary  struct{ y, x []float32 }
	binary struct{ z, x, y []float32 }
	slope  struct {
		dx, y, dy, x []float32
		of           kernels.Activation
	}
)

// Copy implements [engine.Device].
func (d *Device) Copy(dst, x *engine.Tensor) {
	engine.CheckShape("copy", "x", x, dst.Rows, dst.Cols)
	d.loops.unary.run(d.limit, x.Len(), elementBlock, unary{data(dst), data(x)}, func(a *unary, lo, hi int) { copy(a.y[lo:hi], a.x[lo:hi]) })
}

// Zero implements [engine.Device]. Memory that was never used is zero, and stays
// without pages until something is written: for most rows of an embedding's moments
// that is never.
func (d *Device) Zero(t *engine.Tensor) {
	if t.Memory.(*block).fresh {
		return
	}
	d.loops.unary.run(d.limit, t.Len(), elementBlock, unary{y: data(t)}, func(a *unary, lo, hi int) { clear(a.y[lo:hi]) })
}

// Add implements [engine.Device].
func (d *Device) Add(dst, a, b *engine.Tensor) {
	engine.CheckShape("add", "a", a, dst.Rows, dst.Cols)
	engine.CheckShape("add", "b", b, dst.Rows, dst.Cols)
	d.loops.binary.run(d.limit, dst.Len(), elementBlock, binary{data(dst), data(a), data(b)}, func(a *binary, lo, hi int) {
		kernels.Add(a.z[lo:hi], a.x[lo:hi], a.y[lo:hi])
	})
}

// Multiply implements [engine.Device].
func (d *Device) Multiply(dst, a, b *engine.Tensor) {
	engine.CheckShape("multiply", "a", a, dst.Rows, dst.Cols)
	engine.CheckShape("multiply", "b", b, dst.Rows, dst.Cols)
	d.loops.binary.run(d.limit, dst.Len(), elementBlock, binary{data(dst), data(a), data(b)}, func(a *binary, lo, hi int) {
		kernels.Mul(a.z[lo:hi], a.x[lo:hi], a.y[lo:hi])
	})
}

// ScaleBy implements [engine.Device].
func (d *Device) ScaleBy(dst, x, c *engine.Tensor) {
	engine.CheckShape("scale by", "c", c, 1, 1)
	d.Scale(dst, x, data(c)[0])
}

// Scale implements [engine.Device].
func (d *Device) Scale(dst, x *engine.Tensor, c float32) {
	engine.CheckShape("scale", "x", x, dst.Rows, dst.Cols)
	d.loops.scale.run(d.limit, dst.Len(), elementBlock, scaling{data(dst), data(x), c}, func(a *scaling, lo, hi int) {
		kernels.Scale(a.y[lo:hi], a.c, a.x[lo:hi])
	})
}

type scaling struct {
	y, x []float32
	c    float32
}

// ActivateBackward implements [engine.Device].
func (d *Device) ActivateBackward(dx, y, dy, x *engine.Tensor, a engine.Activation) {
	for _, t := range [...]*engine.Tensor{dx, y, dy} {
		engine.CheckShape("activate backward", "an operand", t, x.Rows, x.Cols)
	}
	d.loops.slope.run(d.limit, x.Len(), elementBlock, slope{data(dx), data(y), data(dy), data(x), kernels.Activation(a)}, func(a *slope, lo, hi int) {
		kernels.ActivateBackward(a.dx[lo:hi], a.y[lo:hi], a.x[lo:hi], a.dy[lo:hi], a.of)
	})
}

// SwiGLU implements [engine.Device].
func (d *Device) SwiGLU(y, h *engine.Tensor) {
	engine.CheckShape("swiglu", "h", h, y.Rows, 2*y.Cols)
	d.loops.halves.run(d.limit, y.Rows, rowBlock(h.Cols), halves{y: data(y), h: data(h), cols: y.Cols}, (*halves).rows)
}

// SwiGLUBackward implements [engine.Device].
func (d *Device) SwiGLUBackward(dh, dy, h *engine.Tensor) {
	engine.CheckShape("swiglu backward", "h", h, dy.Rows, 2*dy.Cols)
	engine.CheckShape("swiglu backward", "dh", dh, dy.Rows, 2*dy.Cols)
	d.loops.halves.run(d.limit, dy.Rows, rowBlock(h.Cols), halves{data(dy), data(h), data(dh), dy.Cols}, (*halves).slopes)
}

// halves are the operands of SwiGLU, whose output has so many columns, or of its gradient.
type halves struct {
	y, h, dh []float32
	cols     int
}

func (a *halves) rows(lo, hi int) {
	for i := lo; i < hi; i++ {
		y, h := rowOf(a.y, i, a.cols), rowOf(a.h, i, 2*a.cols)
		kernels.Activate(y, h[:a.cols], kernels.SiLU, 0)
		kernels.Mul(y, y, h[a.cols:])
	}
}

func (a *halves) slopes(lo, hi int) {
	for i := lo; i < hi; i++ {
		dy, h, dh := rowOf(a.y, i, a.cols), rowOf(a.h, i, 2*a.cols), rowOf(a.dh, i, 2*a.cols)
		first, second := dh[:a.cols], dh[a.cols:]
		kernels.Mul(first, dy, h[a.cols:])
		kernels.ActivateBackward(first, second, h[:a.cols], first, kernels.SiLU) // second is SiLU now
		kernels.Mul(second, second, dy)
	}
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
			dxs[i] = dys[i]
		} else {
			dxs[i] = 0
		}
	}
}

// Sigmoid implements [engine.Device]. It runs on scores, one a pair.
func (d *Device) Sigmoid(y, x *engine.Tensor) {
	engine.CheckShape("sigmoid", "y", y, x.Rows, x.Cols)
	ys := data(y)
	for i, v := range data(x) {
		ys[i] = float32(1 / (1 + math.Exp(-float64(v))))
	}
}

// SigmoidBackward implements [engine.Device].
func (d *Device) SigmoidBackward(dx, dy, y *engine.Tensor) {
	engine.CheckShape("sigmoid backward", "dx", dx, y.Rows, y.Cols)
	engine.CheckShape("sigmoid backward", "dy", dy, y.Rows, y.Cols)
	dxs, dys := data(dx), data(dy)
	for i, v := range data(y) {
		dxs[i] = dys[i] * v * (1 - v)
	}
}

// Tanh implements [engine.Device]. It runs on pooled outputs, as ReLU does.
func (d *Device) Tanh(y, x *engine.Tensor) {
	engine.CheckShape("tanh", "y", y, x.Rows, x.Cols)
	ys := data(y)
	for i, v := range data(x) {
		ys[i] = float32(math.Tanh(float64(v)))
	}
}

// TanhBackward implements [engine.Device].
func (d *Device) TanhBackward(dx, dy, y *engine.Tensor) {
	engine.CheckShape("tanh backward", "dx", dx, y.Rows, y.Cols)
	engine.CheckShape("tanh backward", "dy", dy, y.Rows, y.Cols)
	dxs, dys := data(dx), data(dy)
	for i, v := range data(y) {
		dxs[i] = dys[i] * (1 - v*v)
	}
}

// Dropout implements [engine.Device].
func (d *Device) Dropout(y, x *engine.Tensor, drop engine.Dropout) {
	engine.CheckShape("dropout", "y", y, x.Rows, x.Cols)
	d.loops.drop.run(d.limit, x.Len(), elementBlock, dropping{data(y), data(x), drop}, (*dropping).elements)
}

type dropping struct {
	y, x []float32
	engine.Dropout
}

func (a *dropping) elements(lo, hi int) {
	kernels.Dropout(a.y[lo:hi], a.x[lo:hi], a.Prob, a.Key, a.Stream, uint64(lo), false)
}

// Noise implements [engine.Device].
func (d *Device) Noise(x *engine.Tensor, bounds []float32, n engine.Noise) {
	n.Check("noise", x, bounds)
	values, cols := data(x), x.Cols
	d.limit.For(x.Rows, func(i int) { kernels.Uniform(rowOf(values, i, cols), bounds[i], n.Key, n.Stream, uint64(i*cols)) })
}

// Gather implements [engine.Device].
func (d *Device) Gather(dst, table *engine.Tensor, ids []int32, accumulate bool) {
	engine.CheckShape("gather", "dst", dst, len(ids), table.Cols)
	engine.CheckIndices("gather", ids, table.Rows)
	a := gathering{dst: data(dst), cols: dst.Cols, ids: ids, accumulate: accumulate}
	if a.stored = storedOf(table); a.stored == nil {
		a.table = data(table)
	}
	d.loops.gather.run(d.limit, len(ids), rowBlock(dst.Cols), a, (*gathering).rows)
}

type gathering struct {
	dst, table []float32
	stored     *stored // instead of the table
	cols       int
	ids        []int32
	accumulate bool
}

func (a *gathering) rows(lo, hi int) {
	if a.stored != nil {
		a.stored.gather(a, lo, hi)
		return
	}
	for i := lo; i < hi; i++ {
		row, from := rowOf(a.dst, i, a.cols), rowOf(a.table, int(a.ids[i]), a.cols)
		if a.accumulate {
			kernels.Add(row, row, from)
		} else {
			copy(row, from)
		}
	}
}

// ScatterAdd implements [engine.Device]. Tasks own columns, because several
// tokens may share a row.
func (d *Device) ScatterAdd(dtable *engine.Tensor, ids []int32, dy *engine.Tensor, first []bool) {
	engine.CheckShape("scatter add", "dy", dy, len(ids), dtable.Cols)
	engine.CheckIndices("scatter add", ids, dtable.Rows)
	d.loops.scatter.run(d.limit, dy.Cols, columnBlock, scattering{data(dtable), data(dy), dy.Cols, ids, first}, (*scattering).columns)
}

type scattering struct {
	table, dy []float32
	cols      int
	ids       []int32
	first     []bool
}

func (a *scattering) columns(lo, hi int) {
	for i, id := range a.ids {
		row, dy := rowOf(a.table, int(id), a.cols)[lo:hi], rowOf(a.dy, i, a.cols)[lo:hi]
		if a.first != nil && a.first[i] {
			copy(row, dy)
		} else {
			kernels.Add(row, row, dy)
		}
	}
}

// GatherStack implements [engine.Device].
func (d *Device) GatherStack(dst, a, b *engine.Tensor, ids []int32) {
	engine.CheckShape("gather stack", "dst", dst, len(ids), a.Cols)
	engine.CheckShape("gather stack", "b", b, b.Rows, a.Cols)
	engine.CheckIndices("gather stack", ids, a.Rows+b.Rows)
	d.loops.stack.run(d.limit, len(ids), rowBlock(dst.Cols), stacked{data(a), data(b), data(dst), a.Rows, dst.Cols, ids}, (*stacked).gather)
}

// GatherStackBackward implements [engine.Device]. Like ScatterAdd's, its tasks own columns.
func (d *Device) GatherStackBackward(da, db *engine.Tensor, ids []int32, dy *engine.Tensor) {
	engine.CheckShape("gather stack backward", "dy", dy, len(ids), da.Cols)
	engine.CheckShape("gather stack backward", "db", db, db.Rows, da.Cols)
	engine.CheckIndices("gather stack backward", ids, da.Rows+db.Rows)
	d.loops.stack.run(d.limit, dy.Cols, columnBlock, stacked{data(da), data(db), data(dy), da.Rows, dy.Cols, ids}, (*stacked).scatter)
}

// stacked is rows y of a table whose first rows are a and whose others are b.
type stacked struct {
	a, b, y     []float32
	first, cols int // rows of a, columns of all
	ids         []int32
}

// row returns a row of the table.
func (s *stacked) row(id int32) []float32 {
	if i := int(id); i >= s.first {
		return rowOf(s.b, i-s.first, s.cols)
	}
	return rowOf(s.a, int(id), s.cols)
}

func (s *stacked) gather(lo, hi int) {
	for i := lo; i < hi; i++ {
		copy(rowOf(s.y, i, s.cols), s.row(s.ids[i]))
	}
}

func (s *stacked) scatter(lo, hi int) {
	for _, table := range [...][]float32{s.a, s.b} {
		for i := lo; i < len(table); i += s.cols {
			clear(table[i : i+hi-lo])
		}
	}
	for i, id := range s.ids {
		row := s.row(id)[lo:hi]
		kernels.Add(row, row, rowOf(s.y, i, s.cols)[lo:hi])
	}
}

// rowOf returns row i of a matrix.
func rowOf(x []float32, i, cols int) []float32 { return x[i*cols : (i+1)*cols] }
