package cpu

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// CrossEntropy implements [engine.Device].
func (d *Device) CrossEntropy(loss, probs, logits *engine.Tensor, classes []int32) {
	engine.CheckShape("cross entropy", "probs", probs, logits.Rows, logits.Cols)
	engine.CheckShape("cross entropy", "logits", logits, len(classes), logits.Cols)
	engine.CheckShape("cross entropy", "loss", loss, 1, 1)
	engine.CheckIndices("cross entropy", classes, logits.Cols)
	ps, ls, cols := data(probs), data(logits), logits.Cols
	var sum float64
	for i, class := range classes {
		row := ls[i*cols : (i+1)*cols]
		kernels.Softmax(ps[i*cols:(i+1)*cols], row, 1)
		sum += logSumExp(row) - float64(row[class])
	}
	data(loss)[0] = float32(sum / float64(len(classes)))
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
func (d *Device) CrossEntropyBackward(dlogits, dloss, probs *engine.Tensor, classes []int32) {
	const op = "cross entropy backward"
	engine.CheckShape(op, "probs", probs, len(classes), probs.Cols)
	engine.CheckShape(op, "dlogits", dlogits, probs.Rows, probs.Cols)
	engine.CheckShape(op, "dloss", dloss, 1, 1)
	engine.CheckIndices(op, classes, probs.Cols)
	dl, ps, cols := data(dlogits), data(probs), probs.Cols
	scale := data(dloss)[0] / float32(len(classes))
	for i, class := range classes {
		row := dl[i*cols : (i+1)*cols]
		kernels.Scale(row, scale, ps[i*cols:(i+1)*cols])
		row[class] -= scale
	}
}

// checkTargets panics unless there is a target for each element of x.
func checkTargets(op string, x *engine.Tensor, targets int) {
	if x.Len() != targets {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d targets for %d x %d elements", targets, x.Rows, x.Cols)})
	}
}

// SquaredError implements [engine.Device].
func (d *Device) SquaredError(loss, pred *engine.Tensor, targets []float32) {
	checkTargets("squared error", pred, len(targets))
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
	checkTargets(op, pred, len(targets))
	engine.CheckShape(op, "dpred", dpred, pred.Rows, pred.Cols)
	engine.CheckShape(op, "dloss", dloss, 1, 1)
	scale := 2 * data(dloss)[0] / float32(len(targets))
	dp := data(dpred)
	for i, p := range data(pred) {
		dp[i] = scale * (p - targets[i])
	}
}

// KLDivergence implements [engine.Device].
func (d *Device) KLDivergence(loss, slopes, logits *engine.Tensor, targets []float32) {
	const op = "kl divergence"
	checkTargets(op, logits, len(targets))
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
	checkTargets(op, logits, len(targets))
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
func (d *Device) SymmetricDivergence(loss, slopes, logits *engine.Tensor) {
	const op = "symmetric divergence"
	engine.CheckShape(op, "slopes", slopes, logits.Rows, logits.Cols)
	engine.CheckShape(op, "loss", loss, 1, 1)
	if logits.Rows%2 != 0 {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d rows are no pairs", logits.Rows)})
	}
	pairs := logits.Rows / 2
	losses := grow(&d.loops.losses, pairs)
	d.loops.compare.run(d.limit, pairs, rowBlock(2*logits.Cols), comparison{data(slopes), data(logits), losses, logits.Cols}, (*comparison).run)
	var sum float64
	for _, l := range losses {
		sum += l
	}
	data(loss)[0] = float32(sum / float64(pairs))
}

// comparison is the divergence of pairs of rows.
type comparison struct {
	slopes, logits []float32
	losses         []float64
	cols           int
}

func (c *comparison) run(lo, hi int) {
	pairs, difference := len(c.losses), make([]float32, c.cols)
	for i := lo; i < hi; i++ {
		a, b := rowOf(c.logits, i, c.cols), rowOf(c.logits, pairs+i, c.cols)
		for j, x := range a {
			difference[j] = x - b[j]
		}
		p, q := rowOf(c.slopes, i, c.cols), rowOf(c.slopes, pairs+i, c.cols)
		kernels.Softmax(p, a, 1)
		kernels.Softmax(q, b, 1)
		c.losses[i] = diverge(p, q, difference, 1/float64(pairs))
	}
}

// diverge returns the divergence of the distributions p and q, whose logits differ so much, and replaces p and q by its
// derivatives by their logits, times scale. What all logits of a row have in common cancels out; it is taken from the
// differences first, so that it costs no digits.
func diverge(p, q, difference []float32, scale float64) float64 {
	var mean float64 // of the differences under p
	for j, x := range difference {
		mean += float64(p[j]) * float64(x)
	}
	var sum, under float64 // under q
	for j, x := range difference {
		d := float64(x) - mean
		sum += (float64(p[j]) - float64(q[j])) * d
		under += float64(q[j]) * d
	}
	for j, x := range difference {
		p64, q64, d := float64(p[j]), float64(q[j]), float64(x)-mean
		p[j] = float32(scale * (p64 - q64 + p64*d))
		q[j] = float32(scale * (q64 - p64 - q64*(d-under)))
	}
	return sum
}
