package cpu

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// The logits never exist as a whole: forward those of a task's columns, backward a block of
// lossRows x lossCols (16 MiB). A task multiplies its columns of the weights by all rows of a
// block and uses the logits while they are in its cache. It owns its columns of the weights' gradient.
const (
	lossRows = 1024
	lossCols = 4096
	lossTask = 256 // columns of a task
)

// The logits of this many rows or fewer are computed transposed, w·xᵀ, which reads w as it lies.
// Turning the few logits costs less than turning w: 16 rows take 72 % of the time, 48 take 95 %, 100 take 103 %.
const fewRows = 64

// vocabulary is a block of the logits x·w + bias (or x·wᵀ) with its operands and results.
type vocabulary struct {
	x, xt, w, bias []float32               // xt is xᵀ, of few rows
	w8             *kernels.Int8Matrix     // instead of w, with
	x8             *kernels.Int8Rows       // x
	w16            *kernels.HalfMatrix     // instead of w
	rounded        *kernels.BFloat16Matrix // instead of w, with
	xRounded       *kernels.BFloat16Rows   // x
	ldxt           int
	op             engine.Transpose
	rows           int
	hidden, vocab  int
	labels         []int32
	smoothing      float32

	// Forward: for each row, its pieces, which are the tasks' shares, and the logit of its label.
	pieces []piece
	target []float32
	losses []float64
	stats  []float32

	// Backward: the slopes of the logits in columns [from, from+lossCols), and what they lead to.
	slopes     []float32
	from       int
	scale      float64 // dloss / rows
	dw, db     []float32
	addW, addB bool
}

// piece is what a row's loss needs to know of some of its logits: the largest, Σ exp(l - largest), and Σ l.
type piece struct{ largest, exponentials, sum float32 }

// VocabularyLoss implements [engine.Device].
func (d *Device) VocabularyLoss(loss, stats, x *engine.Tensor, w engine.Weight, bias *engine.Tensor, labels []int32, smoothing float32) {
	const name = "vocabulary loss"
	a := newVocabulary(name, stats, x, w, bias, labels, smoothing)
	engine.CheckShape(name, "loss", loss, 1, 1)
	l := &d.loops
	var sum float64
	for top := 0; top < x.Rows; top += lossRows {
		b := a.block(d, x, stats, labels, top)
		b.pieces, b.target, b.losses = grow(&l.pieces, b.rows*b.tasks()), grow(&l.targets, b.rows), grow(&l.losses, b.rows)
		l.vocabulary.run(d.limit, a.vocab, lossTask, b, (*vocabulary).forward)
		l.vocabulary.run(d.limit, b.rows, 16, b, (*vocabulary).join)
		for _, x := range b.losses {
			sum += x
		}
	}
	data(loss)[0] = float32(sum / float64(len(labels)))
}

// VocabularyLossBackward implements [engine.Device].
func (d *Device) VocabularyLossBackward(dx, dw, db, dloss, stats, x *engine.Tensor, w engine.Weight, bias *engine.Tensor, labels []int32, smoothing float32, addW, addB bool) {
	const name = "vocabulary loss backward"
	a := newVocabulary(name, stats, x, w, bias, labels, smoothing)
	engine.CheckShape(name, "dloss", dloss, 1, 1)
	engine.CheckShape(name, "dx", dx, x.Rows, x.Cols)
	if dw != nil {
		engine.CheckShape(name, "dw", dw, w.Tensor.Rows, w.Tensor.Cols)
		a.dw = data(dw)
	}
	if db != nil {
		engine.CheckShape(name, "db", db, 1, a.vocab)
		a.db = data(db)
	}
	if w.Tensor.Format != engine.Float32 {
		panic(engine.ShapeError{Op: name, Detail: fmt.Sprintf("no gradient passes through weights of %v", w.Tensor.Format)})
	}
	a.scale = float64(data(dloss)[0]) / float64(len(labels))
	a.addW, a.addB = addW, addB
	if x.Rows == 0 {
		if dw != nil && !addW {
			d.Zero(dw)
		}
		if db != nil && !addB {
			d.Zero(db)
		}
		return
	}
	slopes := d.New(min(x.Rows, lossRows), min(a.vocab, lossCols))
	for top := 0; top < x.Rows; top += lossRows {
		b := a.block(d, x, stats, labels, top)
		b.slopes = data(slopes)
		for b.from = 0; b.from < a.vocab; b.from += lossCols {
			cols := min(lossCols, a.vocab-b.from)
			d.loops.vocabulary.run(d.limit, cols, lossTask, b, (*vocabulary).backward)
			flags := kernels.GemmFlags(0)
			if w.Op == engine.NN {
				flags = kernels.TransB
			}
			if b.from > 0 {
				flags |= kernels.Accumulate
			}
			kernels.GemmWith(data(dx)[top*x.Cols:], x.Cols, b.slopes, b.ld(), b.weights(b.w, b.from), w.Tensor.Cols, b.rows, x.Cols, cols, flags, kernels.Options{Limit: d.limit})
		}
		a.addW, a.addB = true, true
	}
	d.Free(slopes)
}

