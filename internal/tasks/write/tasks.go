// Package write is text from text: answers in a conversation about a passage (CoQA), questions
// (SQuAD), summaries (CNN/DailyMail) and headlines (Gigaword).
//
//	tasks.go      the tasks with the reference's recipes
//	kind.go       what they share
//	settings.go   what can be set about training
//	data.go       files of examples
//	learner.go    what is trained
//	writer.go     running a generator over examples
//	generator.go  a finished generator that writes texts
//	detail.go     scores, prediction files, and the part of the report
//	check.go      what is in the files of a task
//
// Source: the reference's recipes (NLP/UNIMO/script/seq2seq).
package write

import (
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/texts"
)

// Tasks lists the tasks on texts that are written.
var Tasks = run.Tasks{
	task("cnn-dailymail", "rouge-l", Kind{
		Decoding: texts.Search(5, 0.6, 20, 128, true), BatchSize: 8, Epochs: 20, BaseRate: 4e-5, LargeRate: 2e-5, LargeBeam: 6, LargePenalty: 1.2,
		Scored: "rouge", right: sameText,
	}),
	coqa,
	task("gigaword", "rouge-l", Kind{
		Decoding: texts.Search(5, 0.6, 5, 32, false), BatchSize: 32, Epochs: 10, BaseRate: 3e-5, LargeRate: 3e-5, LargeBeam: 6, LargePenalty: 1.2,
		Scored: "rouge", right: sameText,
	}),
	task("squad-qg", "bleu-4", Kind{
		Decoding: texts.Search(5, 1, 5, 48, false), BatchSize: 8, Epochs: 20, BaseRate: 1.25e-5, LargeRate: 5e-6, LargeBeam: 6, LargePenalty: 1.2,
		Scored: "all-qg", right: sameText,
	}),
}

var coqa = task("coqa", "f1", Kind{
	Decoding: texts.Search(3, 0, 0, 30, false), BatchSize: 8, Epochs: 20, BaseRate: 1e-5, LargeRate: 8e-6, LargeBeam: 3,
	Scored: "coqa", right: rightAnswer,
})

func task(name, metric string, k Kind) *run.Task {
	var err error
	if k.Data, err = seq2seq.Find(name); err != nil {
		panic(err) // both lists are the program's own
	}
	return &run.Task{Name: name, Title: k.Data.Title, Metric: metric, Command: "finetune", Kind: &k, Splits: run.UsualSplits(nil, nil, nil)}
}
