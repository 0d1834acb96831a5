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
