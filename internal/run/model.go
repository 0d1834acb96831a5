package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/train"
)

// trained is a learner as the trainer sees it. It implements [train.Task]: of all kinds of task
// models are saved, and repaired, in the same way.
type trained struct {
	Learner
	run       *run
	card      card
	model     Model
	optimised []optim.Param
}

// newTrained returns the learner as the trainer takes it, with its stream if it has one.
func newTrained(r *run, l Learner, c card) train.Task {
	t := &trained{Learner: l, run: r, card: c, model: l.Model()}
	for _, p := range t.model.Params {
		if !slices.Contains(t.model.Fixed, p.Name) {
			t.optimised = append(t.optimised, optim.Param{Name: p.Name, Value: p.Value, Grad: p.Gradient()})
		}
	}
	if b := t.model.Beside; b != nil {
		for _, p := range b.Params() {
			// As is usual, vectors are not decayed: biases, norms, scales.
			t.optimised = append(t.optimised, optim.Param{Name: p.Name, Value: p.Value, Grad: p.Gradient(), Undecayed: p.Value.Rows == 1})
		}
	}
	if s, ok := l.(Streamer); ok {
		return struct {
			*trained
			Streamer
		}{t, s}
	}
	return t
}

// Params implements [train.Task].
func (t *trained) Params() []optim.Param { return t.optimised }

// Evaluate implements [train.Task]: as the learner does.
func (t *trained) Evaluate(ctx context.Context, epoch int, tick Tick) (train.Evaluation, error) {
	t.run.scoring = true
	e, err := t.Learner.Evaluate(ctx, epoch, tick)
	t.run.scoring = err != nil // not where it panics
	return e, err
}

// Passes implements [train.Passer]: as the learner does.
func (t *trained) Passes(tape *autograd.Tape, epoch, batch int, scales []float32) (train.Reading, int, error) {
	return train.TakeBatch(tape, t.Learner, epoch, batch, scales)
}

// Surveys implements [train.Surveyor]: as the learner does, if it does.
func (t *trained) Surveys() bool {
	s, ok := t.Learner.(Surveyor)
	return ok && s.Surveys()
}

// Survey implements [train.Surveyor].
func (t *trained) Survey(tape *autograd.Tape, epoch, batch int) ([]byte, []*autograd.Var, error) {
	return t.Learner.(Surveyor).Survey(tape, epoch, batch)
}

// Surveyed implements [train.Surveyor].
func (t *trained) Surveyed(batches []train.Surveyed) error {
	return t.Learner.(Surveyor).Surveyed(batches)
}

// Save implements [train.Task].
func (t *trained) Save(dir string, note train.Note) error {
	content := modeldir.Content{
		Config: t.run.config, Tokenizer: t.run.tok, Tensors: t.model.Params.Tensors(t.run.Device), Files: t.model.Files, Copies: t.model.Copies,
		// Hugging Face's loader wants a format it knows.
		Metadata: map[string]string{"format": "pt", "task": t.run.Task.Name, keyStep: fmt.Sprint(note.Step)},
		Card:     t.card.text(note),
	}
	if b := t.model.Beside; b != nil {
		files, metadata, err := b.Files()
		if err != nil {
			return err
		}
		content.Files = maps.Clone(content.Files)
		maps.Copy(content.Files, files)
		metadata = maps.Clone(metadata)
		metadata[keyStep] = fmt.Sprint(note.Step)
		content.Beside = &modeldir.Weights{Name: b.File(), Tensors: b.Params().Tensors(t.run.Device), Metadata: metadata}
	}
	return modeldir.Save(dir, content)
}

// keyStep is the key in a file of weights of the step that they are of.
const keyStep = "step"

// stepOf returns the step of the weights of a file, which must be those of params.
func stepOf(path string, params model.Parameters) (int, error) {
	r, err := checkpoint.Open(path)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	step, err := strconv.Atoi(r.Metadata()[keyStep])
	if err != nil {
		return 0, fmt.Errorf("%s does not say of which step it is", r.Path())
	}
	for _, p := range params {
		if info, err := r.Info(p.Name); err != nil || !slices.Equal(info.Shape, p.Shape) {
			return 0, fmt.Errorf("%s is not this run's: tensor %s is missing, or of another shape", r.Path(), p.Name)
		}
	}
	return step, nil
}

