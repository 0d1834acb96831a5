// Package write is text from text: answers in a conversation about a passage (CoQA), questions
// (SQuAD), summaries (CNN/DailyMail) and headlines (Gigaword).
//
//	tasks.go      the tasks with the reference's recipes
//	kind.go       what they share
//	settings.go   what can be set about training, and about how texts are found
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
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
)

// Tasks lists the tasks on texts that are written.
var Tasks = run.Tasks{
	task("cnn-dailymail", "rouge-l", Kind{
		Decoding: decoding(5, 0.6, 20, 128, true), BatchSize: 8, Epochs: 20, BaseRate: 4e-5, LargeRate: 2e-5, LargeBeam: 6, LargePenalty: 1.2,
		Scored: "rouge", right: sameText,
	}),
	coqa,
	task("gigaword", "rouge-l", Kind{
		Decoding: decoding(5, 0.6, 5, 32, false), BatchSize: 32, Epochs: 10, BaseRate: 3e-5, LargeRate: 3e-5, LargeBeam: 6, LargePenalty: 1.2,
		Scored: "rouge", right: sameText,
	}),
	task("squad-qg", "bleu-4", Kind{
		Decoding: decoding(5, 1, 5, 48, false), BatchSize: 8, Epochs: 20, BaseRate: 1.25e-5, LargeRate: 5e-6, LargeBeam: 6, LargePenalty: 1.2,
		Scored: "all-qg", right: sameText,
	}),
}

var coqa = task("coqa", "f1", Kind{
	Decoding: decoding(3, 0, 0, 30, false), BatchSize: 8, Epochs: 20, BaseRate: 1e-5, LargeRate: 8e-6, LargeBeam: 3,
	Scored: "coqa", right: rightAnswer,
})

func task(name, metric string, k Kind) *run.Task {
	var err error
	if k.Data, err = seq2seq.Find(name); err != nil {
		panic(err) // both lists are the program's own
	}
	return &run.Task{Name: name, Title: k.Data.Title, Metric: metric, Command: "finetune", Kind: &k, Splits: run.UsualSplits(nil, nil, nil)}
}

func decoding(beam int, penalty float64, least, most int, blockTrigram bool) decode.Options {
	o := decode.Default
	o.BeamSize, o.LengthPenalty, o.MinLength, o.MaxLength, o.BlockTrigrams = beam, penalty, least, most, blockTrigram
	return o
}
