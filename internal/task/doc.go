// Package task is classification and regression of texts: SST-2, CoLA, MNLI and
// STS-B as presets of one task, fine-tuned, evaluated and used for prediction.
//
//	preset.go      what distinguishes the tasks: columns, labels, metric, recipe
//	settings.go    what can be set, resolved from preset, file and flags
//	finetune.go    a whole run: data, vocabulary, model, training, results
//	learner.go     the task as the trainer sees it
//	classifier.go  running a model over records and texts
//	scores.go      metrics of a set of predictions
//	evaluate.go    scoring a finished model on a file
//	card.go        README.md of the models made here
//	page.go        report.html of a run
//	grid.go        many runs over a grid of settings
//
// Source: the reference's recipes (NLP/UNIMO/script/classification and
// script/regression).
package task
