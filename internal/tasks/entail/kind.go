package entail

import (
	"math"
	"strings"

	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/metrics"
)

// Kind is a task of visual entailment.
type Kind struct{}

var (
	_ run.Evaluator = Kind{}
	_ run.Resolver  = Kind{}
	_ run.Checker   = Kind{}
	_ run.Describer = Kind{}
	_ run.Measurer  = Kind{}
	_ run.Helper    = Kind{}
	_ run.Replier   = Kind{}
)

// Problem implements [run.Kind].
func (Kind) Problem() string { return model.Entailment }

// Settings implements [run.Kind].
func (Kind) Settings(_ *run.Task, size string, c run.CommonSettings) run.Settings {
	return defaults(size, c)
}

// Job implements [run.Kind].
func (Kind) Job(t *run.Task, s run.Settings, env *run.Env) run.Job {
	return &job{task: t, settings: s.(*Settings), env: env}
}

// EvalSettings implements [run.Evaluator].
func (Kind) EvalSettings() run.Flags { return new(EvalSettings) }

// Open implements [run.Evaluator].
func (Kind) Open(dir string, env *run.Env) (run.Finished, error) {
	p, err := open(dir, env)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// OpenReplying implements [run.Replier].
func (Kind) OpenReplying(dir string, env *run.Env) (run.Replying, error) {
	p, err := open(dir, env)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Judges implements [run.Replier].
func (Kind) Judges() bool { return true }

// PredictionFiles implements [run.Evaluator].
func (Kind) PredictionFiles(split string) []string { return predictionFiles(split) }

// DataFiles implements [run.Kind].
func (Kind) DataFiles(*run.Task) []string {
	return []string{"train.csv and dev.csv with image, hypothesis and label (or snli_ve_train.jsonl, .tsv, the reference's lines), and images/ (see docs/reference/images.md)"}
}

// Use implements [run.Kind].
func (Kind) Use(dir string) string {
	return "unimo predict --model " + dir + " PICTURE \"TEXT\""
}

// Help implements [run.Helper].
func (Kind) Help(_ *run.Task, command string) (long, example string) {
	if command != "evaluate" {
		return "", ""
	}
	return `
The metrics are accuracy, that of each class (accuracy_neutral, ...), macro_f1, loss and examples.`, ""
}

// Describe implements [run.Describer].
func (Kind) Describe(metric string) run.Metric {
	if metric == "macro_f1" || strings.HasPrefix(metric, "accuracy") {
		return run.Share
	}
	return run.Metric{}
}

// Measure implements [run.Measurer].
func (Kind) Measure(metric string) func(list []run.Answer, of func(i int) run.Answer) float64 {
	label, perClass := strings.CutPrefix(metric, "accuracy_")
	if metric != "macro_f1" && !perClass {
		return nil
	}
	return func(list []run.Answer, of func(i int) run.Answer) float64 {
		numbers := map[string]int{}
		for _, a := range list { // so that each label has the same number every time
			for _, name := range []string{a.Gold, a.Predicted} {
				if _, ok := numbers[name]; !ok {
					numbers[name] = len(numbers)
				}
			}
		}
		pred, gold := make([]int, len(list)), make([]int, len(list))
		for i := range list {
			a := of(i)
			pred[i], gold[i] = numbers[a.Predicted], numbers[a.Gold]
		}
		confusion := metrics.Confusion(pred, gold, len(numbers))
		if !perClass {
			return metrics.MacroF1(confusion)
		}
		class, ok := numbers[label]
		if !ok {
			return math.NaN()
		}
		return metrics.PerClass(confusion)[class].Recall
	}
}
