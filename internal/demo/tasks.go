package demo

import (
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/classify"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
	"github.com/unimo-go/unimo/internal/tasks/write"
)

// The tasks of the demo. No command names them.
var (
	// Opinions classifies synthetic sentences.
	Opinions = &run.Task{
		Name: "opinions", Title: "synthetic opinions", Metric: "accuracy", Splits: run.UsualSplits(nil, nil, nil),
		Kind: &classify.Kind{Schema: labelled.Schema{Labels: []string{"negative", "positive"}}, MiniEpochs: 6},
	}
	// Stories answers questions about synthetic stories, in conversations.
	Stories = like(write.Tasks, "coqa", "stories", "em")
	// Scenes finds synthetic pictures for sentences and sentences for them.
	Scenes = like(retrieve.Tasks, "flickr8k", "scenes", "recall@1")
)

// Tasks lists them, so that a run of the demo is gone on with as others are.
var Tasks = run.Tasks{Opinions, Scenes, Stories, OneModel}

// like returns a task of the kind and with the files of a known one.
func like(tasks run.Tasks, known, name, metric string) *run.Task {
	t := named(tasks, known)
	return &run.Task{Name: name, Title: "synthetic " + name, Metric: metric, Kind: t.Kind, Splits: t.Splits}
}