// Repair implements [train.Task].
func (t *trained) Repair(dir string, note train.Note) (int, error) {
	step, err := stepOf(filepath.Join(dir, modeldir.WeightsFile), t.model.Params)
	if err != nil {
		return 0, err
	}
	content := modeldir.Content{Config: t.run.config, Tokenizer: t.run.tok, Files: t.model.Files, Copies: t.model.Copies}
	if b := t.model.Beside; b != nil {
		beside, err := stepOf(filepath.Join(dir, b.File()), b.Params())
		if err != nil {
			return 0, err
		}
		if content.Files, err = kept(dir, b, content.Files); err != nil {
			return 0, err
		}
		step = max(step, beside) // it is written first: the model of that step was on its way
	}
	if step == note.Step {
		content.Card = t.card.text(note)
	}
	return step, modeldir.Repair(dir, content)
}

// loadBeside sets the parameters of a network beside a model to those of a model's folder.
func loadBeside(d engine.Device, b Beside, dir string) error {
	r, err := checkpoint.Open(filepath.Join(dir, b.File()))
	if err != nil {
		return err
	}
	_, err = b.Params().Load(d, r)
	return errors.Join(err, r.Close())
}

// kept returns the files that stay the same in training, once those of a network beside the model are there: they depend on
// its parameters, and cannot be written again.
func kept(dir string, b Beside, files map[string][]byte) (map[string][]byte, error) {
	changing, _, err := b.Files()
	if err != nil {
		return nil, err
	}
	files = maps.Clone(files)
	for name := range changing {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
		delete(files, name)
	}
	return files, nil
}

// NewModel makes the model that a learner trains, with initial values drawn from seed. Of a task that is trained with others
// it is the task's part of the model that they share.
func NewModel[M model.Heads](env *Env, cfg model.Config, seed uint64) (M, error) {
	if env.whole != nil {
		return model.Part[M](env.whole, env.Task)
	}
	return model.New[M](env.Device, cfg, seed)
}

// Epochs are the batches of training examples that are all there before the first step. Learners
// embed it for the methods that it has of [Learner].
type Epochs struct {
	Plan batches.Batches
	Line func(i int) int // where example i stands in the training file
}

// NewEpochs returns the batches, in the order of the settings, of examples of these lengths.
func NewEpochs(s *CommonSettings, lengths []int, size int, line func(i int) int) Epochs {
	return Epochs{batches.Batches{Lengths: lengths, Size: size, InTokens: s.InTokens, Shuffle: true, Seed: s.Seed, Step: s.GradientAccumulation}, line}
}

// Batches implements [Learner].
func (e *Epochs) Batches(epoch int) int { return e.Plan.Count(epoch) }

// Total implements [Learner].
func (e *Epochs) Total(epochs int) int { return e.Plan.Total(epochs) }

// Describe implements [Learner].
func (e *Epochs) Describe(epoch, batch int) string {
	const show = 4
	idx := e.Plan.At(epoch, batch)
	lines := make([]string, 0, show)
	for _, i := range idx[:min(show, len(idx))] {
		lines = append(lines, fmt.Sprint(e.Line(i)))
	}
	more := ""
	if len(idx) > show {
		more = fmt.Sprintf(" and %d more", len(idx)-show)
	}
	return fmt.Sprintf("lines %s%s of the training file", strings.Join(lines, ", "), more)
}

// Tokens is how many tokens the steps of a run read.
func (e *Epochs) Tokens(s *CommonSettings) int64 {
	all := float64(e.Plan.Total(s.Epochs))
	if all == 0 {
		return 0
	}
	var epoch int64
	for _, n := range e.Plan.Lengths {
		epoch += int64(n)
	}
	count := all
	if s.MaxSteps > 0 {
		count = min(count, float64(s.MaxSteps*s.GradientAccumulation))
	}
	return int64(float64(epoch) * float64(s.Epochs) * count / all)
}
