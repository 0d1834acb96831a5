package cpu

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/engine"
	"github.com/unimo-go/unimo/internal/kernels"
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

// SquaredError implements [engine.Device].
func (d *Device) SquaredError(loss, pred *engine.Tensor, targets []float32) {
	engine.CheckShape("squared error", "pred", pred, len(targets), 1)
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
	engine.CheckShape(op, "pred", pred, len(targets), 1)
	engine.CheckShape(op, "dpred", dpred, len(targets), 1)
	engine.CheckShape(op, "dloss", dloss, 1, 1)
	scale := 2 * data(dloss)[0] / float32(len(targets))
	dp := data(dpred)
	for i, p := range data(pred) {
		dp[i] = scale * (p - targets[i])
	}
}

// CircleLoss implements [engine.Device].
func (d *Device) CircleLoss(loss, slopes, scores *engine.Tensor, c engine.CircleLoss) {
	if c.Group < 1 || c.ImageNegatives < 0 || c.ImageNegatives >= c.Group || scores.Rows%c.Group != 0 {
		panic(engine.ShapeError{Op: "circle loss", Detail: fmt.Sprintf("%d scores in groups of %d with %d image negatives", scores.Rows, c.Group, c.ImageNegatives)})
	}
	engine.CheckShape("circle loss", "scores", scores, scores.Rows, 1)
	engine.CheckShape("circle loss", "slopes", slopes, scores.Rows, 1)
	engine.CheckShape("circle loss", "loss", loss, 1, 1)
	groups := scores.Rows / c.Group
	half := 0.5 / float64(groups)
	var sum float64
	for g := range groups {
		s, ds := data(scores)[g*c.Group:][:c.Group], data(slopes)[g*c.Group:][:c.Group]
		split := 1 + c.ImageNegatives
		images, a := circle(s[0], s[1:split], ds[1:split], c, half)
		texts, b := circle(s[0], s[split:], ds[split:], c, half)
		ds[0] = float32(a + b)
		sum += (images + texts) * half
	}
	data(loss)[0] = float32(sum)
}

// circle returns the loss of a positive and its negatives of one kind, and the slope of the positive;
// slopes receives those of the negatives. Slopes are multiplied by weight.
func circle(positive float32, negatives, slopes []float32, c engine.CircleLoss, weight float64) (loss, slope float64) {
	if len(negatives) == 0 {
		return 0, 0
	}
	p, m := float64(positive), c.Margin
	ap := max(0, 1+m-p)
	top := math.Inf(-1) // of the exponents of negatives
	exponent := func(n float32) float64 { return c.Scale * max(0, float64(n)+m) * (float64(n) - m) }
	for _, n := range negatives {
		top = max(top, exponent(n))
	}
	var sum float64
	for _, n := range negatives {
		sum += math.Exp(exponent(n) - top)
	}
	z := top + math.Log(sum) - c.Scale*ap*(p-(1-m)) // the loss is log(1 + exp(z))
	loss = max(z, 0) + math.Log1p(math.Exp(-math.Abs(z)))
	share := weight / (1 + math.Exp(-z))
	for i, n := range negatives {
		slopes[i] = float32(share * math.Exp(exponent(n)-top) / sum * c.Scale * max(0, float64(n)+m))
	}
	return loss, -share * c.Scale * ap
}
