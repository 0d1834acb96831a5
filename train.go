package unimo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks"
	"github.com/unimo-go/unimo/internal/train"
)

// ErrSetting is the error of what a program asks for wrongly: a setting, a task, a split or a size that does not exist,
// a value that is impossible, an option that is needed and left out.
var ErrSetting = errors.New("unimo: impossible setting")

// ErrTimeUp is the error of a run whose setting max_minutes is over. The run is saved, and goes on with Resume. The error
// is a [context.Canceled], too: ask for ErrTimeUp first.
var ErrTimeUp = train.ErrTimeUp

// Task is what a model can be trained for.
type Task struct {
	Name   string   // of the options: "sst-2"
	Title  string   // for people: "SST-2 (sentiment of film reviews)"
	Metric string   // the key of the metric that chooses the best model
	Splits []string // that a model can be scored on
}

// Tasks lists what [Finetune] can train for and [Evaluate] can score.
func Tasks() []Task {
	var list []Task
	for _, t := range tasks.All.Of("finetune") {
		list = append(list, Task{t.Name, t.Title, t.Metric, t.Splits.Names()})
	}
	return list
}

// Settings are settings of a task by their keys, which are those of configuration files and of "unimo finetune --set".
// Values are texts, numbers, booleans, or lists of texts:
//
//	unimo.Settings{"epochs": 3, "learning_rate": 1e-4, "max_seq_len": 64}
//
// A key that the task does not have is [ErrSetting]. "unimo settings TASK" lists all of them.
type Settings map[string]any

// assignments are the settings as key=value, in the order of their keys. Values are JSON, which is YAML too.
func (s Settings) assignments() ([]string, error) {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(s)) {
		if key == "" || strings.Contains(key, "=") {
			return nil, &settingError{fmt.Errorf("unknown setting %q; give the name alone, and its value in the map", key)}
		}
		value, err := json.Marshal(s[key])
		if err != nil {
			return nil, &settingError{fmt.Errorf("%s: %w; give it a text, a number, true, false, or a list of texts", key, err)}
		}
		list = append(list, key+"="+string(value))
	}
	return list, nil
}

// FinetuneOptions say what to train on what. Task, Data and Out are needed.
type FinetuneOptions struct {
	Task string // its name: see [Tasks]
	Data string // folder with the task's files, or the training file, with Dev or the setting dev_share
	Dev  string // the dev file, where Data does not hold it under a usual name
	Out  string // the run's folder: new, or that of the run that Resume goes on with
	TrainOptions
}

// PretrainOptions say what to pre-train on: the settings "text", "images" and "pairs" name the collections. Out is needed.
type PretrainOptions struct {
	Out string // the run's folder: new, or that of the run that Resume goes on with
	TrainOptions
}

// TrainOptions are those of every training.
type TrainOptions struct {
	// Size is "mini", "base" or "large". Left out it is "mini"; with Resume, the run's own.
	Size   string
	Init   string // model or checkpoint to start from; left out, the weights are random
	Vocab  string // folder with the vocabulary; left out it is that of Init, or trained on the data
	Resume bool   // go on with the run in Out from its newest snapshot; if there is none yet, begin it

	Settings Settings
	Work
}

// Work is how a piece of work is watched and bounded.
type Work struct {
	// Progress is told how work goes on, one call after the other, from the goroutine that does it: it should
	// return soon. It may be nil.
	Progress func(Event)
	// Log is told what people should know: what was left out of the data, say. Without one nothing is logged.
	Log *slog.Logger
	// Threads bounds the threads to compute with. Without it there is one per core; results do not depend on it.
	Threads int
}

// env is what the work has from outside.
func (w Work) env() (run.Env, error) {
	if w.Threads < 0 {
		return run.Env{}, &settingError{fmt.Errorf("threads is %d; want 1 or more, or leave it out", w.Threads)}
	}
	e := run.Env{Log: w.Log, Threads: w.Threads}
	if w.Progress != nil {
		e.Observer = observer{w.Progress}
	}
	return e, nil
}

// Run is a run that has ended well.
type Run struct {
	Best     string             // folder of the best model
	Report   string             // HTML page
	Steps    int                // of training
	BestStep int                // that the best model is of
	Metrics  map[string]float64 // of the best model on dev, by name; NaN is undefined
	Notes    []string           // what a reader of the metrics should know
}

// Finetune trains a model for a task, keeps the best on dev, and scores it, as "unimo finetune" does. The folder
// Out then holds best/ and last/ (models), snapshots/, log.jsonl, run.json and report.html. When ctx ends, the run is
// saved and the error is ctx's; with Resume it goes on, and ends in the same bits.
func Finetune(ctx context.Context, o FinetuneOptions) (*Run, error) {
	t, err := tasks.All.Of("finetune").Find(o.Task)
	if err != nil {
		return nil, &settingError{err}
	}
	if o.Data == "" && t.Kind.DataFiles(t) != nil {
		return nil, &settingError{errors.New("no data; name the folder with the task's files in Data")}
	}
	return o.TrainOptions.train(ctx, run.Options{Task: t, Data: o.Data, Dev: o.Dev, Env: run.Env{Out: o.Out}})
}

