// Package pretrained is pre-training, the task of "unimo pretrain": its models are what others start from.
//
//	kind.go      the task
//	settings.go  what can be set, with the recipe
//	job.go       the collections
//	learner.go   what is trained, and what is measured on samples that are held out
//	report.go    the curves of the objectives
package pretrained

import (
	"fmt"
	"strings"

	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/train"
)

// Task is the task of "unimo pretrain".
var Task = &run.Task{
	Name: "pretrain", Title: "pre-training", Metric: "loss", Lower: true, Command: "pretrain", On: "what is held out", Kind: Kind{},
	Splits: run.Splits{Train: run.Split{Name: "train"}, Dev: []run.Split{{Name: "held-out"}}},
}

// Kind is pre-training.
type Kind struct{}

var (
	_ run.Kind      = Kind{}
	_ run.Describer = Kind{}
	_ run.Doubter   = Kind{}
)

// Problem implements [run.Kind].
func (Kind) Problem() string { return model.Pretraining }

// Settings implements [run.Kind].
func (Kind) Settings(_ *run.Task, size string, c run.CommonSettings) run.Settings {
	return defaults(size, c)
}

// Job implements [run.Kind].
func (Kind) Job(t *run.Task, s run.Settings, env *run.Env) run.Job {
	return &job{task: t, settings: s.(*Settings), env: env}
}

// DataFiles implements [run.Kind]: the collections are settings.
func (Kind) DataFiles(*run.Task) []string { return nil }

// Use implements [run.Kind].
func (Kind) Use(dir string) string {
	return "unimo finetune TASK --data DIR --init " + dir + " --out RUN"
}

// maskedAccuracy is the share of hidden tokens that the model knows.
const maskedAccuracy = "masked_accuracy"

// Describe implements [run.Describer].
func (Kind) Describe(metric string) run.Metric {
	if metric == maskedAccuracy {
		return run.Share
	}
	return images.Describe(metric)
}

// Doubts implements [run.Doubter].
func (Kind) Doubts(m train.Numbers) []string {
	if n := int(m["examples"]); n < run.FewExamples {
		return []string{fmt.Sprintf("%s; the numbers say nothing", run.Count(n, "sample"))}
	}
	if n, few := fewPairs(m); few {
		return []string{fmt.Sprintf("%s; recall and the losses of pairs say nothing", run.Count(n, "pair"))}
	}
	return nil
}

// Hides implements [run.Doubter]: recall among a handful of pairs that were held out is not shown.
func (Kind) Hides(m train.Numbers, metric string) bool {
	_, few := fewPairs(m)
	return few && (strings.Contains(metric, "recall@") || strings.HasSuffix(metric, "mean_rank"))
}

func fewPairs(m train.Numbers) (n int, few bool) {
	pairs, searched := m["images"]
	return int(pairs), searched && int(pairs) < run.FewExamples
}
