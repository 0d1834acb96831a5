package classify

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/metrics"
)

// evaluateFile scores a model on a file. Log is told what was left out; it may be nil.
func (k *Kind) evaluateFile(ctx context.Context, r *runner, f run.File, opt labelled.ReadOptions, batch int, tick run.Tick, log *slog.Logger) (run.Result, error) {
	examples, err := readLabelled(f.Path, r.schema, opt, log)
	if err != nil {
		return run.Result{}, err
	}
	records, cut := r.encoder.EncodeAll(examples)
	out, err := r.run(ctx, records, batch, tick)
	if err != nil {
		return run.Result{}, err
	}
	result := k.result(f, examples, out, r, r.score(records, out))
	result.Notes = run.CutNotes(cut, len(records), "texts", r.encoder.MaxLen)
	return result, nil
}

func (k *Kind) result(f run.File, examples []labelled.Example, out outputRows, r *runner, s scores) run.Result {
	return run.Result{Split: f.Split, File: f.Path, Metrics: s.metrics, Detail: &detail{kind: k, schema: r.schema, examples: examples, outputs: out, scores: s}}
}

// detail is what a model said of the examples of a file.
type detail struct {
	kind     *Kind
	schema   labelled.Schema // with the labels of the model
	examples []labelled.Example
	outputs  outputRows
	scores   scores
}

var _ run.Commenter = (*detail)(nil)

// Answers implements [run.Detail].
func (d *detail) Answers() []run.Answer {
	answers := make([]run.Answer, len(d.examples))
	for i, x := range d.examples {
		a := run.Answer{ID: x.ID, Text: strings.Join(slices.Collect(x.Texts), "\t"), Gold: x.Label}
		if d.schema.Regression {
			score := float64(d.outputs[i][0])
			a.Gold, a.Predicted, a.Value = fmt.Sprint(x.Score), fmt.Sprint(d.outputs[i][0]), (x.Score-score)*(x.Score-score)
		} else {
			class := argmax(d.outputs[i])
			a.Gold, a.Predicted, a.Value = d.schema.Labels[x.Class], d.schema.Labels[class], run.Right(class == x.Class)
		}
		answers[i] = a
	}
	return answers
}

// WritePredictions implements [run.Detail].
func (d *detail) WritePredictions(dir, split string) error {
	return d.kind.writePredictions(dir, split, d.schema, d.examples, d.outputs)
}

// Section implements [run.Detail].
func (d *detail) Section(page *report.Run) {
	if d.schema.Regression {
		page.Scatter = d.scatter()
		return
	}
	if len(d.scores.confusion) <= matrixClasses {
		page.Confusion = &report.Confusion{Labels: d.schema.Labels, Counts: d.scores.confusion}
	}
	page.Tables = append(page.Tables, classTables(d.schema.Labels, d.scores.confusion)...)
	page.Mistakes, page.MistakesNote = d.mistakes()
}

// Comment implements [run.Commenter].
func (d *detail) Comment(metric, on string) string {
	baseline := d.baseline()
	switch {
	case metric == "accuracy":
		low, high := d.interval()
		note := fmt.Sprintf("95 %% interval %.3f to %.3f", low, high)
		if len(d.examples) < run.FewExamples {
			note = on + "; " + note
		}
		if baseline != "" {
			note += "; " + baseline
		}
		return note
	case metric == "rmse" && baseline != "":
		return baseline
	}
	return on
}

// Remarks implements [run.Commenter].
func (d *detail) Remarks() (lines []string, byClass *report.Table) {
	if _, ok := d.scores.metrics["accuracy"]; ok {
		low, high := d.interval()
		lines = append(lines, fmt.Sprintf("95 %% interval of the accuracy: %.4f to %.4f", low, high))
	}
	if baseline := d.baseline(); baseline != "" {
		lines = append(lines, baseline)
	}
	if d.schema.Open && d.scores.confusion != nil && len(d.scores.confusion) <= matrixClasses {
		byClass = &classTables(d.schema.Labels, d.scores.confusion)[0]
	}
	return lines, byClass
}

// interval is the 95 % interval of the accuracy, for people: how much another sample of that size might differ.
func (d *detail) interval() (low, high float64) {
	n := len(d.examples)
	return metrics.WilsonInterval(int(float64(d.scores.metrics["accuracy"])*float64(n)+0.5), n)
}