func newVocabulary(name string, stats, x *engine.Tensor, w engine.Weight, bias *engine.Tensor, labels []int32, smoothing float32) vocabulary {
	a := vocabulary{op: w.Op, hidden: w.In(), vocab: w.Out(), smoothing: smoothing}
	engine.CheckShape(name, "x", x, len(labels), a.hidden)
	engine.CheckShape(name, "stats", stats, len(labels), 1)
	engine.CheckShape(name, "bias", bias, 1, a.vocab)
	engine.CheckIndices(name, labels, a.vocab)
	a.bias = data(bias)
	switch matrix := w.Prepared.(type) {
	case *kernels.Int8Matrix:
		a.w8 = matrix
	case *kernels.HalfMatrix:
		a.w16 = matrix
	case *kernels.BFloat16Matrix:
		a.rounded = matrix
	default:
		a.w = data(w.Tensor)
	}
	return a
}

// block returns the block of rows from top on.
func (a *vocabulary) block(d *Device, x, stats *engine.Tensor, labels []int32, top int) vocabulary {
	b := *a
	end := min(top+lossRows, x.Rows)
	b.rows, b.labels = end-top, labels[top:end]
	b.x, b.stats = data(x)[top*x.Cols:], data(stats)[top:end]
	if b.rounded != nil {
		b.xRounded = &d.loops.halfRows
		b.xRounded.Set(b.x, x.Cols, b.rows, x.Cols, d.limit)
		return b
	}
	if b.w8 != nil {
		b.x8 = &d.loops.bytes
		b.x8.Set(b.x, x.Cols, b.rows, x.Cols, d.limit)
		return b
	}
	if b.w != nil && b.op == engine.NT && b.rows <= fewRows {
		b.ldxt = padded(b.rows)
		b.xt = grow(&d.loops.turned, b.ldxt*x.Cols)
		kernels.Transpose(b.xt, b.ldxt, b.x, x.Cols, b.rows, x.Cols)
	}
	return b
}

// tasks returns how many tasks share a row.
func (a *vocabulary) tasks() int { return (a.vocab-1)/lossTask + 1 }

// ld is the distance between rows of slopes.
func (a *vocabulary) ld() int { return min(a.vocab, lossCols) }

// weights returns w, or its gradient, from column from of the logits on.
func (a *vocabulary) weights(w []float32, from int) []float32 {
	if a.op == engine.NN {
		return w[from:]
	}
	return w[from*a.hidden:]
}

// logits computes columns [lo, hi) of the logits.
func (a *vocabulary) logits(s *scratch, lo, hi int) matrix {
	cols := hi - lo
	y := matrix{grow(&s.scores, a.rows*lossTask), lossTask}
	switch o := (kernels.Options{Limit: 1, Bias: a.bias[lo:hi]}); {
	case a.w16 != nil:
		kernels.GemmHalf(y.x, y.ld, a.x, a.hidden, a.w16.Columns(lo, hi), a.rows, 0, o)
		return y
	case a.rounded != nil:
		kernels.GemmBFloat16(y.x, y.ld, a.xRounded, a.rounded.Columns(lo, hi), o)
		return y
	case a.w8 != nil:
		kernels.GemmInt8(y.x, y.ld, a.x8, a.w8.Columns(lo, hi), o)
		return y
	}
	x, w := matrix{a.x, a.hidden}, matrix{a.weights(a.w, lo), a.hidden}
	switch {
	case a.op == engine.NN: // rows of w lie far apart
		near := matrix{grow(&s.k, a.hidden*cols), cols}
		for i := range a.hidden {
			copy(near.x[i*cols:(i+1)*cols], w.x[i*a.vocab:])
		}
		mul(y, x, near, a.rows, cols, a.hidden, 0)
	case a.xt != nil:
		turned := matrix{grow(&s.slopes, cols*a.ldxt), a.ldxt}
		mul(turned, w, matrix{a.xt, a.ldxt}, cols, a.rows, a.hidden, 0)
		kernels.Transpose(y.x, y.ld, turned.x, turned.ld, cols, a.rows)
	default:
		mul(y, x, w, a.rows, cols, a.hidden, kernels.TransB)
	}
	for i := range a.rows {
		row := y.x[i*y.ld:][:cols]
		kernels.Add(row, row, a.bias[lo:hi])
	}
	return y
}

