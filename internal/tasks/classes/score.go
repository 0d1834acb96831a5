package classes

import (
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
)

// Score is how answers compare with what was right.
type Score struct {
	Metrics   train.Numbers // accuracy, loss and examples
	Confusion [][]int       // right by predicted
}

// NewScore compares the logits of examples with their classes. The loss is the one that the model is trained with.
func NewScore(logits [][]float32, gold []int, classes int) Score {
	pred := make([]int, len(logits))
	var loss float64
	for i, row := range logits {
		pred[i] = Best(row)
		loss += CrossEntropy(row, gold[i])
	}
	return Score{
		Metrics: train.Numbers{
			"examples": train.Number(len(logits)), "loss": train.Number(loss / float64(len(logits))),
			"accuracy": train.Number(metrics.Accuracy(pred, gold)),
		},
		Confusion: metrics.Confusion(pred, gold, classes),
	}
}

// Sample is what probabilities are calibrated with; nil if a class is not known.
func Sample(logits [][]float32, gold []int) *calibration.Sample {
	if len(logits) == 0 || slices.Contains(gold, -1) {
		return nil
	}
	return &calibration.Sample{Logits: logits, Classes: gold}
}

// Examples is how many there were.
func (s Score) Examples() int {
	n := 0
	for _, row := range s.Confusion {
		for _, count := range row {
			n += count
		}
	}
	return n
}

// Interval is the 95 % interval of the accuracy, for people: how much another sample of that size might differ.
func (s Score) Interval() (low, high float64) {
	right := 0
	for class, row := range s.Confusion {
		right += row[class]
	}
	return metrics.WilsonInterval(right, s.Examples())
}

// Baseline is what the most frequent label of these examples would score: "always positive: 0.5092". "" of none.
func (s Score) Baseline(labels []string) string {
	n := s.Examples()
	if n == 0 {
		return ""
	}
	best := 0
	classes := metrics.PerClass(s.Confusion)
	for class, c := range classes {
		if c.Gold > classes[best].Gold {
			best = class
		}
	}
	return fmt.Sprintf("always %s: %.4f", labels[best], float64(classes[best].Gold)/float64(n))
}

// Comment is the note at the accuracy; on says on what it was measured.
func (s Score) Comment(on string, labels []string) string {
	low, high := s.Interval()
	note := fmt.Sprintf("95 %% interval %.3f to %.3f", low, high)
	if s.Examples() < run.FewExamples {
		note = on + "; " + note
	}
	if baseline := s.Baseline(labels); baseline != "" {
		note += "; " + baseline
	}
	return note
}

// Remarks are the lines below all metrics.
func (s Score) Remarks(labels []string) (lines []string) {
	low, high := s.Interval()
	lines = append(lines, fmt.Sprintf("95 %% interval of the accuracy: %.4f to %.4f", low, high))
	if baseline := s.Baseline(labels); baseline != "" {
		lines = append(lines, baseline)
	}
	return lines
}