// baseline is what an answer that looks at no text would score: the most frequent label of these examples, or their
// mean score. "" where there is none.
func (d *detail) baseline() string {
	if len(d.examples) == 0 {
		return ""
	}
	if d.schema.Regression {
		if _, ok := d.scores.metrics["rmse"]; !ok {
			return ""
		}
		sum, squares, n := 0.0, 0.0, float64(len(d.examples))
		for _, x := range d.examples {
			sum += x.Score
		}
		for _, x := range d.examples {
			squares += (x.Score - sum/n) * (x.Score - sum/n)
		}
		return fmt.Sprintf("always %.4g: rmse %.4f", sum/n, math.Sqrt(squares/n))
	}
	best := 0
	classes := metrics.PerClass(d.scores.confusion)
	for class, s := range classes {
		if s.Gold > classes[best].Gold {
			best = class
		}
	}
	return fmt.Sprintf("always %s: %.4f", d.schema.Labels[best], float64(classes[best].Gold)/float64(len(d.examples)))
}

func (d *detail) scatter() *report.Scatter {
	s := new(report.Scatter)
	for i, x := range d.examples {
		s.Gold = append(s.Gold, x.Score)
		s.Predicted = append(s.Predicted, float64(d.outputs[i][0]))
	}
	return s
}

// shownMistakes is how many wrong answers the report shows.
const shownMistakes = 20

// mistakes returns the wrong answers the model was surest of, and says of how many.
func (d *detail) mistakes() (shown []report.Mistake, note string) {
	var wrong []report.Mistake
	for i, x := range d.examples {
		class := argmax(d.outputs[i])
		if class == x.Class {
			continue
		}
		text := strings.Join(slices.Collect(x.Texts), " / ")
		wrong = append(wrong, report.Mistake{
			Text: text, Gold: d.schema.Labels[x.Class], Predicted: d.schema.Labels[class], Probability: softmax(d.outputs[i])[class],
		})
	}
	slices.SortStableFunc(wrong, func(a, b report.Mistake) int { return cmp.Compare(b.Probability, a.Probability) })
	shown = wrong[:min(shownMistakes, len(wrong))]
	if len(shown) < len(wrong) {
		return shown, fmt.Sprintf("The %d most confident mistakes of %d, among %d examples.", len(shown), len(wrong), len(d.examples))
	}
	return shown, fmt.Sprintf("All %d mistakes among %d examples, the most confident first.", len(wrong), len(d.examples))
}

// Bounds of what is shown of many classes.
const (
	matrixClasses = 20 // of a matrix
	shownClasses  = 100
	shownMixUps   = 30
)

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

// writePredictions writes SPLIT.reference.tsv and SPLIT.glue.tsv into dir.
func (k *Kind) writePredictions(dir, split string, s labelled.Schema, examples []labelled.Example, out outputRows) error {
	if err := atomicfile.Mkdir(dir); err != nil {
		return fmt.Errorf("write predictions: %w", err)
	}
	list := predictions(s, examples, out)
	if err := labelled.WriteReference(filepath.Join(dir, split+".reference.tsv"), list); err != nil {
		return err
	}
	return labelled.WriteSubmission(filepath.Join(dir, split+".glue.tsv"), list, k.submission(s))
}

// predictions returns what prediction files hold.
func predictions(s labelled.Schema, examples []labelled.Example, out outputRows) []labelled.Prediction {
	list := make([]labelled.Prediction, len(out))
	for i, logits := range out {
		list[i] = labelled.Prediction{ID: examples[i].ID, Score: logits[0]}
		if !s.Regression {
			list[i].Class = argmax(logits)
			for _, prob := range softmax(logits) {
				list[i].Probs = append(list[i].Probs, float32(prob))
			}
		}
	}
	return list
}

// submission is the form of the task's file for GLUE's server.
func (k *Kind) submission(s labelled.Schema) labelled.Submission {
	names := k.Submission
	if names == nil {
		names = s.Labels
	}
	return labelled.Submission{Names: names, Regression: s.Regression, MinScore: s.MinScore, MaxScore: s.MaxScore}
}
