package run

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/model/modeldir"
)

// EvaluateOptions say which model is scored on what.
type EvaluateOptions struct {
	Env
	Task  *Task
	Model string // its folder, or that of a run
	Data  string // a file, or a folder with the task's files
	Split string // "train", "dev", "test"; "" is dev
	// Predictions is a folder to write what was predicted to: a new or empty one, or one that an
	// earlier call wrote; "" for none.
	Predictions string
	Set         []string // settings of the kind's evaluation as key=value
	// Calibrate fits probabilities on the first file and keeps them with the model.
	Calibrate bool
}

// Evaluate scores a model. Its results are those of each file of the split.
func Evaluate(ctx context.Context, o EvaluateOptions) ([]Result, error) {
	kind, ok := o.Task.Kind.(Evaluator)
	if !ok {
		return nil, &SettingError{fmt.Errorf("models of %s are not evaluated; give another task", o.Task.Name)}
	}
	env := o.Ready()
	if err := SetFlags(kind.EvalSettings(), o.Set); err != nil {
		return nil, err
	}
	m, s, err := o.open(kind, env)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	files, err := o.Task.splitFiles(o.Data, o.Split)
	if err != nil {
		return nil, err
	}
	if o.Predictions != "" {
		if err := checkPredictions(kind, o.Predictions, files); err != nil {
			return nil, err
		}
	}
	if o.Calibrate {
		c, ok := m.(Calibrated)
		if !ok {
			return nil, uncalibrated(o.Task)
		}
		c.Calibrate()
	}
	var results []Result
	for i, f := range files {
		r, err := m.Evaluate(ctx, o.Task, f, s, env.Observer.Tick)
		if err != nil {
			return nil, err
		}
		if c, ok := m.(Calibrated); ok {
			if err := o.calibrate(c, f, &r, i == 0); err != nil {
				return nil, err
			}
		}
		r.Notes = append(r.Notes, o.Task.Doubts(r.Metrics)...)
		results = append(results, r)
	}
	if o.Predictions == "" {
		return results, nil
	}
	for _, r := range results {
		if err := r.Detail.WritePredictions(o.Predictions, r.Split); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// open opens the model and lays the settings over its own.
func (o *EvaluateOptions) open(kind Evaluator, env *Env) (Finished, Flags, error) {
	cfg, err := modeldir.ReadConfig(modeldir.Resolve(o.Model))
	if err == nil && env.Task == "" && slices.Contains(cfg.TaskNames(), o.Task.Name) {
		env.Task = o.Task.Name
	}
	m, err := kind.Open(o.Model, env)
	if err != nil {
		return nil, nil, err
	}
	s := kind.EvalSettings()
	if tuned, ok := m.(Tuned); ok {
		s = tuned.EvalSettings()
	}
	if err = m.Fits(o.Task); err == nil {
		err = SetFlags(s, o.Set)
	}
	if err == nil {
		err = m.CheckWeights()
	}
	if err != nil {
		m.Close()
		return nil, nil, err
	}
	return m, s, nil
}

// SetFlags lays assignments over s, and checks it.
func SetFlags(s Flags, set []string) error {
	given := map[string]bool{}
	for _, assignment := range set {
		if err := settings.Set(s, assignment); err != nil {
			return &SettingError{err}
		}
		given[settings.Key(assignment)] = true
	}
	if err := s.Validate(func(key string) bool { return given[key] }); err != nil {
		return &SettingError{err}
	}
	return nil
}

// OfModel returns the task that the model in the folder dir, or the best of a run's
// folder, was fine-tuned for. Older models do not say it.
func (ts Tasks) OfModel(dir string) (*Task, error) {
	dir = modeldir.Resolve(dir)
	cfg, err := modeldir.ReadConfig(dir)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", dir, err)
	}
	if len(cfg.Tasks) > 0 {
		return nil, &SettingError{fmt.Errorf("model %s has several tasks; name one of %s (--task NAME)", dir, strings.Join(cfg.TaskNames(), ", "))}
	}
	if !slices.Contains(ts.Names(), cfg.Task) {
		return nil, &SettingError{fmt.Errorf("model %s does not say which task it is for; name one of %s", dir, strings.Join(ts.Names(), ", "))}
	}
	return ts.Find(cfg.Task)
}

// ofModel returns the tasks that the model in the folder dir says it is for.
func (ts Tasks) ofModel(dir string) (Tasks, error) {
	dir = modeldir.Resolve(dir)
	cfg, err := modeldir.ReadConfig(dir)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", dir, err)
	}
	return slices.DeleteFunc(slices.Clone(ts), func(t *Task) bool { return t.Name != cfg.Task && !slices.Contains(cfg.TaskNames(), t.Name) }), nil
}

// splitFiles finds the files of a split at path; without a name, those of dev.
func (t *Task) splitFiles(path, name string) ([]File, error) {
	known, err := names.Find("split", cmp.Or(name, "dev"), t.Splits.Names())
	if err != nil {
		return nil, &SettingError{fmt.Errorf("%s: %w", t.Name, err)}
	}
	if known == "dev" {
		return t.DevFiles(path)
	}
	all := slices.Concat([]Split{t.Train}, t.Dev, t.Test)
	s := all[slices.IndexFunc(all, func(s Split) bool { return s.Name == known })]
	file, err := t.resolve(path, s)
	if err != nil {
		return nil, err
	}
	return []File{{s.Name, file}}, nil
}

// CutNotes says how many texts were longer than the model reads.
func CutNotes(cut, n int, what string, limit int) []string {
	if cut == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d %s are longer than the %d tokens that are read and were cut", cut, n, what, limit)}
}

// Notes returns the notes of all results, each with its split.
func Notes(results []Result) []string {
	var all []string
	for _, r := range results {
		for _, note := range r.Notes {
			all = append(all, r.Split+": "+note)
		}
	}
	return all
}
