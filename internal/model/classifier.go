package model

import (
	"fmt"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Classifier is the text encoder with the pooled output of each sequence's first
// token and an affine head: C scores for classification, one for regression.
//
//	pooled = relu(affine(first token))      [B,H]
//	logits = affine(dropout(pooled))        [B,C]
type Classifier struct {
	Config Config
	Params Parameters
	dev    engine.Device

	encoder encoder
	pool    linear
	head    linear
}

// New makes a trainable classifier with initial values drawn from seed.
func New(d engine.Device, cfg Config, seed uint64) (*Classifier, error) {
	if err := cfg.validateHead(); err != nil {
		return nil, err
	}
	c := &Classifier{Config: cfg, dev: d}
	c.build(cfg, allocate(d, &c.Params))
	c.Params.initialise(d, cfg.InitRange, seed)
	return c, nil
}

// Open makes a classifier for inference whose parameters are views of r, which
// must stay open. A missing tensor is an error.
func Open(d engine.Device, cfg Config, r checkpoint.Reader) (*Classifier, error) {
	if err := cfg.validateHead(); err != nil {
		return nil, err
	}
	if err := complete(Specs(cfg), r, fmt.Sprintf("%s with %d outputs; fine-tune it first", cfg.ProblemType, cfg.NumLabels)); err != nil {
		return nil, err
	}
	c := &Classifier{Config: cfg, dev: d}
	var failure error
	c.build(cfg, open(d, r, &c.Params, &failure))
	return c, failure
}

// Specs lists the parameters of a classifier.
func Specs(cfg Config) []Spec {
	var specs []Spec
	new(Classifier).build(cfg, list(&specs))
	return specs
}

func (c *Classifier) build(cfg Config, p declare) {
	c.encoder = newEncoder(p, cfg)
	c.pool = newLinear(p, "pooled_fc_text", cfg.HiddenSize, cfg.HiddenSize)
	if cfg.NumLabels > 0 {
		name := fmt.Sprintf("cls_out_%d_", cfg.NumLabels)
		c.head = linear{
			w: p(name+"w", TruncatedNormal, cfg.HiddenSize, cfg.NumLabels),
			b: p(name+"b", Zeros, cfg.NumLabels),
		}
	}
}

func (c Config) validateHead() error {
	if err := c.Validate(); err != nil {
		return err
	}
	switch {
	case c.ProblemType == Classification && c.NumLabels >= 2, c.ProblemType == Regression && c.NumLabels == 1:
		return nil
	case c.ProblemType == "":
		return wrongTaskf("problem_type is not set: this model has no head; fine-tune it first")
	case c.ProblemType == Pretraining:
		return wrongTaskf("problem_type is %q: this model has no head for a task; fine-tune it first", c.ProblemType)
	case c.Generates():
		return wrongTaskf("problem_type is %q: this model writes text and does not classify", c.ProblemType)
	case c.ProblemType == Retrieval:
		return wrongTaskf("problem_type is %q: this model compares images with texts and does not classify", c.ProblemType)
	}
	return fmt.Errorf("problem_type %q with num_labels %d: want %q with 2 or more, or %q with 1", c.ProblemType, c.NumLabels, Classification, Regression)
}

// Encode returns the encoder's output, N x H, and the pooled text, B x H. It
// borrows text until the tape's pass ends.
func (c *Classifier) Encode(t *autograd.Tape, text Text) (sequence, pooled *autograd.Var) {
	sequence = c.encoder.apply(t, text)
	return sequence, c.pooled(t, t.Rows(sequence, text.Offsets[:text.Sequences()]))
}

// Pool returns the pooled text, B x H, with less work than [Classifier.Encode]. It
// borrows text until the tape's pass ends.
func (c *Classifier) Pool(t *autograd.Tape, text Text) *autograd.Var {
	return c.pooled(t, c.encoder.first(t, text))
}

func (c *Classifier) pooled(t *autograd.Tape, first *autograd.Var) *autograd.Var {
	return t.ReLU(c.pool.apply(t, first))
}

// Logits returns the head's output, B x C. It borrows text until the tape's pass ends.
func (c *Classifier) Logits(t *autograd.Tape, text Text) *autograd.Var {
	return t.Block(func() *autograd.Var {
		return c.head.apply(t, t.Dropout(c.Pool(t, text), c.Config.HiddenDropout))
	})
}

// Targets are what a batch should be predicted as: Classes for classification,
// Scores for regression.
type Targets struct {
	Classes []int32
	Scores  []float32
}

// Loss returns the mean cross-entropy, or the mean squared error, of logits.
func (c *Classifier) Loss(t *autograd.Tape, logits *autograd.Var, targets Targets) *autograd.Var {
	if c.Config.ProblemType == Regression {
		return t.SquaredError(logits, targets.Scores)
	}
	return t.CrossEntropy(logits, targets.Classes)
}
