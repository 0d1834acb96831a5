package vqa

import (
	"cmp"
	"context"
	"slices"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/classes"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
	"github.com/unimo-go/unimo/internal/train"
)

// Answerer is a finished model that answers questions about pictures. It is not safe for concurrent use.
type Answerer struct {
	*pairs.Opened
	answers answers
}

// Open opens the model in the folder dir (or the best model of a run's folder). Its weights are mapped, not read.
func Open(dir string, env run.Env) (*Answerer, error) { return open(dir, env.Ready()) }

func open(dir string, env *run.Env) (*Answerer, error) {
	o, err := pairs.OpenModel(dir, env, model.Answering)
	if err != nil {
		return nil, err
	}
	return &Answerer{o, answersOf(o.Config)}, nil
}

// Scored is an answer with how sure the model is of it, 0 to 1. Those of several answers do not add up to 1: more than one may
// be right.
type Scored struct {
	Answer      string  `json:"answer"`
	Probability float64 `json:"probability"`
}

// Answer is what a model says of a question.
type Answer struct {
	Question  string
	Best      []Scored // the likeliest first
	Truncated bool     // the question was cut to what the model reads
}

// Ask answers questions about an image, each with its top likeliest answers. While tick runs nothing of the model is in use.
func (a *Answerer) Ask(ctx context.Context, im *regions.Image, questions []string, top int, tick run.Tick) ([]Answer, error) {
	logits, cut, err := a.Logits(ctx, im, questions, tick)
	if err != nil {
		return nil, err
	}
	list := make([]Answer, len(questions))
	for i, row := range logits {
		list[i] = Answer{questions[i], a.best(row, top), cut[i]}
	}
	return list, nil
}

// Labels implements [run.Replying].
func (a *Answerer) Labels() []string { return a.answers.names }

// Reply implements [run.Replying].
func (a *Answerer) Reply(ctx context.Context, im *regions.Image, questions []string, tick run.Tick) ([]run.Reply, error) {
	logits, cut, err := a.Logits(ctx, im, questions, tick)
	if err != nil {
		return nil, err
	}
	replies := make([]run.Reply, len(logits))
	for i, row := range logits {
		best := classes.Best(row)
		replies[i] = run.Reply{Answer: a.answers.names[best], Class: best, Probability: sigmoid(row[best]), Truncated: cut[i]}
		for _, x := range row {
			replies[i].Probabilities = append(replies[i].Probabilities, sigmoid(x))
		}
	}
	return replies, nil
}

// best are the likeliest answers; of equal ones the more frequent is first.
func (a *Answerer) best(logits []float32, top int) []Scored {
	order := make([]int, len(logits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(logits[y], logits[x]) })
	list := make([]Scored, min(top, len(order)))
	for i := range list {
		list[i] = Scored{a.answers.names[order[i]], sigmoid(logits[order[i]])}
	}
	return list
}

var _ run.FilePredictor = (*Answerer)(nil)

// Evaluate implements [run.Finished].
func (a *Answerer) Evaluate(ctx context.Context, _ *run.Task, f run.File, settings run.Flags, tick run.Tick) (run.Result, error) {
	d, notes, err := a.answer(ctx, f, settings.(*EvalSettings), false, tick)
	if err != nil {
		return run.Result{}, err
	}
	return run.Result{Split: f.Split, File: f.Path, Metrics: d.numbers(), Notes: notes, Detail: d}, nil
}

// PredictFile implements [run.FilePredictor].
func (a *Answerer) PredictFile(ctx context.Context, f run.File, settings run.Flags, tick run.Tick) (run.Result, error) {
	d, notes, err := a.answer(ctx, f, settings.(*EvalSettings), true, tick)
	if err != nil {
		return run.Result{}, err
	}
	return run.Result{Split: f.Split, File: f.Path, Metrics: train.Numbers{"examples": train.Number(len(d.said))}, Notes: notes, Detail: d}, nil
}

// answer answers the questions of a file.
func (a *Answerer) answer(ctx context.Context, f run.File, s *EvalSettings, unanswered bool, tick run.Tick) (*detail, []string, error) {
	r := reading{
		options: s.Options(a.Env.Log, a.Device.Limit()), folder: s.ImagesDir, unanswered: unanswered,
		extractor: a.Extractor, limits: a.Limits, cache: imageCache,
	}
	set, err := r.questions(f.Path, a.Env.Log)
	if err != nil {
		return nil, nil, err
	}
	source, _, sets, err := r.pictures([]string{f.Split}, set)
	if err != nil {
		return nil, nil, err
	}
	defer source.Close()
	list, cut := records(sets[0].Examples, a.Encoder, a.answers)
	d, err := answer(ctx, a.Runner, source, sets[0], list, a.answers, pairs.EvalBatch, tick)
	if err != nil {
		return nil, nil, err
	}
	return d, append(r.options.Notes(), run.CutNotes(cut, len(list), "questions", a.Encoder.MaxLen)...), nil
}

// imageCache is the most memory for resized pictures in an evaluation.
const imageCache = 1 << 30
