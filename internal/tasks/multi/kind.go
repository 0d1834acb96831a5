// Package multi is one model for many tasks: one encoder, the heads of all, batches of each by turns. It knows the
// other kinds of task only by the interfaces of package run.
//
//	kind.go      the task
//	settings.go  what can be set, for all tasks and for single ones
//	job.go       the data of all tasks; the configuration of the whole
//	mix.go       which batch of which task comes when
//	learner.go   what is trained, and scored
//	detail.go    what is shown of the scores
package multi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

// Score is the metric that chooses the best model: the mean over the tasks of their own metrics, each normalised
// (see [run.Metric.Normalised]).
const Score = "score"

// NewTask returns the task whose models are for several of others.
func NewTask(others run.Tasks) *run.Task {
	return &run.Task{
		Name: "multi", Title: "many tasks", Metric: Score, Command: "finetune", Kind: Kind{others},
		Splits: run.Splits{Train: run.Split{Name: "train"}, Dev: []run.Split{{Name: "dev"}}},
	}
}

// Kind is many tasks with one model.
type Kind struct {
	all run.Tasks // that there are
}

var (
	_ run.Kind      = Kind{}
	_ run.Sizer     = Kind{}
	_ run.Describer = Kind{}
	_ run.Doubter   = Kind{}
	_ run.Helper    = Kind{}
)

// Problem implements [run.Kind].
func (Kind) Problem() string { return model.MultiTask }

// Settings implements [run.Kind].
func (k Kind) Settings(_ *run.Task, size string, c run.CommonSettings) run.Settings {
	return k.defaults(size, c)
}

// Job implements [run.Kind].
func (k Kind) Job(t *run.Task, s run.Settings, env *run.Env) run.Job {
	return newJob(t, s.(*Settings), env)
}

// DataFiles implements [run.Kind]: the data are settings.
func (Kind) DataFiles(*run.Task) []string { return nil }

// Use implements [run.Kind].
func (Kind) Use(dir string) string {
	return "unimo inspect " + dir + "\nunimo evaluate TASK --model " + dir + " --data DIR\nand so predict, ask, caption, generate, match and others, as its tasks are\n(--task NAME where several fit)"
}

// Size implements [run.Sizer]: as many positions as any of the tasks wants.
func (k Kind) Size(cfg model.Config) model.Config {
	most := cfg.MaxPositions
	for _, t := range k.all {
		if s, ok := t.Kind.(run.Sizer); ok {
			most = max(most, s.Size(cfg).MaxPositions)
		}
	}
	cfg.MaxPositions = most
	return cfg
}

// Help implements [run.Helper].
func (k Kind) Help(t *run.Task, command string) (long, example string) {
	if command != "finetune" {
		return "", ""
	}
	return `

The tasks are ` + strings.Join(k.tasks().Names(), ", ") + `.
They share the encoder, the vocabulary and the settings; --set NAME.KEY=VALUE sets one task's own. An
epoch takes every task's data once, or --ratio times, in an order that mixes them evenly. The best
model is that of the highest score: the mean over the tasks of their own metrics, each as a number
from 0 to 1. The commands that open a model take the task that fits; --task names one of several.`, fmt.Sprintf(`  unimo finetune %[1]s --tasks sst-2=SST,gigaword=DIR,flickr8k=PICTURES --out RUN
  unimo finetune %[1]s --tasks sst-2=SST,flickr8k=PICTURES --ratio sst-2=0.5 --out RUN
  unimo finetune %[1]s --tasks sst-2=SST,cola=COLA --set sst-2.max_seq_len=64 --out RUN
  unimo evaluate sst-2 --model RUN --data SST`, t.Name)
}

// tasks are those that can be one of several: whose models are scored by themselves.
func (k Kind) tasks() run.Tasks {
	return slices.DeleteFunc(slices.Clone(k.all), func(t *run.Task) bool {
		_, ok := t.Kind.(run.Evaluator)
		return !ok
	})
}

// split returns the task that a metric is of, and its name there; nil for one of the whole.
func (k Kind) split(metric string) (*run.Task, string) {
	name, own, ok := strings.Cut(metric, "/")
	if i := slices.IndexFunc(k.all, func(t *run.Task) bool { return t.Name == name }); ok && i >= 0 {
		return k.all[i], own
	}
	return nil, metric
}

// byTask divides metrics by the names of their tasks.
func (k Kind) byTask(m train.Numbers) map[*run.Task]train.Numbers {
	all := map[*run.Task]train.Numbers{}
	for metric, value := range m {
		if t, own := k.split(metric); t != nil {
			if all[t] == nil {
				all[t] = train.Numbers{}
			}
			all[t][own] = value
		}
	}
	return all
}

// Describe implements [run.Describer].
func (k Kind) Describe(metric string) run.Metric {
	t, own := k.split(metric)
	if t == nil {
		return run.Share
	}
	m := t.Describe(own)
	m.Group = strings.TrimSuffix(t.Title+", "+m.Group, ", ")
	return m
}

// Doubts implements [run.Doubter].
func (k Kind) Doubts(m train.Numbers) []string {
	var notes []string
	metrics := k.byTask(m)
	for _, t := range k.all {
		if own := metrics[t]; own != nil {
			notes = append(notes, prefixed(t.Name, t.Doubts(own))...)
		}
	}
	return notes
}

// Hides implements [run.Doubter].
func (k Kind) Hides(m train.Numbers, metric string) bool {
	t, own := k.split(metric)
	if t == nil {
		return false
	}
	d, ok := t.Kind.(run.Doubter)
	return ok && d.Hides(k.byTask(m)[t], own)
}

// prefixed are sentences about a task.
func prefixed(task string, sentences []string) []string {
	list := make([]string, len(sentences))
	for i, s := range sentences {
		list[i] = task + ": " + s
	}
	return list
}
