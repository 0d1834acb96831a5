package engine

import (
	"fmt"
	"slices"
)

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

// Check panics with a [ShapeError] unless the groups are those of scores.
func (c Contrast) Check(op string, scores *Tensor) {
	if n := scores.Len(); n != len(c.Kinds) {
		panic(ShapeError{Op: op, Detail: fmt.Sprintf("%d kinds for %d scores", len(c.Kinds), n)})
	}
	if c.Group < 1 || len(c.Kinds)%c.Group != 0 {
		panic(ShapeError{Op: op, Detail: fmt.Sprintf("%d scores in groups of %d", len(c.Kinds), c.Group)})
	}
}

// CircleLoss describes the circle loss of groups of scores, which lie one below the other. The
// first of a group is that of the positive pair, the next are those of its text with other images, the
// others those of its image with other texts.
type CircleLoss struct {
	Group          int     // scores of a group
	ImageNegatives int     // of them: the text with other images
	Margin, Scale  float64 // m and s
}

// Check panics with a [ShapeError] unless scores are such groups.
func (c CircleLoss) Check(op string, scores *Tensor) {
	n := scores.Rows
	if c.Group < 1 || c.ImageNegatives < 0 || c.ImageNegatives >= c.Group || n%c.Group != 0 {
		panic(ShapeError{Op: op, Detail: fmt.Sprintf("%d scores in groups of %d with %d image negatives", n, c.Group, c.ImageNegatives)})
	}
	CheckShape(op, "scores", scores, n, 1)
}
