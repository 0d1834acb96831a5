// Package vqa is questions about pictures: a model chooses one of the most frequent answers, or writes one.
//
//	tasks.go     the task
//	kind.go      what commands ask of it
//	settings.go  what can be set, with the recipe
//	data.go      the questions of a run and their pictures
//	answers.go   the answers that a model chooses from
//	chooser.go   a model that chooses one of these
//	writer.go    a model that writes answers
//	learner.go   what is trained
//	check.go     what is wrong with files
//	score.go     how answers compare with people's
//	detail.go    prediction files, and the report
//	answerer.go  a finished model that answers
//
// Source: the paper, which used the task and never released it; soft targets as in D. Teney et al., "Tips and tricks for
// visual question answering", CVPR 2018.
package vqa

import "github.com/unimo-go/unimo/internal/run"

// Tasks lists the tasks.
var Tasks = run.Tasks{{
	Name: "vqa", Title: "VQA (questions about pictures)", Metric: "accuracy", Command: "finetune", Kind: Kind{},
	Splits: run.UsualSplits(nil, nil, nil),
}}
