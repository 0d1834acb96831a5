package run

import (
	"cmp"
	"maps"
	"slices"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model"
)

// Split is a set of examples and the names its file may have in a data folder. A split
// of texts has no names of its own: see [seq2seq.Resolve].
type Split struct {
	Name  string   // "dev", "dev_m", ...
	Files []string // without ending
}

// resolve finds the file of a split at path, a file or a folder.
func (p *Preset) resolve(path string, s Split) (string, error) {
	if p.Generation != nil {
		return seq2seq.Resolve(path, s.Name)
	}
	return textfile.Resolve(path, s.Name, s.Files)
}

// FileNames says which files a folder of the task's data holds, for help.
func (p *Preset) FileNames() []string {
	if p.Generation != nil {
		return []string{"a training and a dev file (train.jsonl, dev.jsonl, the official ones; see docs/reference/text.md)"}
	}
	if p.Retrieval != nil {
		return []string{"images/, captions.csv and the lists train.txt and dev.txt of pictures (see docs/reference/images.md)"}
	}
	names := []string{p.Train.Files[0] + textfile.Endings[0]}
	for _, split := range p.Dev {
		names = append(names, split.Files[0]+textfile.Endings[0])
	}
	return append(names, "or .csv, .jsonl, .json")
}

// Preset is what makes a task: classification or regression of texts, described by
// its Schema, generation, or retrieval of images and texts.
type Preset struct {
	Name   string // as on the command line
	Title  string
	Metric string // the key of the score that chooses the best model
	Train  Split
	Dev    []Split // the first chooses the best model
	Test   []Split // without labels; predicted if there

	// At most one of these; without, the task is classification or regression.
	Generation  *Generation
	Retrieval   *Retrieval
	Pretraining bool

	// Schema of an open task has no labels until WithLabels or a model gives them.
	Schema labelled.Schema
	// ScoreMean and ScoreScale are those of the training examples of an open regression: the model
	// learns scores with mean 0 and deviation 1.
	ScoreMean, ScoreScale float64
	// MiniEpochs is how long the mini preset trains: from random weights, longer
	// only fits the training set better.
	MiniEpochs int
	// Submission writes GLUE's names of the classes; nil: the schema's labels.
	Submission []string
}

// Problem is the model's problem_type.
func (p *Preset) Problem() string {
	switch {
	case p.Generation != nil && p.Generation.Data.Dialogue:
		return model.Dialogue
	case p.Generation != nil:
		return model.Generation
	case p.Retrieval != nil:
		return model.Retrieval
	case p.Pretraining:
		return model.Pretraining
	case p.Schema.Regression:
		return model.Regression
	}
	return model.Classification
}

// Labelled says whether the task is classification or regression of texts.
func (p *Preset) Labelled() bool { return p.Generation == nil && p.Retrieval == nil && !p.Pretraining }

// Use is the command that tries a model in the folder dir.
func (p *Preset) Use(dir string) string {
	switch p.Problem() {
	case model.Dialogue:
		return "unimo chat --model " + dir + " --story FILE"
	case model.Generation:
		return "unimo generate --model " + dir + " \"TEXT\""
	case model.Retrieval:
		return "unimo match --model " + dir + " PICTURE \"TEXT\"\nunimo index PICTURES --model " + dir + " --out INDEX\nunimo search --model " + dir + " --index INDEX \"TEXT\""
	}
	if p.Pretraining {
		return "unimo finetune TASK --data DIR --init " + dir + " --out RUN"
	}
	return "unimo predict --model " + dir + " \"TEXT\""
}

// size is the model of a size before any settings.
func (p *Preset) size(name string) model.Config {
	cfg := model.Sizes[name]
	if p.Generation != nil {
		cfg.MaxPositions = model.Base.MaxPositions // for whole passages; the table is small
	}
	return cfg
}

// Grid is the grid that the reference's scripts run for the task.
func (p *Preset) Grid() []string {
	if p.Generation != nil || p.Retrieval != nil {
		return []string{"seed=1"} // one run, with the settings of the preset
	}
	return []string{"batch_size=16,32", "learning_rate=1e-5,2e-5,3e-5", "seed=1,2,3,4,5"}
}

// Outputs is the number of the head's outputs.
func (p *Preset) Outputs() int {
	if p.Schema.Regression || p.Retrieval != nil {
		return 1
	}
	return p.Schema.Classes()
}

// The names of a split's files without ending: the usual ones, then the task's own.
func trainFiles(files ...string) Split { return Split{"train", append([]string{"train"}, files...)} }
func dev(files ...string) []Split {
	return []Split{{"dev", append([]string{"dev", "validation", "valid", "val"}, files...)}}
}
func test(files ...string) []Split { return []Split{{"test", append([]string{"test"}, files...)}} }

