// Package task is fine-tuning, evaluation and use of models for tasks: classification
// and regression of texts (SST-2, CoLA, MNLI, STS-B), and text to text (CoQA, question
// generation, summaries), each task a preset of its kind.
//
//	preset.go      what distinguishes the tasks; those of classification and regression
//	texts.go       the text-to-text tasks and their scores
//	settings.go    what can be set, resolved from preset, file and flags
//	finetune.go    a whole run: data, vocabulary, model, training, results
//	learner.go     what a run needs of a kind of task; classification and regression
//	generation.go  text to text as a kind of task; running a generator over examples
//	classifier.go  running a classifier over records; a finished one that predicts
//	generator.go   a finished generator that writes texts
//	scores.go      metrics of a set of predictions
//	evaluate.go    scoring a finished model on a file; prediction files
//	card.go        README.md of the models made here
//	page.go        report.html of a run
//	grid.go        many runs over a grid of settings
//
// Source: the reference's recipes (NLP/UNIMO/script/classification, regression and
// seq2seq).
package task
