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
		return min(max((1+x.Value)/2, 0), 1) // rounding leaves a cosine of 1.0000001
	default:
		return Logistic(x.Value)
	}
}

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
