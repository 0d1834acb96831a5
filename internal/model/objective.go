package model

import "github.com/unimo-go/unimo/internal/compute/autograd"

// Objective is what a model is trained for on a batch, in its parts.
type Objective interface {
	// Embed embeds the tokens, those of objects first (N x H), and the regions (R x H); nil if no sequence has any.
	Embed(t *autograd.Tape, in Input) (words, regions *autograd.Var)
	// Output returns what losses are computed from, a row for each thing that the loss is a mean over.
	Output(t *autograd.Tape, in Input) *autograd.Var
	// Loss returns the loss of an output.
	Loss(t *autograd.Tape, output *autograd.Var) *autograd.Var
	// Divergence says how far two outputs of a batch are from each other, the same in both directions: the mean over
	// the rows.
	Divergence(t *autograd.Tape, a, b *autograd.Var) *autograd.Var
}

// Embed is [Objective.Embed]. It borrows the input until the tape's pass ends.
func (m *Model) Embed(t *autograd.Tape, in Input) (words, regions *autograd.Var) {
	return m.encoder.parts(t, in)
}

// Objective returns what the classifier is trained for on a batch with these targets.
func (c *Classifier) Objective(targets Targets) Objective { return classifierObjective{c, targets} }

type classifierObjective struct {
	*Classifier
	targets Targets
}

func (o classifierObjective) Output(t *autograd.Tape, in Input) *autograd.Var { return o.Logits(t, in) }

func (o classifierObjective) Loss(t *autograd.Tape, logits *autograd.Var) *autograd.Var {
	return o.Classifier.Loss(t, logits, o.targets)
}

// Divergence compares the distributions over classes; of answers the probability of each, summed; of a regression the
// scores, by their squared difference.
func (o classifierObjective) Divergence(t *autograd.Tape, a, b *autograd.Var) *autograd.Var {
	switch o.Config.ProblemType {
	case Regression:
		return t.SquaredError(difference(t, a, b), make([]float32, a.Value.Len()))
	case Answering:
		// (p - q)·(log p/(1-p) - log q/(1-q)), the divergences of two coins in both directions.
		products := t.Multiply(difference(t, t.Sigmoid(a), t.Sigmoid(b)), difference(t, a, b))
		return t.HostLoss(products, func(slopes, values []float32) (sum float64) {
			for i, v := range values {
				slopes[i] = 1 / float32(a.Value.Rows)
				sum += float64(v) / float64(a.Value.Rows)
			}
			return sum
		})
	}
	return t.SymmetricDivergence(below(t, a, b))
}

func difference(t *autograd.Tape, a, b *autograd.Var) *autograd.Var { return t.Add(a, t.Scale(b, -1)) }

// below puts the rows of b below those of a.
func below(t *autograd.Tape, a, b *autograd.Var) *autograd.Var {
	rows := make([]int32, a.Value.Rows+b.Value.Rows)
	for i := range rows {
		rows[i] = int32(i)
	}
	return t.StackRows(a, b, rows)
}

// Objective returns what the generator is trained for on a batch: see [Generator.Loss]. Its output are the hidden values
// that the vocabulary is compared with, T x H, of the T target tokens.
func (g *Generator) Objective(labels []int32, smoothing float32) Objective {
	return generatorObjective{g, labels, smoothing}
}

type generatorObjective struct {
	*Generator
	labels    []int32
	smoothing float32
}

func (o generatorObjective) Output(t *autograd.Tape, in Input) *autograd.Var {
	return t.Block(func() *autograd.Var { return o.head.hidden(t, o.encoder.targetTokens(t, in)) })
}

func (o generatorObjective) Loss(t *autograd.Tape, hidden *autograd.Var) *autograd.Var {
	return t.VocabularyLoss(hidden, o.head.w, o.head.b, o.labels, o.smoothing)
}

// Divergence compares the distributions over the vocabulary.
func (o generatorObjective) Divergence(t *autograd.Tape, a, b *autograd.Var) *autograd.Var {
	return t.VocabularyDivergence(below(t, a, b), o.head.w, o.head.b)
}
