package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/nn"
)

// Model is what all models have in common: [Classifier], [Generator], [Retriever], [Pretrainer].
type Model struct {
	Config Config
	Params Parameters

	dev     engine.Device
	form    form
	encoder encoder
}

func (m *Model) common() *Model { return m }

// LastLayer returns the encoder's output: a row for each region and token, sequence by sequence. It borrows the
// input until the tape's pass ends.
func (m *Model) LastLayer(t *autograd.Tape, in Input) *autograd.Var {
	in.fit(t, 1)
	return m.encoder.lastLayer(t, in)
}

// New makes a trainable model with initial values drawn from seed:
//
//	m, err := model.New[*model.Classifier](dev, cfg, 1)
func New[M Heads](d engine.Device, cfg Config, seed uint64) (M, error) {
	m, err := empty[M](d, cfg)
	if err != nil {
		return m, err
	}
	c := m.common()
	m.build(nn.Allocate(d, &c.Params))
	c.Params.Initialise(d, cfg.deviations(), seed)
	return m, nil
}

// Open makes a model for inference whose parameters are views of r, which must stay open. A missing
// tensor is an error.
func Open[M Heads](d engine.Device, cfg Config, r checkpoint.Reader) (M, error) {
	m, err := empty[M](d, cfg)
	if err != nil {
		return m, err
	}
	if err := nn.Complete(Specs(cfg), r, cfg.purpose()); err != nil {
		return m, err
	}
	c := m.common()
	var failure error
	m.build(nn.Open(d, r, &c.Params, &failure))
	return m, failure
}

// ParametersOf returns the parameters of a model of whatever kind, such as [Open] makes of M = [Heads].
func ParametersOf(m Heads) Parameters { return m.common().Params }

// empty makes a model without parameters. A configuration that belongs to a model of another kind is
// [ErrWrongTask].
func empty[M Heads](d engine.Device, cfg Config) (m M, err error) {
	if err := cfg.Validate(); err != nil {
		return m, err
	}
	var wanted []string
	for _, f := range forms {
		if _, ok := f.new().(M); ok && f.problem != "" {
			wanted = append(wanted, fmt.Sprintf("%q", f.problem))
		}
	}
	f, ok := cfg.form(), false
	if f.problem != "" && f.new != nil {
		m, ok = f.new().(M)
	}
	if !ok {
		return m, cfg.wrongTask(wanted)
	}
	if err := cfg.checkLabels(); err != nil {
		return m, err
	}
	*m.common() = Model{Config: cfg, dev: d, form: f}
	return m, nil
}

// Want returns [ErrWrongTask] unless the model is for one of these problem types. Models of several types may be of one Go
// type.
func (c Config) Want(problems ...string) error {
	if f := c.form(); f.problem == "" || slices.Contains(problems, f.problem) {
		return nil // of an unknown one [Open] says more
	}
	var wanted []string
	for _, problem := range problems {
		wanted = append(wanted, fmt.Sprintf("%q", problem))
	}
	return c.wrongTask(wanted)
}

func (c Config) wrongTask(wanted []string) error {
	return WrongTaskf("%s, want %s: this model %s; fine-tune it for that first", c.problem(), strings.Join(wanted, " or "), c.form().does)
}

// checkLabels returns an error if there are more or fewer labels than the problem type has, in any task.
func (c Config) checkLabels() error {
	for _, name := range c.TaskNames() {
		t, err := c.ForTask(name)
		if err == nil {
			err = t.checkLabels()
		}
		if err != nil {
			return fmt.Errorf("task %s: %w", name, err)
		}
	}
	f, n := c.form(), c.NumLabels
	if f.labels != [2]int{} && (n < f.labels[0] || n > f.labels[1]) {
		return fmt.Errorf("num_labels is %d, want %d to %d for problem_type %q", n, f.labels[0], f.labels[1], f.problem)
	}
	return nil
}

// problem says what the problem type is.
func (c Config) problem() string {
	if c.ProblemType == "" {
		return "problem_type is not set"
	}
	return fmt.Sprintf("problem_type is %q", c.ProblemType)
}

// purpose says what the model is for, and how to get one.
func (c Config) purpose() string {
	if c.NumLabels > 0 {
		return fmt.Sprintf("%s with %d outputs; fine-tune it for that first", c.ProblemType, c.NumLabels)
	}
	return c.ProblemType + "; fine-tune it for that first"
}