var presets = map[string]*Preset{
	"sst-2": {
		Name: "sst-2", Title: "SST-2 (sentiment of film reviews)", Metric: "accuracy", MiniEpochs: 1,
		Schema: labelled.Schema{
			Labels: []string{"negative", "positive"},
		},
		Train: trainFiles(), Dev: dev(), Test: test(),
		Submission: []string{"0", "1"},
	},
	"classify": {
		Name: "classify", Title: "classification of own texts", Metric: "accuracy", MiniEpochs: openEpochs,
		Schema: labelled.Schema{Open: true},
		Train:  trainFiles(), Dev: dev(), Test: test(),
	},
	"regress": {
		Name: "regress", Title: "regression on own texts", Metric: "pearson", MiniEpochs: openEpochs,
		Schema: labelled.Schema{Open: true, Regression: true},
		Train:  trainFiles(), Dev: dev(), Test: test(),
	},
	"cola": {
		Name: "cola", Title: "CoLA (linguistic acceptability)", Metric: "matthews", MiniEpochs: 10,
		Schema: labelled.Schema{
			Labels: []string{"unacceptable", "acceptable"},
			Headerless: []labelled.Layout{{
				Name: "CoLA", Format: textfile.FormatTSV,
				Columns: []labelled.Role{labelled.Ignored, labelled.Label, labelled.Ignored, labelled.TextA},
			}},
		},
		Train: trainFiles("in_domain_train"), Dev: dev("in_domain_dev"), Test: test(),
		Submission: []string{"0", "1"},
	},
	"mnli": {
		Name: "mnli", Title: "MNLI (natural language inference)", Metric: "accuracy", MiniEpochs: 3,
		Schema: labelled.Schema{
			Pair:   true,
			Labels: []string{"entailment", "neutral", "contradiction"},
		},
		Train: trainFiles("multinli_1.0_train", "snli_1.0_train"),
		Dev: []Split{
			{"dev_m", []string{"dev_matched", "validation_matched", "dev_m", "m/dev", "multinli_1.0_dev_matched", "dev", "validation", "valid", "val", "snli_1.0_dev"}},
			{"dev_mm", []string{"dev_mismatched", "validation_mismatched", "dev_mm", "mm/dev", "multinli_1.0_dev_mismatched"}},
		},
		Test: []Split{
			{"test_m", []string{"test_matched", "test_m", "m/test", "test", "snli_1.0_test"}},
			{"test_mm", []string{"test_mismatched", "test_mm", "mm/test"}},
			{"ax", []string{"diagnostic", "AX"}},
		},
	},
	"sts-b": {
		Name: "sts-b", Title: "STS-B (semantic similarity, 0 to 5)", Metric: "pearson", MiniEpochs: 10,
		Schema: labelled.Schema{
			Pair: true, Regression: true, MinScore: 0, MaxScore: 5,
			Headerless: []labelled.Layout{{
				Name: "STSbenchmark CSV", Format: textfile.FormatCSV,
				Columns: []labelled.Role{labelled.TextA, labelled.TextB, labelled.Label},
			}},
		},
		Train: trainFiles("stsb-en-train"), Dev: dev("stsb-en-dev"), Test: test("stsb-en-test"),
	},
}

// MiniEpochs of the tasks of own data: of these, some thousand examples are usual. The best epoch is kept.
const openEpochs = 10

// Opinions is the demo's task, on synthetic sentences; it is not among the names of
// the command line.
var Opinions = &Preset{
	Name: "opinions", Title: "synthetic opinions", Metric: "accuracy", MiniEpochs: 6,
	Schema: labelled.Schema{Labels: []string{"negative", "positive"}},
	Train:  trainFiles(), Dev: dev(),
}

// job returns the work of a run of the task's kind.
func (p *Preset) job(s Settings) job {
	switch s := s.(type) {
	case *GenerationSettings:
		return &generation{preset: p, settings: s}
	case *RetrievalSettings:
		return &retrieval{preset: p, settings: s}
	case *PretrainingSettings:
		return &pretraining{preset: p, settings: s}
	}
	return &classification{preset: p, settings: s.(*ClassificationSettings)}
}

// Names lists the presets.
func Names() []string {
	return slices.Concat(slices.Sorted(maps.Keys(presets)), slices.Sorted(maps.Keys(textPresets)), ImageNames())
}

// Find returns the preset that name means (see [names.Find]).
func Find(name string) (*Preset, error) {
	known, err := names.Find("task", name, Names())
	if err != nil {
		return nil, err
	}
	return cmp.Or(presets[known], textPresets[known], imagePresets[known]), nil
}
