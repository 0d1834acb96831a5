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

	"github.com/unimo-go/unimo/internal/model/calibration"
)

// Best returns the first class with the highest logit, as the reference does.
func Best(logits []float32) int { return calibration.Best(logits) }

// Softmax returns the probabilities of logits.
func Softmax(logits []float32) []float64 {
	return calibration.Softmax(logits, 1)
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
