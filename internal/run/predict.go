package run

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Replier is a kind whose finished models answer about a picture with a text.
type Replier interface {
	Kind
	// OpenReplying opens the model in the folder dir, or the best model of a run's folder.
	OpenReplying(dir string, env *Env) (Replying, error)
	// Judges says whether the texts are statements. Questions have a command and a route of their own, so of a model for both a picture with a
	// text goes to the task for statements.
	Judges() bool
}

// Replying is an opened model that answers about a picture with texts.
type Replying interface {
	PictureReader
	PictureClassifier // of one picture for each text or one for all
	Labels() []string // the classes that it chooses from
	CheckWeights() error
	Close() error
}

// FilePredictor is a finished model that answers about the examples of a file whether they have labels or not: "unimo
// predict TASK --data FILE".
type FilePredictor interface {
	Finished
	// PredictFile returns answers in the detail of a result, without metrics.
	PredictFile(ctx context.Context, f File, s Flags, tick Tick) (Result, error)
}

// PredictOptions say which model answers about what.
type PredictOptions struct {
	Env
	Task  *Task
	Model string   // its folder, or that of a run
	Data  string   // the file
	Into  string   // folder to write the answers to: a new or empty one, or one that an earlier call wrote
	Set   []string // settings of the kind's evaluation as key=value
}

// Prediction says what was written.
type Prediction struct {
	Examples int
	Files    []string // paths
	Notes    []string
}

// PredictFile lets a model answer about the examples of a file.
func PredictFile(ctx context.Context, o PredictOptions) (*Prediction, error) {
	kind, ok := o.Task.Kind.(Evaluator)
	if !ok {
		return nil, notFiles(o.Task)
	}
	env := o.Ready()
	if err := SetFlags(kind.EvalSettings(), o.Set); err != nil {
		return nil, err
	}
	evaluation := EvaluateOptions{Env: o.Env, Task: o.Task, Model: o.Model, Set: o.Set}
	m, s, err := evaluation.open(kind, env)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	p, ok := m.(FilePredictor)
	if !ok {
		return nil, notFiles(o.Task)
	}
	base := filepath.Base(o.Data)
	f := File{Split: strings.TrimSuffix(base, filepath.Ext(base)), Path: o.Data}
	if err := checkPredictions(kind, o.Into, []File{f}); err != nil {
		return nil, err
	}
	r, err := p.PredictFile(ctx, f, s, env.Observer.Tick)
	if err != nil {
		return nil, err
	}
	if err := r.Detail.WritePredictions(o.Into, f.Split); err != nil {
		return nil, err
	}
	done := &Prediction{Examples: int(r.Metrics["examples"]), Notes: r.Notes}
	for _, name := range kind.PredictionFiles(f.Split) {
		done.Files = append(done.Files, filepath.Join(o.Into, name))
	}
	return done, nil
}

func notFiles(t *Task) error {
	return &SettingError{fmt.Errorf("models of %s do not predict files with --data; 'unimo evaluate %s --predictions OUT' writes what they say of labelled ones", t.Name, t.Name)}
}

// ReplierOf returns the task of the model in the folder dir whose kind answers about pictures with texts; nil if it has
// none. task names one of several. alone says that the model is for nothing else.
func (ts Tasks) ReplierOf(dir, task string) (t *Task, alone bool, err error) {
	list, err := ts.ofModel(dir)
	if err != nil {
		return nil, false, err
	}
	var found Tasks
	for _, t := range list {
		if _, ok := t.Kind.(Replier); ok && (task == "" || t.Name == task) {
			found = append(found, t)
		}
	}
	if judging := slices.DeleteFunc(slices.Clone(found), func(t *Task) bool { return !t.Kind.(Replier).Judges() }); len(judging) == 1 {
		found = judging
	}
	switch len(found) {
	case 0:
		return nil, false, nil
	case 1:
		return found[0], len(list) == 1 || task != "", nil
	}
	return nil, false, &SettingError{fmt.Errorf("model %s answers about pictures for several tasks; name one of %s (--task NAME, or unimo.ForTask)", dir, strings.Join(found.Names(), ", "))}
}