// forward computes a task's pieces of all rows.
func (a *vocabulary) forward(lo, hi int) {
	s := scratches.Get().(*scratch)
	y := a.logits(s, lo, hi)
	for i, label := range a.labels {
		row := y.x[i*y.ld:][:hi-lo]
		if lo <= int(label) && int(label) < hi {
			a.target[i] = row[int(label)-lo]
		}
		a.pieces[i*a.tasks()+lo/lossTask] = newPiece(row, row)
	}
	scratches.Put(s)
}

// newPiece returns the piece of x; dst, which may be x, is overwritten.
func newPiece(dst, x []float32) (p piece) {
	p.sum = kernels.Sum(x)
	p.largest, p.exponentials = exponentials(dst, x)
	return p
}

// exponentials is [kernels.Exponentials] for a part of a row, which may be nothing but -Inf.
func exponentials(dst, x []float32) (largest, sum float32) {
	largest, sum = kernels.Exponentials(dst, x, 1)
	if math.IsInf(float64(largest), -1) {
		clear(dst)
		sum = 0
	}
	return largest, sum
}

// logSumExpOf is log(sum exp(x)) of all elements of the pieces.
func logSumExpOf(pieces []piece) float64 {
	top := math.Inf(-1)
	for _, p := range pieces {
		top = max(top, float64(p.largest)) // keeps NaN
	}
	var sum float64
	for _, p := range pieces {
		if p.exponentials != 0 { // else largest is -Inf
			sum += float64(p.exponentials) * math.Exp(float64(p.largest)-top)
		}
	}
	return top + math.Log(sum)
}

// join computes the losses of rows from their pieces.
func (a *vocabulary) join(lo, hi int) {
	e := float64(a.smoothing)
	for i := lo; i < hi; i++ {
		pieces := a.pieces[i*a.tasks():][:a.tasks()]
		logSum := logSumExpOf(pieces)
		a.stats[i] = float32(logSum)
		a.losses[i] = logSum - (1-e)*float64(a.target[i])
		if e > 0 { // else an infinite logit does not matter
			for _, p := range pieces {
				a.losses[i] -= e * float64(p.sum) / float64(a.vocab)
			}
		}
	}
}

// ones is what a constant is subtracted with.
var ones = func() (x [lossTask]float32) {
	for i := range x {
		x[i] = 1
	}
	return x
}()

// backward computes the slopes of the task's logits, and dw and db of its columns, with P the
// probabilities and T the smoothed labels:
//
//	dL = (P - T)·dloss/N     dW = xᵀ·dL, or dLᵀ·x     db = the sum of the rows of dL
func (a *vocabulary) backward(lo, hi int) {
	s := scratches.Get().(*scratch)
	first, cols := a.from+lo, hi-lo
	y := a.logits(s, first, first+cols)
	dl := matrix{a.slopes[lo:], a.ld()}
	even := float32(a.scale * float64(a.smoothing) / float64(a.vocab))
	for i, label := range a.labels {
		row, slopes := y.x[i*y.ld:][:cols], dl.x[i*dl.ld:][:cols]
		largest, _ := exponentials(row, row)
		kernels.Scale(slopes, float32(a.scale*math.Exp(float64(largest)-float64(a.stats[i]))), row)
		if a.smoothing > 0 {
			kernels.Axpy(slopes, -even, ones[:cols])
		}
		if at := int(label) - first; 0 <= at && at < cols {
			slopes[at] -= float32(a.scale * (1 - float64(a.smoothing)))
		}
	}
	if a.dw != nil {
		flags := kernels.TransA
		if a.addW {
			flags |= kernels.Accumulate
		}
		dw, x := matrix{a.weights(a.dw, first), a.hidden}, matrix{a.x, a.hidden}
		if a.op == engine.NN {
			dw.ld = a.vocab
			mul(dw, x, dl, a.hidden, cols, a.rows, flags)
		} else {
			mul(dw, dl, x, cols, a.hidden, a.rows, flags)
		}
	}
	if a.db != nil {
		db := a.db[first : first+cols]
		if !a.addB {
			clear(db)
		}
		for i := range a.rows {
			kernels.Add(db, db, dl.x[i*dl.ld:][:cols])
		}
	}
	scratches.Put(s)
}
