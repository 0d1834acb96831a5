package cpu

import (
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// CrossEntropy implements [engine.Device].
func (d *Device) CrossEntropy(loss, logits *engine.Tensor, classes []int32, smoothing float32) {
	const op = "cross entropy"
	e := newEntropy(op, logits, classes, smoothing)
	engine.CheckShape(op, "loss", loss, 1, 1)
	e.losses = grow(&d.loops.losses, len(classes))
	d.loops.entropy.run(d.limit, len(classes), rowBlock(e.cols), e, (*entropy).forward)
	data(loss)[0] = mean(e.losses)
}

// LossSlope implements [engine.Device].
func (d *Device) LossSlope(dloss, loss *engine.Tensor, scale float32) {
	const op = "loss slope"
	engine.CheckShape(op, "dloss", dloss, 1, 1)
	engine.CheckShape(op, "loss", loss, 1, 1)
	data(dloss)[0] = scale
}

// mean is the mean of the rows' losses, in their order.
func mean(losses []float64) float32 {
	var sum float64
	for _, l := range losses {
		sum += l
	}
	return float32(sum / float64(len(losses)))
}

// entropy is the cross entropy of rows.
type entropy struct {
	logits    []float32
	cols      int
	classes   []int32
	smoothing float64

	losses []float64 // forward

	dlogits []float32 // backward
	scale   float32   // dloss / rows
	add     bool
}

func newEntropy(op string, logits *engine.Tensor, classes []int32, smoothing float32) entropy {
	engine.CheckShape(op, "logits", logits, len(classes), logits.Cols)
	engine.CheckIndices(op, classes, logits.Cols)
	return entropy{logits: data(logits), cols: logits.Cols, classes: classes, smoothing: float64(smoothing)}
}

func (e *entropy) forward(lo, hi int) {
	s := scratches.Get().(*scratch)
	for i := lo; i < hi; i++ {
		row := rowOf(e.logits, i, e.cols)
		var logSum float64
		if len(row) <= lossTask {
			logSum = logSumExp(row)
		} else { // of many, float64 would take longer than the products
			logSum = logSumExpOf(s.piecesOf(row))
		}
		e.losses[i] = logSum - (1-e.smoothing)*float64(row[e.classes[i]])
		if e.smoothing > 0 { // else an infinite logit does not matter
			e.losses[i] -= e.smoothing * float64(kernels.Sum(row)) / float64(e.cols)
		}
	}
	scratches.Put(s)
}

// piecesOf returns the pieces of a row.
func (s *scratch) piecesOf(row []float32) []piece {
	pieces, buffer := s.pieces[:0], grow(&s.scores, lossTask)
	for part := range slices.Chunk(row, lossTask) {
		pieces = append(pieces, newPiece(buffer[:len(part)], part))
	}
	s.pieces = pieces
	return pieces
}

// logSumExp is log(sum exp(x)), in float64: from the rounded probabilities the
// loss of a confident row would lose its digits.
func logSumExp(x []float32) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v)) // the built-in max keeps NaN
	}
	var sum float64
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum)
}

// CrossEntropyBackward implements [engine.Device].
func (d *Device) CrossEntropyBackward(dlogits, dloss, logits *engine.Tensor, classes []int32, smoothing float32, add bool) {
	const op = "cross entropy backward"
	e := newEntropy(op, logits, classes, smoothing)
	engine.CheckShape(op, "dlogits", dlogits, logits.Rows, logits.Cols)
	engine.CheckShape(op, "dloss", dloss, 1, 1)
	e.dlogits, e.scale, e.add = data(dlogits), data(dloss)[0]/float32(len(classes)), add
	d.loops.entropy.run(d.limit, len(classes), rowBlock(e.cols), e, (*entropy).backward)
}

