package backend

import (
	"cmp"
	"math"
	"slices"
)

// Relevance is the score as a number from 0 to 1: the probability of a calibrated model, and else the logistic function of the value, which
// has the same order.
func (s Score) Relevance() float64 {
	if s.Calibrated {
		return s.Probability
	}
	return Logistic(s.Value)
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
