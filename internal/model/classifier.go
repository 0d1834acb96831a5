package model

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/autograd"
)

// Classifier pools each sequence's first token and has an affine head on it: C scores for classification, one
// for regression.
//
//	pooled = relu(affine(first token))      [B,H], or tanh, as pooler_act says
//	logits = affine(dropout(pooled))        [B,C]
//
// That of images with texts pools the first region and the first token of the text, and has two affine layers. For
// answers to questions a GELU stands between them: this head is ours, the reference never released one.
//
//	pooled = relu(affine(first region)) + relu(affine(first token))     [B,H]
//	logits = affine(dropout(gelu(affine(pooled))))                      [B,C], gelu for answers only
type Classifier struct {
	Model

	pool  pooler   // of texts
	pools pools    // of images with texts
	head  []linear // one behind the other
}

func (c *Classifier) build(p declare) {
	h, labels := c.Config.HiddenSize, c.Config.NumLabels
	c.encoder = newEncoder(p, c.Config, c.form)
	if c.form.images == needed {
		c.pools = newPools(p, c.Config)
		c.head = []linear{
			namedLinear(p, "cls_out_w_0", "cls_out_b_0", TruncatedNormal, h, pairHidden),
			namedLinear(p, "cls_out_w_1", "cls_out_b_1", TruncatedNormal, pairHidden, labels),
		}
		return
	}
	c.pool = newPooler(p, c.Config)
	if c.form.labels != [2]int{} {
		c.head = []linear{newOutput(p, c.Config)}
	}
}

// outputName is what stands before w and b in the names of the affine map to the classes of texts.
func outputName(cfg Config) string { return fmt.Sprintf("cls_out_%d_", cfg.NumLabels) }

func newOutput(p declare, cfg Config) linear {
	name := outputName(cfg)
	return namedLinear(p, name+"w", name+"b", TruncatedNormal, cfg.HiddenSize, cfg.NumLabels)
}

// pairHidden is the inner width of the head on images with texts: the reference's.
const pairHidden = 2048

// pooled returns a vector of each sequence, B x H.
func (c *Classifier) pooled(t *autograd.Tape, in Input) *autograd.Var {
	if c.form.images == needed {
		in.fit(t, 2)
		rows, offsets := in.pairFirsts()
		image, text := c.pools.apply(t, c.encoder.lastLayerRows(t, in, rows, offsets))
		return t.Add(image, text)
	}
	in.fit(t, 1)
	return c.pool.apply(t, c.encoder.firstTokens(t, in))
}

// Logits returns the head's output, B x C. It borrows the input until the tape's pass ends.
func (c *Classifier) Logits(t *autograd.Tape, in Input) *autograd.Var {
	return t.Block(func() *autograd.Var {
		x, last := c.pooled(t, in), len(c.head)-1
		for _, l := range c.head[:last] {
			x = l.Apply(t, x)
			if c.Config.ProblemType == Answering {
				x = t.GELU(x)
			}
		}
		return c.head[last].Apply(t, t.Dropout(x, c.Config.HiddenDropout))
	})
}

// Targets are what a batch should be predicted as: Classes for classification, Scores for regression, Soft for
// answers: how right each is, 0 to 1.
type Targets struct {
	Classes []int32   // B
	Scores  []float32 // B
	Soft    []float32 // B x C
}

// Loss returns the mean over the sequences of the cross-entropy of logits, or of their squared error, or for answers
// of the sum over these of the cross-entropy of each one's sigmoid.
func (c *Classifier) Loss(t *autograd.Tape, logits *autograd.Var, targets Targets) *autograd.Var {
	switch c.Config.ProblemType {
	case Regression:
		return t.SquaredError(logits, targets.Scores)
	case Answering:
		return t.BinaryCrossEntropy(logits, targets.Soft)
	}
	return t.CrossEntropy(logits, targets.Classes, 0)
}
