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

// ContrastiveLoss implements [engine.Device].
func (d *Device) ContrastiveLoss(loss, slopes, scores *engine.Tensor, c engine.Contrast) {
	const op = "contrastive loss"
	checkTargets(op, scores, len(c.Kinds))
	if c.Group < 1 || len(c.Kinds)%c.Group != 0 {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d scores in groups of %d", len(c.Kinds), c.Group)})
	}
	engine.CheckShape(op, "slopes", slopes, scores.Rows, scores.Cols)
	engine.CheckShape(op, "loss", loss, 1, 1)
	groups := c.Groups()
	var sum float64
	clear(data(slopes))
	for first := 0; first < len(c.Kinds); first += c.Group {
		if c.Counts(first) {
			sum += contrast(data(scores)[first:][:c.Group], data(slopes)[first:], c.Kinds[first:][:c.Group], 1/float64(groups))
		}
	}
	data(loss)[0] = float32(sum)
}

// contrast returns the loss of a group, and slopes receives its derivatives; both are multiplied by weight.
func contrast(scores, slopes []float32, kinds []int8, weight float64) float64 {
	positives, negatives := logSumOf(scores, kinds, engine.Positive), logSumOf(scores, kinds, engine.Negative)
	z := negatives - positives // the loss is log(1 + exp(z))
	share := weight / (1 + math.Exp(-z))
	for i, s := range scores {
		switch kinds[i] {
		case engine.Positive:
			slopes[i] = float32(-share * math.Exp(float64(s)-positives))
		case engine.Negative:
			slopes[i] = float32(share * math.Exp(float64(s)-negatives))
		}
	}
	return weight * softplus(z)
}

// logSumOf is the log(sum exp(x)) of the scores of one kind.
func logSumOf(scores []float32, kinds []int8, kind int8) float64 {
	top := math.Inf(-1)
	for i, s := range scores {
		if kinds[i] == kind {
			top = max(top, float64(s))
		}
	}
	var sum float64
	for i, s := range scores {
		if kinds[i] == kind {
			sum += math.Exp(float64(s) - top)
		}
	}
	return top + math.Log(sum)
}

// softplus is log(1 + exp(z)).
func softplus(z float64) float64 { return max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) }

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
	loss = softplus(z)
	share := weight / (1 + math.Exp(-z))
	for i, n := range negatives {
		slopes[i] = float32(share * math.Exp(exponent(n)-top) / sum * c.Scale * max(0, float64(n)+m))
	}
	return loss, -share * c.Scale * ap
}
