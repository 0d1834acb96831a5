// Package classes is what kinds share whose models choose one of some classes: probabilities, metrics with what they
// are to be compared with, and the tables of a report.
//
//	classes.go  from scores of classes to probabilities and an answer
//	score.go    metrics of a set of answers
//	report.go   tables, and which mistakes are shown
package classes

import (
	"math"
	"slices"
)

// Best returns the first class with the highest logit, as the reference does.
func Best(logits []float32) int {
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	return best
}

// Softmax returns the probabilities of logits.
func Softmax(logits []float32) []float64 {
	top := float64(slices.Max(logits))
	probs := make([]float64, len(logits))
	var sum float64
	for i, x := range logits {
		probs[i] = math.Exp(float64(x) - top)
		sum += probs[i]
	}
	for i := range probs {
		probs[i] /= sum
	}
	return probs
}

// CrossEntropy returns the negative logarithm of a class's probability.
func CrossEntropy(logits []float32, class int) float64 {
	if prob := Softmax(logits)[class]; prob > 0 {
		return -math.Log(prob)
	}
	top, sum := float64(slices.Max(logits)), 0.0 // the probability is too small for a number, its logarithm is not
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	return math.Log(sum) + top - float64(logits[class])
}
