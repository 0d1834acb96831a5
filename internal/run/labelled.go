package run

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/metrics"
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

// WithLabels returns the preset with the labels that examples have, where it leaves them to the data, and gives the
// examples their classes.
func (p *Preset) WithLabels(examples []labelled.Example) (*Preset, error) {
	if !p.Schema.Open {
		return p, nil
	}
	resolved := *p
	if p.Schema.Regression {
		low, high, scores := examples[0].Score, examples[0].Score, make([]float64, len(examples))
		for i, x := range examples {
			low, high, scores[i] = min(low, x.Score), max(high, x.Score), x.Score
		}
		if low == high {
			return nil, &textfile.FileError{File: examples[0].File, Problem: fmt.Sprintf("has the score %v in all of %d examples", low, len(examples)),
				Remedy: "there is nothing to be learnt from it; check which column holds the scores (--columns label=NAME)"}
		}
		resolved.Schema.MinScore, resolved.Schema.MaxScore = low, high
		resolved.ScoreMean, resolved.ScoreScale = stat.PopMeanStdDev(scores, nil)
		return &resolved, nil
	}
	names, err := labelled.LabelNames(examples)
	if err != nil {
		return nil, err
	}
	labelled.Assign(examples, names)
	resolved.Schema.Labels = names
	return &resolved, nil
}

// of returns the preset with the labels of a finished model, where it leaves them to the data.
func (p *Preset) of(cfg model.Config) *Preset {
	if !p.Schema.Open {
		return p
	}
	resolved := *p
	if p.Schema.Regression {
		resolved.Schema.MinScore, resolved.Schema.MaxScore = -math.MaxFloat32, math.MaxFloat32
		return &resolved
	}
	for class := range cfg.NumLabels {
		resolved.Schema.Labels = append(resolved.Schema.Labels, cfg.Label(class))
	}
	return &resolved
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
	for _, i := range batches.Permutation(seed, 0, len(examples)) {
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

// labelledFiles finds the training file and the dev files. Where the dev set is drawn from the training file, both
// are that file.
func (s *ClassificationSettings) labelledFiles(p *Preset, o *Options) ([]splitFile, error) {
	train, err := p.resolve(o.Data, p.Train)
	if err != nil {
		return nil, err
	}
	files := []splitFile{{p.Train.Name, train}}
	if s.DevShare == 0 {
		devs, err := devFiles(p, cmp.Or(o.Dev, o.Data))
		if errors.Is(err, fs.ErrNotExist) && o.Dev == "" {
			return nil, fmt.Errorf("%w; or have a tenth of the training examples drawn for it, with --dev-share 0.1", err)
		}
		if err == nil && devs[0].Path == train {
			return nil, fmt.Errorf("%s is one file: name the dev file with --dev, give --data the folder that holds both, or have a tenth of the examples drawn for it with --dev-share 0.1", train)
		}
		return append(files, devs...), err
	}
	if o.Dev != "" {
		return nil, &SettingError{errors.New("--dev names a dev file and --dev-share draws one: leave one of them out")}
	}
	if info, err := os.Stat(o.Data); err == nil && info.IsDir() {
		if devs, err := devFiles(p, o.Data); err == nil {
			return nil, &SettingError{fmt.Errorf("--dev-share draws a dev set from %s, though %s is there: leave the flag out, or name the training file with --data", train, devs[0].Path)}
		}
	}
	return append(files, splitFile{p.Dev[0].Name, train}), nil
}

// shownLabels is how many labels are listed with their numbers; those of more than longLabel bytes are cut.
const (
	shownLabels = 10
	longLabel   = 40
)

// Shares says how many examples have which label, or between which numbers their scores lie.
func Shares(s labelled.Schema, examples []labelled.Example) string {
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

// Baseline is what an answer that looks at no text would score: the most frequent label of these examples, or their
// mean score. "" where there is none.
func (r Result) Baseline() string {
	if r.Preset == nil || len(r.Examples) == 0 {
		return ""
	}
	if r.Preset.Schema.Regression {
		if _, ok := r.Metrics["rmse"]; !ok {
			return ""
		}
		sum, squares, n := 0.0, 0.0, float64(len(r.Examples))
		for _, x := range r.Examples {
			sum += x.Score
		}
		for _, x := range r.Examples {
			squares += (x.Score - sum/n) * (x.Score - sum/n)
		}
		return fmt.Sprintf("always %.4g: rmse %.4f", sum/n, math.Sqrt(squares/n))
	}
	best := 0
	scores := metrics.PerClass(r.Confusion)
	for class, s := range scores {
		if s.Gold > scores[best].Gold {
			best = class
		}
	}
	return fmt.Sprintf("always %s: %.4f", r.Preset.Schema.Labels[best], float64(scores[best].Gold)/float64(len(r.Examples)))
}

// Bounds of what is shown of many classes.
const (
	matrixClasses = 20 // of a matrix
	shownClasses  = 100
	shownMixUps   = 30
)

// ByClass is the scores of each class, of at most matrixClasses classes that the data named; nil otherwise.
func (r Result) ByClass() *report.Table {
	if r.Preset == nil || !r.Preset.Schema.Open || r.Confusion == nil || len(r.Confusion) > matrixClasses {
		return nil
	}
	return &classTables(r.Preset.Schema.Labels, r.Confusion)[0]
}

// classTables are the scores by class and, of more classes than a matrix can show, what was mixed up most often.
func classTables(labels []string, confusion [][]int) []report.Table {
	scores := metrics.PerClass(confusion)
	classes := batches.Sequence(len(scores))
	byClass := report.Table{Title: "Scores by class", Header: []string{"class", "examples", "predicted", "precision", "recall", "F1"}}
	if len(classes) > shownClasses {
		slices.SortStableFunc(classes, func(a, b int) int { return scores[b].Gold - scores[a].Gold })
		classes = classes[:shownClasses]
		byClass.Note = fmt.Sprintf("The %d most frequent of %d classes.", shownClasses, len(scores))
	}
	for _, i := range classes {
		s := scores[i]
		byClass.Rows = append(byClass.Rows, []string{labels[i], fmt.Sprint(s.Gold), fmt.Sprint(s.Predicted), fmt.Sprintf("%.4f", s.Precision), fmt.Sprintf("%.4f", s.Recall), fmt.Sprintf("%.4f", s.F1)})
	}
	if len(scores) <= matrixClasses {
		return []report.Table{byClass}
	}
	type mixUp struct{ gold, pred, n int }
	var list []mixUp
	for gold, row := range confusion {
		for pred, n := range row {
			if n > 0 && gold != pred {
				list = append(list, mixUp{gold, pred, n})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b mixUp) int { return b.n - a.n })
	mixed := report.Table{Title: "What was mixed up most often", Header: []string{"label", "predicted", "examples", "of the label's"},
		Note: fmt.Sprintf("%d of %d pairs of classes that were mixed up.", min(shownMixUps, len(list)), len(list))}
	for _, m := range list[:min(shownMixUps, len(list))] {
		mixed.Rows = append(mixed.Rows, []string{labels[m.gold], labels[m.pred], fmt.Sprint(m.n), fmt.Sprintf("%.1f %%", 100*float64(m.n)/float64(scores[m.gold].Gold))})
	}
	return []report.Table{byClass, mixed}
}