func (e *entropy) backward(lo, hi int) {
	s := scratches.Get().(*scratch)
	probs := grow(&s.scores, e.cols)
	even := float32(float64(e.scale) * e.smoothing / float64(e.cols))
	for i := lo; i < hi; i++ {
		slopes := rowOf(e.dlogits, i, e.cols)
		kernels.Softmax(probs, rowOf(e.logits, i, e.cols), 1)
		if e.add {
			kernels.Axpy(slopes, e.scale, probs)
		} else {
			kernels.Scale(slopes, e.scale, probs)
		}
		if even != 0 {
			for j := range slopes {
				slopes[j] -= even
			}
		}
		slopes[e.classes[i]] -= float32(float64(e.scale) * (1 - e.smoothing))
	}
	scratches.Put(s)
}

// SquaredError implements [engine.Device].
func (d *Device) SquaredError(loss, pred *engine.Tensor, targets []float32) {
	engine.CheckTargets("squared error", pred, targets)
	engine.CheckShape("squared error", "loss", loss, 1, 1)
	var sum float64
	for i, p := range data(pred) {
		diff := float64(p) - float64(targets[i])
		sum += diff * diff
	}
	data(loss)[0] = float32(sum / float64(len(targets)))
}

// SquaredErrorBackward implements [engine.Device].
func (d *Device) SquaredErrorBackward(dpred, dloss, pred *engine.Tensor, targets []float32) {
	const op = "squared error backward"
	engine.CheckTargets(op, pred, targets)
	engine.CheckShape(op, "dpred", dpred, pred.Rows, pred.Cols)
	engine.CheckShape(op, "dloss", dloss, 1, 1)
	scale := 2 * data(dloss)[0] / float32(len(targets))
	dp := data(dpred)
	for i, p := range data(pred) {
		dp[i] = scale * (p - targets[i])
	}
}

// MeanSum implements [engine.Device].
func (d *Device) MeanSum(loss, slopes, x *engine.Tensor) {
	const op = "mean sum"
	engine.CheckShape(op, "slopes", slopes, x.Rows, x.Cols)
	engine.CheckShape(op, "loss", loss, 1, 1)
	var sum float64
	for _, v := range data(x) {
		sum += float64(v) / float64(x.Rows)
	}
	if x.Rows == 0 {
		sum = math.NaN()
	}
	ds := data(slopes)
	for i := range ds {
		ds[i] = 1 / float32(x.Rows)
	}
	data(loss)[0] = float32(sum)
}

// KLDivergence implements [engine.Device].
func (d *Device) KLDivergence(loss, slopes, logits *engine.Tensor, targets []float32) {
	const op = "kl divergence"
	engine.CheckTargets(op, logits, targets)
	engine.CheckShape(op, "slopes", slopes, logits.Rows, logits.Cols)
	engine.CheckShape(op, "loss", loss, 1, 1)
	var sum float64
	for i := range logits.Rows {
		row, slopes, targets := rowOf(data(logits), i, logits.Cols), rowOf(data(slopes), i, logits.Cols), rowOf(targets, i, logits.Cols)
		logSum, total := logSumExp(row), 0.0
		for c, target := range targets {
			if t := float64(target); t != 0 {
				sum += t * (math.Log(t) - float64(row[c]) + logSum)
				total += t
			}
		}
		kernels.Softmax(slopes, row, 1)
		for c, target := range targets {
			slopes[c] = float32((float64(slopes[c])*total - float64(target)) / float64(logits.Rows))
		}
	}
	data(loss)[0] = float32(sum / float64(logits.Rows))
}

