package classify

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/classes"
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

func (k *Kind) result(f run.File, examples []labelled.Example, out outputRows, r *runner, s classes.Score) run.Result {
	return run.Result{Split: f.Split, File: f.Path, Metrics: s.Metrics, Detail: &detail{kind: k, schema: r.schema, examples: examples, outputs: out, scores: s}}
}

// detail is what a model said of the examples of a file.
type detail struct {
	kind     *Kind
	schema   labelled.Schema // with the labels of the model
	examples []labelled.Example
	outputs  outputRows
	scores   classes.Score

	calibration *calibration.Calibration // of the probabilities in files; nil: the model's own
}

// Sample implements [run.Sampled].
func (d *detail) Sample() *calibration.Sample {
	if d.schema.Regression {
		return nil
	}
	gold := make([]int, len(d.examples))
	for i, x := range d.examples {
		gold[i] = x.Class
	}
	return classes.Sample(d.outputs, gold)
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
			class := classes.Best(d.outputs[i])
			a.Gold, a.Predicted, a.Value = d.schema.Labels[x.Class], d.schema.Labels[class], run.Right(class == x.Class)
		}
		answers[i] = a
	}
	return answers
}

// WritePredictions implements [run.Detail].
func (d *detail) WritePredictions(dir, split string) error {
	return d.kind.writePredictions(dir, split, d.schema, d.examples, d.outputs, d.calibration)
}

// Section implements [run.Detail].
func (d *detail) Section(page *report.Run) {
	if d.schema.Regression {
		page.Scatter = d.scatter()
		return
	}
	d.scores.Section(page, d.schema.Labels)
	page.Mistakes, page.MistakesNote = d.mistakes()
}

// Comment implements [run.Commenter].
func (d *detail) Comment(metric, on string) string {
	switch baseline := d.baseline(); {
	case metric == "accuracy":
		return d.scores.Comment(on, d.schema.Labels)
	case metric == "rmse" && baseline != "":
		return baseline
	}
	return on
}

// Remarks implements [run.Commenter].
func (d *detail) Remarks() (lines []string, byClass *report.Table) {
	if !d.schema.Regression {
		if d.schema.Open && len(d.scores.Confusion) <= classes.MatrixClasses {
			byClass = &d.scores.Tables(d.schema.Labels)[0]
		}
		return d.scores.Remarks(d.schema.Labels), byClass
	}
	if baseline := d.baseline(); baseline != "" {
		lines = append(lines, baseline)
	}
	return lines, nil
}

// baseline is what the mean score of these examples would score. "" where there is none.
func (d *detail) baseline() string {
	if _, ok := d.scores.Metrics["rmse"]; !ok || len(d.examples) == 0 {
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

func (d *detail) scatter() *report.Scatter {
	s := new(report.Scatter)
	for i, x := range d.examples {
		s.Gold = append(s.Gold, x.Score)
		s.Predicted = append(s.Predicted, float64(d.outputs[i][0]))
	}
	return s
}

// mistakes returns the wrong answers the model was surest of, and says of how many.
func (d *detail) mistakes() (shown []report.Mistake, note string) {
	gold := make([]int, len(d.examples))
	for i, x := range d.examples {
		gold[i] = x.Class
	}
	numbers, note := classes.Mistakes(d.outputs, gold)
	for _, i := range numbers {
		best := classes.Best(d.outputs[i])
		shown = append(shown, report.Mistake{
			Text: strings.Join(slices.Collect(d.examples[i].Texts), " / "), Gold: d.schema.Labels[gold[i]], Predicted: d.schema.Labels[best],
			Probability: classes.Softmax(d.outputs[i])[best],
		})
	}
	return shown, note
}

// writePredictions writes SPLIT.reference.tsv and SPLIT.glue.tsv into dir.
func (k *Kind) writePredictions(dir, split string, s labelled.Schema, examples []labelled.Example, out outputRows, c *calibration.Calibration) error {
	if err := atomicfile.Mkdir(dir); err != nil {
		return fmt.Errorf("write predictions: %w", err)
	}
	list := predictions(s, examples, out, c)
	if err := labelled.WriteReference(filepath.Join(dir, split+".reference.tsv"), list); err != nil {
		return err
	}
	return labelled.WriteSubmission(filepath.Join(dir, split+".glue.tsv"), list, k.submission(s))
}

// predictions returns what prediction files hold.
func predictions(s labelled.Schema, examples []labelled.Example, out outputRows, c *calibration.Calibration) []labelled.Prediction {
	list := make([]labelled.Prediction, len(out))
	for i, logits := range out {
		list[i] = labelled.Prediction{ID: examples[i].ID, Score: logits[0]}
		if !s.Regression {
			list[i].Class = classes.Best(logits)
			for _, prob := range c.Classes(logits) {
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
