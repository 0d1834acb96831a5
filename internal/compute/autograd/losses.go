package autograd

import (
	"fmt"
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// HostLoss returns a loss of x that f computes on the host: from the values of x its loss and, into slopes,
// the derivatives. It is for losses of few numbers that belong to one recipe, such as those of pairs' scores;
// a device need not know them. f is called once, before HostLoss returns.
func (t *Tape) HostLoss(x *Var, f func(slopes, values []float32) float64) *Var {
	return t.sloped(x, func(loss, slopes *engine.Tensor) {
		s := engine.Values(t.dev, slopes)
		value := f(s, engine.Values(t.dev, x.Value))
		t.dev.Write(slopes, s) // nothing, if it is the memory
		t.scale[0] = float32(value)
		t.dev.Write(loss, t.scale[:])
	})
}

// Contrast describes the contrastive loss of groups of scores, which lie one after the other in
// the order of a tensor's elements.
type Contrast struct {
	Group int    // scores of a group
	Kinds []int8 // of every score: Negative, Positive or Excluded
}

// Groups returns how many groups have a positive and a negative: the loss is the mean over them.
func (c Contrast) Groups() int {
	n := 0
	for first := 0; first < len(c.Kinds); first += c.Group {
		if c.Counts(first) {
			n++
		}
	}
	return n
}

// Counts says whether the group that begins at the score first has a positive and a negative.
func (c Contrast) Counts(first int) bool {
	kinds := c.Kinds[first:][:c.Group]
	return slices.Contains(kinds, Positive) && slices.Contains(kinds, Negative)
}

// Kinds of scores. What is excluded takes no part in the loss and gets no gradient.
const (
	Negative int8 = iota
	Positive
	Excluded
)

// ContrastiveLoss returns the mean of
//
//	-log(Σ_positives exp(s) / (Σ_positives exp(s) + Σ_negatives exp(s)))
//
// over the groups of scores that have both kinds, in float64, without overflow on the way; 0 if no group
// has. scores may have any shape.
func (t *Tape) ContrastiveLoss(scores *Var, c Contrast) *Var {
	const op = "contrastive loss"
	if n := scores.Value.Len(); n != len(c.Kinds) {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d kinds for %d scores", len(c.Kinds), n)})
	}
	if c.Group < 1 || len(c.Kinds)%c.Group != 0 {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d scores in groups of %d", len(c.Kinds), c.Group)})
	}
	return t.HostLoss(scores, func(slopes, scores []float32) (sum float64) {
		groups := c.Groups()
		clear(slopes)
		for first := 0; first < len(c.Kinds); first += c.Group {
			if c.Counts(first) {
				sum += contrast(scores[first:][:c.Group], slopes[first:], c.Kinds[first:][:c.Group], 1/float64(groups))
			}
		}
		return sum
	})
}

// contrast returns the loss of a group, and slopes receives its derivatives; both are multiplied by weight.
func contrast(scores, slopes []float32, kinds []int8, weight float64) float64 {
	positives, negatives := logSumOf(scores, kinds, Positive), logSumOf(scores, kinds, Negative)
	z := negatives - positives // the loss is log(1 + exp(z))
	share := weight / (1 + math.Exp(-z))
	for i, s := range scores {
		switch kinds[i] {
		case Positive:
			slopes[i] = float32(-share * math.Exp(float64(s)-positives))
		case Negative:
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

// CircleLoss describes the circle loss of groups of scores, which lie one below the other. The
// first of a group is that of the positive pair, the next are those of its text with other images, the
// others those of its image with other texts.
type CircleLoss struct {
	Group          int     // scores of a group
	ImageNegatives int     // of them: the text with other images
	Margin, Scale  float64 // m and s
}

// CircleLoss returns, with p the score of a group's positive pair, n those of one kind of negatives, and
// a⁺ = max(0, 1+m-p), aᵢ = max(0, nᵢ+m), which pass no gradient on, the mean over the groups of half the sum
// over both kinds of
//
//	log(1 + exp(-s·a⁺·(p-(1-m))) · Σᵢ exp(s·aᵢ·(nᵢ-m)))
//
// in float64, without overflow on the way. scores are G·Group x 1. A kind without negatives counts 0; the
// loss of no groups is 0.
func (t *Tape) CircleLoss(scores *Var, c CircleLoss) *Var {
	n := scores.Value.Rows
	if c.Group < 1 || c.ImageNegatives < 0 || c.ImageNegatives >= c.Group || n%c.Group != 0 {
		panic(engine.ShapeError{Op: "circle loss", Detail: fmt.Sprintf("%d scores in groups of %d with %d image negatives", n, c.Group, c.ImageNegatives)})
	}
	engine.CheckShape("circle loss", "scores", scores.Value, n, 1)
	return t.HostLoss(scores, func(slopes, scores []float32) (sum float64) {
		groups := n / c.Group
		half := 0.5 / float64(groups)
		for g := range groups {
			s, ds := scores[g*c.Group:][:c.Group], slopes[g*c.Group:][:c.Group]
			split := 1 + c.ImageNegatives
			images, a := circle(s[0], s[1:split], ds[1:split], c, half)
			texts, b := circle(s[0], s[split:], ds[split:], c, half)
			ds[0] = float32(a + b)
			sum += (images + texts) * half
		}
		return sum
	})
}

// circle returns the loss of a positive and its negatives of one kind, and the slope of the positive;
// slopes receives those of the negatives. Slopes are multiplied by weight.
func circle(positive float32, negatives, slopes []float32, c CircleLoss, weight float64) (loss, slope float64) {
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
