package backend

import (
	"cmp"
	"math"
	"slices"
)

// Relevance is the score of document i as a number from 0 to 1: the probability of a calibrated model. Else it is made of the value, in the
// same order: of a similarity s it is (1+s)/2, of another value its logistic function.
func (s Scores) Relevance(i int) float64 {
	switch x := s.List[i]; {
	case x.Calibrated:
		return x.Probability
	case s.Similarity:
		return (1 + x.Value) / 2
	default:
		return Logistic(x.Value)
	}
}

// Cosine is that of two vectors of length 1, without what rounding leaves beyond 1 of their product, such as 1.0000001: who takes 1 minus it
// for a distance, or its arc, must not meet that.
func Cosine(a, b []float32) float64 { return min(max(dot(a, b), -1), 1) }

// Logistic is the logistic function, the sigmoid.
func Logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// Best are the indexes of the documents, the one that fits best first, and equal ones in their order.
func (s Scores) Best() []int {
	order := make([]int, len(s.List))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.List[b].Value, s.List[a].Value) })
	return order
}
