package vqa

import (
	"fmt"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/vqa"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
)

// Kind is questions about pictures.
type Kind struct{}

var (
	_ run.Evaluator = Kind{}
	_ run.Resolver  = Kind{}
	_ run.Checker   = Kind{}
	_ run.Describer = Kind{}
	_ run.Helper    = Kind{}
	_ run.Replier   = Kind{}
)

// Problem implements [run.Kind].
func (Kind) Problem() string { return model.Answering }

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
	a, err := open(dir, env)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// OpenReplying implements [run.Replier].
func (Kind) OpenReplying(dir string, env *run.Env) (run.Replying, error) {
	a, err := open(dir, env)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Judges implements [run.Replier].
func (Kind) Judges() bool { return false }

// PredictionFiles implements [run.Evaluator].
func (Kind) PredictionFiles(split string) []string {
	return []string{resultsFile(split), linesFile(split)}
}

// Resolve implements [run.Resolver].
func (Kind) Resolve(path string, s run.Split) (string, error) { return vqa.Resolve(path, s.Name) }

// DataFiles implements [run.Kind].
func (Kind) DataFiles(*run.Task) []string {
	return []string{"VQA's questions and annotations, easy-VQA's or GQA's JSON, or train.csv with image, question and answer; and the pictures (see docs/reference/questions.md)"}
}

// Use implements [run.Kind].
func (Kind) Use(dir string) string { return "unimo ask --model " + dir + " PICTURE \"QUESTION\"" }

// Help implements [run.Helper].
func (Kind) Help(t *run.Task, command string) (long, example string) {
	if command == "evaluate" {
		return `
The metrics are accuracy (VQA's official one where a question has the answers of four people or more,
else whether the answer is one of them), the same by type of answer (accuracy_yes_no, accuracy_number,
accuracy_other), loss and examples.`, ""
	}
	if command != "finetune" {
		return "", ""
	}
	return "", fmt.Sprintf(`  unimo finetune %[1]s --data DIR --out RUN
  unimo finetune %[1]s --data DIR --out RUN --dev-share 0.1
  unimo finetune %[1]s --data DIR --out RUN --answer-by generate
  unimo finetune %[1]s --data VQA --images-dir COCO --out RUN --preset base --init MODEL --vocab DICT`, t.Name)
}

// Describe implements [run.Describer].
func (Kind) Describe(metric string) run.Metric {
	m := run.Metric{}
	if metric == "accuracy" || strings.HasPrefix(metric, typed) {
		m = run.Share
	}
	if strings.HasPrefix(metric, typed) {
		m.Group = "by type of answer"
	}
	return m
}