// Pretrain pre-trains a model, as "unimo pretrain" does; [Finetune] goes on from it with Init. See there about Out and ctx.
func Pretrain(ctx context.Context, o PretrainOptions) (*Run, error) {
	return o.TrainOptions.train(ctx, run.Options{Task: tasks.All.Of("pretrain")[0], Env: run.Env{Out: o.Out}})
}

func (o TrainOptions) train(ctx context.Context, all run.Options) (*Run, error) {
	if ctx == nil {
		return nil, errNilContext
	}
	if all.Out == "" {
		return nil, &settingError{errors.New("no folder; name that of the run in Out")}
	}
	env, err := o.env()
	if err != nil {
		return nil, err
	}
	env.Out = all.Out
	all.Env = env
	if all.Set, err = o.Settings.assignments(); err != nil {
		return nil, err
	}
	if all.Size = o.Size; !o.Resume {
		all.Size = cmp.Or(o.Size, "mini")
	}
	all.Init, all.Vocab, all.Resume, all.Version = o.Init, o.Vocab, o.Resume, version()
	s, err := run.Finetune(ctx, all)
	if err != nil {
		return nil, public(err)
	}
	return &Run{
		Best: s.Dir.Best(), Report: s.Dir.Report(), Steps: s.Outcome.Steps, BestStep: s.Outcome.BestStep,
		Metrics: numbers(s.Metrics), Notes: s.Notes,
	}, nil
}

// EvaluateOptions say which model is scored on what. Model and Data are needed.
type EvaluateOptions struct {
	Task        string   // its name; left out it is that of the model
	Model       string   // folder of a model, or of a run, whose best model it is then
	Data        string   // a file, or a folder with the task's files
	Split       string   // of a folder: one of the task's Splits; left out it is "dev"
	Predictions string   // new folder to write what was predicted to; left out it is not written
	Settings    Settings // of scoring: those of "unimo evaluate TASK --help"
	Work
}

// Score is how good a model is on a file.
type Score struct {
	Split   string
	File    string
	Metrics map[string]float64 // by name; NaN is undefined
	Notes   []string           // what a reader of the metrics should know: texts that were cut, say
}

// Evaluate scores a model on each file of a split, as "unimo evaluate" does. MNLI's dev has two.
func Evaluate(ctx context.Context, o EvaluateOptions) ([]Score, error) {
	if ctx == nil {
		return nil, errNilContext
	}
	t, err := o.task()
	if err != nil {
		return nil, err
	}
	env, err := o.env()
	if err != nil {
		return nil, err
	}
	set, err := o.Settings.assignments()
	if err != nil {
		return nil, err
	}
	results, err := run.Evaluate(ctx, run.EvaluateOptions{Env: env, Task: t, Model: o.Model, Data: o.Data, Split: o.Split, Predictions: o.Predictions, Set: set})
	if err != nil {
		return nil, public(err)
	}
	var scores []Score
	for _, r := range results {
		scores = append(scores, Score{r.Split, r.File, numbers(r.Metrics), r.Notes})
	}
	return scores, nil
}

// task is the one that is named, or that of the model.
func (o EvaluateOptions) task() (*run.Task, error) {
	if o.Model == "" || o.Data == "" {
		return nil, &settingError{fmt.Errorf("score model %q on data %q; name both in Model and Data", o.Model, o.Data)}
	}
	list := tasks.All.Of("finetune")
	if o.Task == "" {
		t, err := list.OfModel(o.Model)
		return t, public(err)
	}
	t, err := list.Find(o.Task)
	if err != nil {
		return nil, &settingError{err}
	}
	return t, nil
}

func numbers(m train.Numbers) map[string]float64 {
	all := make(map[string]float64, len(m))
	for key, value := range m {
		all[key] = float64(value)
	}
	return all
}

// version is what run.json notes of the program.
func version() map[string]string {
	v := map[string]string{"unimo": "devel"}
	if info, ok := debug.ReadBuildInfo(); ok {
		v["go"] = info.GoVersion
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == "github.com/unimo-go/unimo" {
				v["unimo"] = m.Version
			}
		}
	}
	return v
}

// settingError is an error that is [ErrSetting].
type settingError struct{ error }

func (e *settingError) Is(target error) bool { return target == ErrSetting }
func (e *settingError) Unwrap() error        { return e.error }

// public marks the errors of settings.
func public(err error) error {
	var setting *run.SettingError
	if errors.As(err, &setting) {
		return &settingError{err}
	}
	return err
}
