// Package run is training, evaluation and use of models for tasks: classification
// and regression of texts (SST-2, CoLA, MNLI, STS-B, one's own), text to text (CoQA, question
// generation, summaries), image-text retrieval (Flickr30k, Flickr8k), and pre-training; each
// task is a preset of its kind.
//
//	preset.go      what distinguishes the tasks; those of classification and regression
//	texts.go       the text-to-text tasks and their scores
//	settings.go    what can be set, resolved from preset, file and flags
//	finetune.go    a whole run: data, vocabulary, model, training, results
//	learner.go     what a run needs of a kind of task; classification and regression
//	labelled.go    labelled texts: their files, labels of the data, a drawn dev set, scores by class
//	generation.go  text to text as a kind of task; running a generator over examples
//	classifier.go  running a classifier over records; a finished one that predicts
//	generator.go   a finished generator that writes texts
//	retrieval.go   image-text retrieval as a kind of task, flickr.go its tasks
//	retriever.go   a finished model that compares images with texts
//	images.go      where the images of a task come from
//	pretraining.go pre-training as a kind of task, pretraining_settings.go what can be set
//	scores.go      metrics of a set of predictions
//	evaluate.go    scoring a finished model on a file; prediction files
//	card.go        README.md of the models made here
//	page.go        report.html of a run
//	grid.go        many runs over a grid of settings
//
// Source: the reference's recipes (NLP/UNIMO/script/classification, regression and
// seq2seq).
package run
