package model

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Classifier is the text encoder with the pooled output of each sequence's first
// token and an affine head: C scores for classification, one for regression.
//
//	pooled = relu(affine(first token))      [B,H]
//	logits = affine(dropout(pooled))        [B,C]
type Classifier struct {
	Model

	pool linear
	head linear
}

func (c *Classifier) build(p declare) {
	cfg := c.Config
	c.encoder = newEncoder(p, cfg, c.form)
	c.pool = newLinear(p, "pooled_fc_text", cfg.HiddenSize, cfg.HiddenSize)
	if c.form.labels != [2]int{} {
		name := fmt.Sprintf("cls_out_%d_", cfg.NumLabels)
		c.head = linear{
			w: autograd.NewWeight(p(name+"w", TruncatedNormal, cfg.HiddenSize, cfg.NumLabels), engine.NN),
			b: p(name+"b", Zeros, cfg.NumLabels),
		}
	}
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
