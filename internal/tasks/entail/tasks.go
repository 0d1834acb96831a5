// Package entail is visual entailment: whether a text follows from a picture, may or may not hold, or contradicts it.
//
//	tasks.go      the task
//	kind.go       what it is for package run
//	settings.go   what can be set, with the recipe
//	data.go       files of examples and their pictures
//	learner.go    what is trained
//	predictor.go  a finished model
//	detail.go     scores, prediction files, and the report
//	check.go      what is in the files
//
// Source: the reference's recipe (NLP/UNIMO/script/visual_entailment).
package entail

import "github.com/unimo-go/unimo/internal/run"

// Tasks lists the tasks of visual entailment.
var Tasks = run.Tasks{{
	Name: "snli-ve", Title: "SNLI-VE (visual entailment)", Metric: "accuracy", Command: "finetune", Kind: Kind{},
	Splits: run.UsualSplits(
		[]string{"snli_ve_train", "train.flickr8k", "train_filelist"},
		[]string{"snli_ve_dev", "dev.flickr8k", "dev_filelist"},
		[]string{"snli_ve_test", "test_filelist"},
	),
}}
