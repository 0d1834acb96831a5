// Package classify is classification of texts, and regression on them: SST-2, CoLA, MNLI, STS-B, and
// own data.
//
//	tasks.go      the tasks
//	kind.go       what they share
//	settings.go   what can be set, with the recipes
//	data.go       labelled files, labels of the data, a drawn dev set
//	learner.go    what is trained
//	predictor.go  a finished model that answers about texts
//	scores.go     metrics of a set of predictions
//	detail.go     prediction files, and the part of the report
//	check.go      what is in the files of a task
//
// Source: the reference's recipes (NLP/UNIMO/script/classification and regression).
package classify

import (
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/run"
)

// grid is the one that the reference's scripts run.
var grid = []string{"batch_size=16,32", "learning_rate=1e-5,2e-5,3e-5", "seed=1,2,3,4,5"}

// MiniEpochs of the tasks of own data: of these, some thousand examples are usual. The best epoch is kept.
const openEpochs = 10

// Tasks lists the tasks on labelled texts.
var Tasks = run.Tasks{
	{
		Name: "classify", Title: "classification of own texts", Metric: "accuracy", Command: "finetune", Grid: grid,
		Splits: run.UsualSplits(nil, nil, nil),
		Kind:   &Kind{Schema: labelled.Schema{Open: true}, MiniEpochs: openEpochs},
	},
	{
		Name: "cola", Title: "CoLA (linguistic acceptability)", Metric: "matthews", Command: "finetune", Grid: grid,
		Splits: run.UsualSplits([]string{"in_domain_train"}, []string{"in_domain_dev"}, nil),
		Kind: &Kind{
			Schema: labelled.Schema{
				Labels: []string{"unacceptable", "acceptable"},
				Headerless: []labelled.Layout{{
					Name: "CoLA", Format: textfile.FormatTSV,
					Columns: []labelled.Role{labelled.Ignored, labelled.Label, labelled.Ignored, labelled.TextA},
				}},
			},
			Submission: []string{"0", "1"}, MiniEpochs: 10,
		},
	},
	{
		Name: "mnli", Title: "MNLI (natural language inference)", Metric: "accuracy", Command: "finetune", Grid: grid,
		Splits: run.Splits{
			Train: run.Split{Name: "train", Files: []string{"train", "multinli_1.0_train", "snli_1.0_train"}},
			Dev: []run.Split{
				{Name: "dev_m", Files: []string{"dev_matched", "validation_matched", "dev_m", "m/dev", "multinli_1.0_dev_matched", "dev", "validation", "valid", "val", "snli_1.0_dev"}},
				{Name: "dev_mm", Files: []string{"dev_mismatched", "validation_mismatched", "dev_mm", "mm/dev", "multinli_1.0_dev_mismatched"}},
			},
			Test: []run.Split{
				{Name: "test_m", Files: []string{"test_matched", "test_m", "m/test", "test", "snli_1.0_test"}},
				{Name: "test_mm", Files: []string{"test_mismatched", "test_mm", "mm/test"}},
				{Name: "ax", Files: []string{"diagnostic", "AX"}},
			},
		},
		Kind: &Kind{Schema: labelled.Schema{Pair: true, Labels: []string{"entailment", "neutral", "contradiction"}}, MiniEpochs: 3},
	},
	{
		Name: "regress", Title: "regression on own texts", Metric: "pearson", Command: "finetune", Grid: grid,
		Splits: run.UsualSplits(nil, nil, nil),
		Kind:   &Kind{Schema: labelled.Schema{Open: true, Regression: true}, MiniEpochs: openEpochs},
	},
	{
		Name: "sst-2", Title: "SST-2 (sentiment of film reviews)", Metric: "accuracy", Command: "finetune", Grid: grid,
		Splits: run.UsualSplits(nil, nil, nil),
		Kind:   &Kind{Schema: labelled.Schema{Labels: []string{"negative", "positive"}}, Submission: []string{"0", "1"}, MiniEpochs: 1},
	},
	{
		Name: "sts-b", Title: "STS-B (semantic similarity, 0 to 5)", Metric: "pearson", Command: "finetune", Grid: grid,
		Splits: run.UsualSplits([]string{"stsb-en-train"}, []string{"stsb-en-dev"}, []string{"stsb-en-test"}),
		Kind: &Kind{
			Schema: labelled.Schema{
				Pair: true, Regression: true, MinScore: 0, MaxScore: 5,
				Headerless: []labelled.Layout{{
					Name: "STSbenchmark CSV", Format: textfile.FormatCSV,
					Columns: []labelled.Role{labelled.TextA, labelled.TextB, labelled.Label},
				}},
			},
			MiniEpochs: 10,
		},
	},
}
