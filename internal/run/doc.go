// Package run is one run of any task: it trains, goes on, scores, and writes the report. It knows
// no kind of task; package tasks lists those there are.
//
//	task.go         the interfaces: what a task, its kind, a job, a learner and a finished model are
//	env.go          what a run has from outside
//	settings.go     the settings that all tasks have
//	finetune.go     a whole run: data, vocabulary, model, training, results
//	resume.go       going on with a run
//	model.go        a learner as the trainer sees it; batches of examples
//	needs.go        disk and time that a run takes
//	opened.go       a finished model
//	shared.go       what models of a folder have in common
//	folders.go      the folders that a process has open
//	evaluate.go     scoring a finished model
//	metric.go       how metrics are shown
//	few.go          when they say nothing
//	predictions.go  files of what was predicted
//	serve.go        what a server can ask of finished models
//	answers.go      what a run's best model said of the dev set
//	card.go         README.md of the models made here
//	page.go         report.html of a run
//	grid.go         many runs over a grid of settings
//	runs.go         lists and comparisons of runs
package run
