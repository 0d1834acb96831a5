package cpu

import (
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// ContrastiveLoss implements [engine.Device].
func (d *Device) ContrastiveLoss(loss, slopes, scores *engine.Tensor, c engine.Contrast) {
	const op = "contrastive loss"
	c.Check(op, scores)
	engine.CheckShape(op, "slopes", slopes, scores.Rows, scores.Cols)
	engine.CheckShape(op, "loss", loss, 1, 1)
	s, ds, groups := data(scores), data(slopes), c.Groups()
	clear(ds)
	var sum float64
	for first := 0; first < len(c.Kinds); first += c.Group {
		if c.Counts(first) {
			sum += contrast(s[first:][:c.Group], ds[first:], c.Kinds[first:][:c.Group], 1/float64(groups))
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
	const op = "circle loss"
	c.Check(op, scores)
	engine.CheckShape(op, "slopes", slopes, scores.Rows, 1)
	engine.CheckShape(op, "loss", loss, 1, 1)
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