// BinaryCrossEntropy implements [engine.Device].
func (d *Device) BinaryCrossEntropy(loss, slopes, logits *engine.Tensor, targets []float32) {
	const op = "binary cross entropy"
	engine.CheckTargets(op, logits, targets)
	engine.CheckShape(op, "slopes", slopes, logits.Rows, logits.Cols)
	engine.CheckShape(op, "loss", loss, 1, 1)
	ds, rows := data(slopes), float64(logits.Rows)
	var sum float64
	for i, logit := range data(logits) {
		x, t := float64(logit), float64(targets[i])
		small := math.Exp(-math.Abs(x)) // so that nothing overflows
		sigmoid := 1 / (1 + small)
		if x < 0 {
			sigmoid *= small
		}
		sum += max(x, 0) - t*x + math.Log1p(small)
		ds[i] = float32((sigmoid - t) / rows)
	}
	data(loss)[0] = float32(sum / rows)
}

// SymmetricDivergence implements [engine.Device].
func (d *Device) SymmetricDivergence(loss, a, b *engine.Tensor) {
	const op = "symmetric divergence"
	engine.CheckShape(op, "loss", loss, 1, 1)
	data(loss)[0] = mean(d.compare(op, comparison{}, a, b))
}

// SymmetricDivergenceBackward implements [engine.Device].
func (d *Device) SymmetricDivergenceBackward(da, db, dloss, a, b *engine.Tensor, addA, addB bool) {
	const op = "symmetric divergence backward"
	engine.CheckShape(op, "dloss", dloss, 1, 1)
	c := comparison{addA: addA, addB: addB, scale: data(dloss)[0] / float32(a.Rows)}
	if da != nil {
		engine.CheckShape(op, "da", da, a.Rows, a.Cols)
		c.da = data(da)
	}
	if db != nil {
		engine.CheckShape(op, "db", db, a.Rows, a.Cols)
		c.db = data(db)
	}
	d.compare(op, c, a, b)
}

// comparison is the divergence of pairs of rows, and its slopes times scale.
type comparison struct {
	a, b, da, db []float32 // da and db, of which each may be nil, receive the slopes
	addA, addB   bool
	scale        float32
	losses       []float64
	cols         int
}

// compare returns the losses of the pairs, and writes the slopes that are wanted.
func (d *Device) compare(op string, c comparison, a, b *engine.Tensor) []float64 {
	engine.CheckShape(op, "b", b, a.Rows, a.Cols)
	c.a, c.b, c.cols, c.losses = data(a), data(b), a.Cols, grow(&d.loops.losses, a.Rows)
	d.loops.compare.run(d.limit, a.Rows, rowBlock(2*a.Cols), c, (*comparison).run)
	return c.losses
}

func (c *comparison) run(lo, hi int) {
	s := scratches.Get().(*scratch)
	p, q := grow(&s.q, c.cols), grow(&s.k, c.cols)
	between, difference := grow(&s.v, c.cols), grow(&s.dy, c.cols) // of the probabilities, and of their logarithms
	for i := lo; i < hi; i++ {
		a, b := rowOf(c.a, i, c.cols), rowOf(c.b, i, c.cols)
		kernels.Softmax(p, a, 1)
		kernels.Softmax(q, b, 1)
		// What all logits of a row have in common cancels out. The mean under p is taken from the differences first, so
		// that it costs no digits, and they have the mean 0 under p then and minus the loss under q.
		for j, x := range a {
			between[j], difference[j] = p[j]-q[j], x-b[j]
		}
		mean := kernels.Dot(p, difference)
		for j := range difference {
			difference[j] -= mean
		}
		loss := kernels.Dot(between, difference)
		c.losses[i] = float64(loss)
		c.slopes(c.da, i, c.addA, c.scale, 0, p, between, difference)
		c.slopes(c.db, i, c.addB, -c.scale, loss, q, between, difference)
	}
	scratches.Put(s)
}

// slopes writes the slopes of a row's logits, whose softmax is probs, if they are wanted.
func (c *comparison) slopes(to []float32, row int, add bool, scale, shift float32, probs, between, difference []float32) {
	if to == nil {
		return
	}
	to = rowOf(to, row, c.cols)
	if !add {
		clear(to)
	}
	for j, x := range probs {
		to[j] += scale * (between[j] + x*(difference[j]+shift))
	}
}
