package task

import (
	"context"
	"fmt"
	"strings"

	"github.com/unimo-go/unimo/internal/autograd"
	"github.com/unimo-go/unimo/internal/data"
	"github.com/unimo-go/unimo/internal/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/modeldir"
	"github.com/unimo-go/unimo/internal/optim"
	"github.com/unimo-go/unimo/internal/tokenizer"
	"github.com/unimo-go/unimo/internal/train"
)

// learner is the task as the trainer sees it; it implements [train.Task].
type learner struct {
	preset   *Preset
	settings Settings
	dev      engine.Device
	model    *model.Classifier
	tok      *tokenizer.Tokenizer
	card     card

	train   []data.Record
	batches data.Batches
	batch   data.Batch
	params  []optim.Param

	evalSet []data.Record // of the first dev split
	runner  Classifier
}

var _ train.Task = (*learner)(nil)

func newLearner(p *Preset, s Settings, dev engine.Device, m *model.Classifier, tok *tokenizer.Tokenizer, trainSet, evalSet []data.Record) *learner {
	l := &learner{
		preset: p, settings: s, dev: dev, model: m, tok: tok, train: trainSet, evalSet: evalSet,
		batches: data.Batches{Lengths: data.Lengths(trainSet), Size: s.BatchSize, InTokens: s.InTokens, Shuffle: true, Seed: s.Seed},
		runner:  newClassifier(dev, m),
	}
	for _, param := range m.Params {
		l.params = append(l.params, optim.Param{Name: param.Name, Value: param.Value, Grad: param.Gradient()})
	}
	return l
}

// Params implements [train.Task].
func (l *learner) Params() []optim.Param { return l.params }

// Batches implements [train.Task].
func (l *learner) Batches(epoch int) int { return l.batches.Count(epoch) }

// Total implements [train.Task].
func (l *learner) Total(epochs int) int { return l.batches.Total(epochs) }

// Loss implements [train.Task].
func (l *learner) Loss(tape *autograd.Tape, epoch, batch int) (*autograd.Var, int) {
	l.batch.Pack(l.train, l.batches.At(epoch, batch))
	in := text(&l.batch)
	logits := l.model.Logits(tape, in)
	loss := l.model.Loss(tape, logits, model.Targets{Classes: l.batch.Classes, Scores: l.batch.Scores})
	return loss, len(in.Tokens)
}

// Describe implements [train.Task].
func (l *learner) Describe(epoch, batch int) string {
	const show = 4
	idx := l.batches.At(epoch, batch)
	lines := make([]string, 0, show)
	for _, i := range idx[:min(show, len(idx))] {
		lines = append(lines, fmt.Sprint(l.train[i].Line))
	}
	more := ""
	if len(idx) > show {
		more = fmt.Sprintf(" and %d more", len(idx)-show)
	}
	return fmt.Sprintf("lines %s%s of the training file", strings.Join(lines, ", "), more)
}

// Evaluate implements [train.Task].
func (l *learner) Evaluate(ctx context.Context, tick func(done, total int)) (train.Evaluation, error) {
	out, err := l.runner.Run(ctx, l.evalSet, l.settings.EvalBatchSize, tick)
	if err != nil {
		return train.Evaluation{}, err
	}
	m := score(l.preset, l.evalSet, out).Metrics
	return train.Evaluation{Score: m[l.preset.Metric], Metrics: m}, nil
}

// Save implements [train.Task].
func (l *learner) Save(dir string, note train.Note) error {
	return modeldir.Save(dir, modeldir.Content{
		Config: l.model.Config, Tokenizer: l.tok, Tensors: l.model.Params.Tensors(l.dev),
		// Hugging Face's loader wants a format it knows.
		Metadata: map[string]string{"format": "pt", "task": l.preset.Name, "step": fmt.Sprint(note.Step)},
		Card:     l.card.text(note),
	})
}
