package model

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/autograd"
)

// Classifier pools each sequence's first token and has an affine head on it: C scores for classification, one
// for regression.
//
//	pooled = relu(affine(first token))      [B,H]
//	logits = affine(dropout(pooled))        [B,C]
//
// That of images with texts has the sum of the pooled first region and the pooled first token of the text, and two
// affine layers behind one another.
type Classifier struct {
	Model

	pool  linear   // of texts
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
	c.pool = newLinear(p, "pooled_fc_text", h, h)
	if c.form.labels != [2]int{} {
		name := fmt.Sprintf("cls_out_%d_", labels)
		c.head = []linear{namedLinear(p, name+"w", name+"b", TruncatedNormal, h, labels)}
	}
}

// pairHidden is the inner width of the head on images with texts: the reference's.
const pairHidden = 2048

// pooled returns a vector of each sequence, B x H.
func (c *Classifier) pooled(t *autograd.Tape, in Input) *autograd.Var {
	if c.form.images == needed {
		rows, offsets := in.pairFirsts()
		image, text := c.pools.apply(t, c.encoder.lastLayerRows(t, in, rows, offsets))
		return t.Add(image, text)
	}
	return t.ReLU(c.pool.apply(t, c.encoder.firstTokens(t, in)))
}

// Logits returns the head's output, B x C. It borrows the input until the tape's pass ends.
func (c *Classifier) Logits(t *autograd.Tape, in Input) *autograd.Var {
	return t.Block(func() *autograd.Var {
		x := t.Dropout(c.pooled(t, in), c.Config.HiddenDropout)
		for _, l := range c.head {
			x = l.apply(t, x)
		}
		return x
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
