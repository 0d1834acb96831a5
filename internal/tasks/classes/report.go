package classes

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/metrics"
)

// Bounds of what is shown of many classes.
const (
	MatrixClasses = 20 // of a matrix
	shownClasses  = 100
	shownMixUps   = 30
)

// Section adds to a page which classes were taken for which.
func (s Score) Section(page *report.Run, labels []string) {
	if len(s.Confusion) <= MatrixClasses {
		page.Confusion = &report.Confusion{Labels: labels, Counts: s.Confusion}
	}
	page.Tables = append(page.Tables, s.Tables(labels)...)
}

// Tables are the scores by class and, of more classes than a matrix can show, what was mixed up most often.
func (s Score) Tables(labels []string) []report.Table {
	scores := metrics.PerClass(s.Confusion)
	classes := batches.Sequence(len(scores))
	byClass := report.Table{Title: "Scores by class", Header: []string{"class", "examples", "predicted", "precision", "recall", "F1"}}
	if len(classes) > shownClasses {
		slices.SortStableFunc(classes, func(a, b int) int { return scores[b].Gold - scores[a].Gold })
		classes = classes[:shownClasses]
		byClass.Note = fmt.Sprintf("The %d most frequent of %d classes.", shownClasses, len(scores))
	}
	for _, i := range classes {
		c := scores[i]
		byClass.Rows = append(byClass.Rows, []string{labels[i], fmt.Sprint(c.Gold), fmt.Sprint(c.Predicted), fmt.Sprintf("%.4f", c.Precision), fmt.Sprintf("%.4f", c.Recall), fmt.Sprintf("%.4f", c.F1)})
	}
	if len(scores) <= MatrixClasses {
		return []report.Table{byClass}
	}
	type mixUp struct{ gold, pred, n int }
	var list []mixUp
	for gold, row := range s.Confusion {
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

// ShownMistakes is how many wrong answers a report shows.
const ShownMistakes = 20

// Mistakes returns the numbers of the wrong answers that the model was surest of, and says of how many.
func Mistakes(logits [][]float32, gold []int) (shown []int, note string) {
	var wrong []int
	sure := make([]float64, len(logits))
	for i, row := range logits {
		if best := Best(row); best != gold[i] {
			wrong = append(wrong, i)
			sure[i] = Softmax(row)[best]
		}
	}
	slices.SortStableFunc(wrong, func(a, b int) int { return cmp.Compare(sure[b], sure[a]) })
	shown = wrong[:min(ShownMistakes, len(wrong))]
	if len(shown) < len(wrong) {
		return shown, fmt.Sprintf("The %d most confident mistakes of %d, among %d examples.", len(shown), len(wrong), len(logits))
	}
	return shown, fmt.Sprintf("All %d mistakes among %d examples, the most confident first.", len(wrong), len(logits))
}
