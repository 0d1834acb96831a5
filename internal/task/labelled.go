package task

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/data"
)

// readLabelled reads a file of labelled texts and tells log, unless it is nil, what people should know of it.
func readLabelled(path string, s data.Schema, opt data.ReadOptions, log *slog.Logger) ([]data.Example, error) {
	examples, report, err := data.Read(path, s, opt)
	if err != nil || log == nil {
		return examples, err
	}
	for _, note := range report.Notes(path) {
		log.Warn(note)
	}
	return examples, nil
}

// shownLabels is how many labels are listed with their numbers.
const shownLabels = 10

// Shares says how many examples have which label, or between which numbers their scores lie.
func Shares(s data.Schema, examples []data.Example) string {
	if s.Regression {
		low, high, sum := examples[0].Score, examples[0].Score, 0.0
		for _, x := range examples {
			low, high, sum = min(low, x.Score), max(high, x.Score), sum+x.Score
		}
		return fmt.Sprintf("scores from %.4g to %.4g, on average %.4g", low, high, sum/float64(len(examples)))
	}
	count := map[string]int{}
	for _, x := range examples {
		count[x.Label]++
	}
	labels := s.Labels
	if len(labels) > shownLabels { // the most frequent
		labels = slices.Clone(labels)
		slices.SortStableFunc(labels, func(a, b string) int { return count[b] - count[a] })
	}
	var parts []string
	for _, label := range labels[:min(shownLabels, len(labels))] {
		parts = append(parts, fmt.Sprintf("%d %s (%.1f %%)", count[label], label, 100*float64(count[label])/float64(len(examples))))
	}
	if more := len(labels) - shownLabels; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d labels more", more))
	}
	return strings.Join(parts, ", ")
}
