package multi

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

// learner implements [run.Learner].
type learner struct {
	job    *job
	model  *model.Multi
	parts  []*trained
	mix    mix
	files  map[string][]byte
	copies map[string]string
}

var (
	_ run.Passer   = (*learner)(nil)
	_ run.Surveyor = (*learner)(nil)
)

// trained is one of the tasks with its learner.
type trained struct {
	*part
	run.Learner
}

// Model implements [run.Learner].
func (l *learner) Model() run.Model {
	m := run.Model{Params: l.model.Params, Files: l.files, Copies: l.copies}
	for _, t := range l.parts {
		m.Fixed = append(m.Fixed, t.Model().Fixed...)
	}
	return m
}

// About implements [run.Learner].
func (l *learner) About() run.About { return l.about() }

// Close implements [run.Learner].
func (l *learner) Close() error {
	var all error
	for _, t := range l.parts {
		all = errors.Join(all, t.Learner.Close())
	}
	return all
}

// Batches implements [run.Learner].
func (l *learner) Batches(epoch int) int { return len(l.mix.plan(epoch)) }

// Total implements [run.Learner].
func (l *learner) Total(epochs int) int { return l.mix.total(epochs) }

// turn is the task whose batch it is, and the batch's place there.
func (l *learner) turn(epoch, batch int) (*trained, turn) {
	at := l.mix.plan(epoch)[batch]
	return l.parts[at.task], at
}

// Describe implements [run.Learner].
func (l *learner) Describe(epoch, batch int) string {
	t, at := l.turn(epoch, batch)
	return t.task.Name + ": " + t.Learner.Describe(at.epoch, at.batch)
}

// Parts implements [run.Learner]: those of the task, with its name before theirs.
func (l *learner) Parts(epoch, batch int) ([]train.Part, error) {
	t, at := l.turn(epoch, batch)
	own, err := t.Learner.Parts(at.epoch, at.batch)
	if err != nil {
		return nil, t.wrap(err)
	}
	parts := make([]train.Part, len(own))
	for i, p := range own {
		parts[i] = p
		parts[i].Name = strings.TrimSuffix(t.task.Name+"/"+p.Name, "/")
	}
	return parts, nil
}

// Loss implements [run.Learner].
func (l *learner) Loss(tape *autograd.Tape, epoch, batch int) ([]*autograd.Var, int, error) {
	t, at := l.turn(epoch, batch)
	losses, tokens, err := t.Learner.Loss(tape, at.epoch, at.batch)
	return losses, tokens, t.wrap(err)
}

// Passes implements [run.Passer]: as many as the task takes.
func (l *learner) Passes(tape *autograd.Tape, epoch, batch int, scales []float32) (train.Reading, int, error) {
	t, at := l.turn(epoch, batch)
	parts, tokens, err := train.TakeBatch(tape, t.Learner, at.epoch, at.batch, scales)
	return parts, tokens, t.wrap(err)
}

// surveyor is the learner of a task with a loss over all of its batches of a step; nil: it has none.
func (t *trained) surveyor() run.Surveyor {
	if s, ok := t.Learner.(run.Surveyor); ok && s.Surveys() {
		return s
	}
	return nil
}

// Surveys implements [run.Surveyor].
func (l *learner) Surveys() bool {
	return slices.ContainsFunc(l.parts, func(t *trained) bool { return t.surveyor() != nil })
}

// Survey implements [run.Surveyor]: what the task finds, behind its number.
func (l *learner) Survey(tape *autograd.Tape, epoch, batch int) ([]byte, []*autograd.Var, error) {
	t, at := l.turn(epoch, batch)
	s := t.surveyor()
	if s == nil {
		return nil, nil, nil
	}
	about, vectors, err := s.Survey(tape, at.epoch, at.batch)
	return append(binary.AppendUvarint(nil, uint64(at.task)), about...), vectors, t.wrap(err)
}

// Surveyed implements [run.Surveyor]: each task is given what was found of its own batches.
func (l *learner) Surveyed(batches []train.Surveyed) error {
	own := make([][]train.Surveyed, len(l.parts))
	for _, b := range batches {
		if len(b.About) == 0 {
			continue
		}
		task, n := binary.Uvarint(b.About)
		if n <= 0 || task >= uint64(len(own)) {
			return errors.New("what was found of a batch is of no task")
		}
		b.About = b.About[n:]
		own[task] = append(own[task], b)
	}
	for i, t := range l.parts {
		if s := t.surveyor(); s != nil {
			if err := s.Surveyed(own[i]); err != nil {
				return t.wrap(err)
			}
		}
	}
	return nil
}

// Evaluate implements [run.Learner]: every task on its dev set.
func (l *learner) Evaluate(ctx context.Context, epoch int, tick run.Tick) (train.Evaluation, error) {
	all := train.Evaluation{Metric: l.job.task.Metric, Metrics: train.Numbers{}}
	var scores []scored
	var how []string
	for i, t := range l.parts {
		e, err := t.Learner.Evaluate(ctx, l.mix.last(i, epoch), tick)
		if err != nil {
			return all, t.wrap(err)
		}
		scores = append(scores, score(t.task, e.Metrics))
		add(all.Metrics, t.task, e.Metrics)
		if e.How != "" {
			how = append(how, t.task.Name+" "+e.How)
		}
	}
	all.Score, all.How = mean(scores), strings.Join(how, ", ")
	all.Metrics[all.Metric] = all.Score
	return all, nil
}

// Score implements [run.Learner].
func (l *learner) Score(ctx context.Context, f run.File, tick run.Tick) (run.Result, error) {
	all := run.Result{Split: f.Split, Metrics: train.Numbers{}}
	d := new(detail)
	for _, t := range l.parts {
		var results []run.Result
		for _, f := range t.files[1:] {
			r, err := t.Learner.Score(ctx, f, tick)
			if err != nil {
				return all, t.wrap(err)
			}
			results = append(results, r)
			all.Notes = append(all.Notes, prefixed(t.task.Name, r.Notes)...)
		}
		metrics := run.Metrics(results)
		add(all.Metrics, t.task, metrics)
		d.tasks = append(d.tasks, scoredTask{score(t.task, metrics), results[0]})
	}
	all.Metrics[l.job.task.Metric] = d.mean()
	all.Detail = d
	return all, nil
}
