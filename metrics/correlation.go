package metrics

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Pearson is the linear correlation of N predictions and N gold scores, from -1 to 1. It is NaN for
// fewer than two examples, for a side whose values are all equal, and where an input is NaN.
func Pearson(pred, gold []float64) float64 {
	checkLengths(len(pred), len(gold))
	// The constant case is asked for exactly: the rounded mean of equal numbers
	// can differ from them, and the quotient would then be noise instead of 0/0.
	if len(pred) < 2 || constant(pred) || constant(gold) {
		return math.NaN()
	}
	r := stat.Correlation(pred, gold, nil)
	if r > 1 { // rounding can leave the interval by an ulp; NaN passes through
		return 1
	}
	if r < -1 {
		return -1
	}
	return r
}

// Spearman is [Pearson] of the ranks: it asks for the right order only. Equal values share the mean
// of their ranks. It is NaN where Pearson is.
func Spearman(pred, gold []float64) float64 {
	checkLengths(len(pred), len(gold))
	if slices.ContainsFunc(pred, math.IsNaN) || slices.ContainsFunc(gold, math.IsNaN) {
		return math.NaN()
	}
	return Pearson(ranks(pred), ranks(gold))
}

// ranks returns the rank of every value, from 1, averaged over equal values.
func ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	out := make([]float64, len(values))
	for start := 0; start < len(order); {
		end := start + 1
		for end < len(order) && values[order[end]] == values[order[start]] {
			end++
		}
		// places start..end-1 are ranks start+1..end
		mean := float64(start+1+end) / 2
		for _, i := range order[start:end] {
			out[i] = mean
		}
		start = end
	}
	return out
}

func constant(values []float64) bool {
	for _, v := range values[1:] {
		if v != values[0] {
			return false
		}
	}
	return true
}
