package classify

import (
	"fmt"
	"strconv"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/metrics"
)

// Kind is a task on labelled texts: classification, or regression if its schema says so.
type Kind struct {
	// Schema of an open task has no labels until the data or a model give them.
	Schema labelled.Schema
	// MiniEpochs is how long the mini preset trains: from random weights, longer
	// only fits the training set better.
	MiniEpochs int
	// Submission writes GLUE's names of the classes; nil: the schema's labels.
	Submission []string
}

var (
	_ run.Evaluator = (*Kind)(nil)
	_ run.Describer = (*Kind)(nil)
	_ run.Measurer  = (*Kind)(nil)
	_ run.Helper    = (*Kind)(nil)
)

// Problem implements [run.Kind].
func (k *Kind) Problem() string {
	if k.Schema.Regression {
		return model.Regression
	}
	return model.Classification
}

// Settings implements [run.Kind].
func (k *Kind) Settings(_ *run.Task, size string, c run.CommonSettings) run.Settings {
	return k.settings(size, c)
}

// Job implements [run.Kind].
func (k *Kind) Job(t *run.Task, s run.Settings, env *run.Env) run.Job {
	return &job{task: t, kind: k, settings: s.(*Settings), env: env, schema: k.Schema}
}

// EvalSettings implements [run.Evaluator].
func (k *Kind) EvalSettings() run.Flags { return new(EvalSettings) }

// Open implements [run.Evaluator].
func (k *Kind) Open(dir string, env *run.Env) (run.Finished, error) {
	p, err := open(dir, env)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// PredictionFiles implements [run.Evaluator].
func (k *Kind) PredictionFiles(split string) []string {
	return []string{split + ".reference.tsv", split + ".glue.tsv"}
}

// DataFiles implements [run.Kind].
func (k *Kind) DataFiles(t *run.Task) []string {
	names := []string{t.Train.Files[0] + textfile.Endings[0]}
	for _, split := range t.Dev {
		names = append(names, split.Files[0]+textfile.Endings[0])
	}
	return append(names, "or .csv, .jsonl, .json")
}

// Use implements [run.Kind].
func (k *Kind) Use(dir string) string { return "unimo predict --model " + dir + " \"TEXT\"" }

// Help implements [run.Helper].
func (k *Kind) Help(t *run.Task, command string) (long, example string) {
	switch {
	case command == "evaluate" && k.Schema.Regression:
		return `
The metrics are pearson, spearman, loss and examples; of own data also rmse and mae.`, ""
	case command == "evaluate":
		return `
The metrics are accuracy, loss and examples; matthews of two classes; macro_f1 of own data.`, ""
	case !k.Schema.Open:
		return "", ""
	}
	return "", fmt.Sprintf(`  unimo finetune %[1]s --data DIR --out RUN
  unimo finetune %[1]s --data reviews.csv --columns text=review,label=stars --dev-share 0.1 --out RUN
  unimo finetune %[1]s --data train.jsonl --dev validation.jsonl --out RUN --preset base --init MODEL --vocab DICT`, t.Name)
}

// Describe implements [run.Describer].
func (k *Kind) Describe(metric string) run.Metric {
	switch metric {
	case "matthews", "pearson", "spearman":
		return run.Metric{Low: -1, High: 1}
	case "accuracy", "macro_f1":
		return run.Share
	}
	return run.Metric{}
}

// Measure implements [run.Measurer].
func (k *Kind) Measure(metric string) func(list []run.Answer, of func(i int) run.Answer) float64 {
	switch metric {
	case "pearson":
		return correlation(metrics.Pearson)
	case "spearman":
		return correlation(metrics.Spearman)
	case "matthews":
		return agreement(func(pred, gold []int, classes int) float64 {
			if classes > 2 {
				return metrics.MacroF1(metrics.Confusion(pred, gold, classes))
			}
			return metrics.Matthews(pred, gold)
		})
	case "macro_f1":
		return agreement(func(pred, gold []int, classes int) float64 {
			return metrics.MacroF1(metrics.Confusion(pred, gold, classes))
		})
	}
	return nil
}

// correlation measures scores.
func correlation(measure func(pred, gold []float64) float64) func([]run.Answer, func(i int) run.Answer) float64 {
	return func(list []run.Answer, of func(i int) run.Answer) float64 {
		pred, gold := make([]float64, len(list)), make([]float64, len(list))
		for i := range list {
			a := of(i)
			pred[i], _ = strconv.ParseFloat(a.Predicted, 64)
			gold[i], _ = strconv.ParseFloat(a.Gold, 64)
		}
		return measure(pred, gold)
	}
}

// agreement measures labels.
func agreement(measure func(pred, gold []int, classes int) float64) func([]run.Answer, func(i int) run.Answer) float64 {
	return func(list []run.Answer, of func(i int) run.Answer) float64 {
		numbers := map[string]int{}
		number := func(label string) int {
			if _, ok := numbers[label]; !ok {
				numbers[label] = len(numbers)
			}
			return numbers[label]
		}
		for _, a := range list { // so that each label has the same number every time
			number(a.Gold)
		}
		pred, gold := make([]int, len(list)), make([]int, len(list))
		for i := range list {
			a := of(i)
			pred[i], gold[i] = number(a.Predicted), number(a.Gold)
		}
		return measure(pred, gold, len(numbers))
	}
}
