package classify

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
)

// readLabelled reads a file of labelled texts and tells log, unless it is nil, what people should know of it.
func readLabelled(path string, s labelled.Schema, opt labelled.ReadOptions, log *slog.Logger) ([]labelled.Example, error) {
	examples, report, err := labelled.Read(path, s, opt)
	if err != nil || log == nil {
		return examples, err
	}
	for _, note := range report.Notes(path) {
		log.Warn(note)
	}
	if note := report.PassedOver(path); note != "" {
		log.Info(note)
	}
	return examples, nil
}

// scale is how the scores of an open regression lie: the model learns scores with mean 0 and deviation 1.
type scale struct{ mean, deviation float64 }

// withLabels returns the schema with the labels that examples have, where it leaves them to the data, and gives the
// examples their classes.
func withLabels(s labelled.Schema, examples []labelled.Example) (labelled.Schema, scale, error) {
	if !s.Open {
		return s, scale{}, nil
	}
	if s.Regression {
		low, high, scores := examples[0].Score, examples[0].Score, make([]float64, len(examples))
		for i, x := range examples {
			low, high, scores[i] = min(low, x.Score), max(high, x.Score), x.Score
		}
		if low == high {
			return s, scale{}, &textfile.FileError{File: examples[0].File, Problem: fmt.Sprintf("has the score %v in all of %d examples", low, len(examples)),
				Remedy: "there is nothing to be learnt from it; check which column holds the scores (--columns label=NAME)"}
		}
		s.MinScore, s.MaxScore = low, high
		mean, deviation := stat.PopMeanStdDev(scores, nil)
		return s, scale{mean, deviation}, nil
	}
	names, err := labelled.LabelNames(examples)
	if err != nil {
		return s, scale{}, err
	}
	labelled.Assign(examples, names)
	s.Labels = names
	return s, scale{}, nil
}

// schemaOf returns the schema with the labels of a finished model, where it leaves them to the data.
func schemaOf(s labelled.Schema, cfg model.Config) labelled.Schema {
	if !s.Open {
		return s
	}
	if s.Regression {
		s.MinScore, s.MaxScore = -math.MaxFloat32, math.MaxFloat32
		return s
	}
	for class := range cfg.NumLabels {
		s.Labels = append(s.Labels, cfg.Label(class))
	}
	return s
}

// drawDev takes about that share of examples away, as a dev set. Examples with the same texts stay together, so
// that none is trained on and asked for. The draw depends on the seed alone.
func drawDev(examples []labelled.Example, share float64, seed uint64) (rest, drawn []labelled.Example) {
	want := int(math.Round(share * float64(len(examples))))
	want = min(max(want, 1), len(examples)-1)
	same := map[string][]int{}
	for i := range examples {
		same[examples[i].Key()] = append(same[examples[i].Key()], i)
	}
	taken := make([]bool, len(examples))
	n := 0
	for _, i := range random.New(seed, "held out").Perm(len(examples)) {
		if taken[i] {
			continue
		}
		together := same[examples[i].Key()]
		if n += len(together); n == len(examples) {
			break // something must be left to be trained on
		}
		for _, k := range together {
			taken[k] = true
		}
		if n >= want {
			break
		}
	}
	for i, x := range examples {
		if taken[i] {
			drawn = append(drawn, x)
		} else {
			rest = append(rest, x)
		}
	}
	return rest, drawn
}

// Files implements [run.Job]. Where the dev set is drawn from the training file, both are that file.
func (c *job) Files(data, dev string) ([]run.File, error) {
	return c.task.FindOrDraw(data, dev, c.settings.DevShare, "examples")
}

// shownLabels is how many labels are listed with their numbers; those of more than longLabel bytes are cut.
const (
	shownLabels = 10
	longLabel   = 40
)

// shares says how many examples have which label, or between which numbers their scores lie.
func shares(s labelled.Schema, examples []labelled.Example) string {
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
		shown := label
		if len(shown) > longLabel {
			shown = textfile.Quote(label)
		}
		parts = append(parts, fmt.Sprintf("%s: %d (%.1f %%)", shown, count[label], 100*float64(count[label])/float64(len(examples))))
	}
	if more := len(labels) - shownLabels; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d labels more", more))
	}
	return strings.Join(parts, ", ")
}
