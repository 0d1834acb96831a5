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
	// the rows. It takes those of Comparable.
	Divergence(t *autograd.Tape, a, b *autograd.Var) *autograd.Var
	// Comparable returns the same objective with outputs that can be compared. They may be larger.
	Comparable() Objective
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

func (o classifierObjective) Comparable() Objective { return o }

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
		return t.MeanSum(t.Multiply(difference(t, t.Sigmoid(a), t.Sigmoid(b)), difference(t, a, b)))
	}
	return t.SymmetricDivergence(a, b)
}

func difference(t *autograd.Tape, a, b *autograd.Var) *autograd.Var { return t.Add(a, t.Scale(b, -1)) }

// Objective returns what the generator is trained for on a batch: see [Generator.Loss]. Its outputs are the hidden values
// that the vocabulary is compared with, T x H, of the T target tokens, those of Comparable their logits, T x V. So one
// product with the vocabulary serves both losses.
func (g *Generator) Objective(labels []int32, smoothing float32) Objective {
	return generatorObjective{Generator: g, labels: labels, smoothing: smoothing}
}

type generatorObjective struct {
	*Generator
	labels    []int32
	smoothing float32
	logits    bool // are the outputs
}

func (o generatorObjective) Comparable() Objective {
	o.logits = true
	return o
}

func (o generatorObjective) Output(t *autograd.Tape, in Input) *autograd.Var {
	if o.logits {
		return o.Logits(t, in)
	}
	return t.Block(func() *autograd.Var { return o.head.hidden(t, o.encoder.targetTokens(t, in)) })
}

func (o generatorObjective) Loss(t *autograd.Tape, output *autograd.Var) *autograd.Var {
	if o.logits {
		return t.CrossEntropy(output, o.labels, o.smoothing)
	}
	return t.VocabularyLoss(output, o.head.w, o.head.b, o.labels, o.smoothing)
}

// Divergence compares the distributions over the vocabulary.
func (o generatorObjective) Divergence(t *autograd.Tape, a, b *autograd.Var) *autograd.Var {
	return t.SymmetricDivergence(a, b)
}
