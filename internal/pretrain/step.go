package pretrain

import (
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
	"github.com/unimo-go/unimo/internal/train"
)

// Surveyed are the pairs of one batch with the vectors of their images and texts alone.
type Surveyed struct {
	Batch int // its number
	Pairs []Compared

	images, texts train.StepVectors
}

// At returns s with its vectors, those of [Recipe.Survey].
func (s Surveyed) At(vectors []train.StepVectors) Surveyed {
	s.images, s.texts = vectors[0], vectors[1]
	return s
}

// Compares says whether a batch has images and texts that are compared alone.
func (r *Recipe) Compares(b *Batch) bool { return b.CMCL != nil && r.Of(corpus.Pairs)[Contrast] > 0 }

// Survey computes the vectors of a batch that compares, as Losses does then where the batch is OverStep.
func (r *Recipe) Survey(t *autograd.Tape, m *model.Pretrainer, b *Batch) (Surveyed, []*autograd.Var) {
	iv, tv := vectors(t, m, b.CMCL, m.Side(t, model.Input{Images: b.CMCL.Images}))
	return Surveyed{Batch: b.Number, Pairs: b.CMCL.Compared}, []*autograd.Var{iv, tv}
}

// Step is what is compared of all batches of a step.
type Step struct {
	batches              []Surveyed
	images, texts        []train.StepRow // those of the pairs of all batches, then retrieved ones
	textKinds, imageKind engine.Contrast
}

// NewStep brings the batches of a step together.
func NewStep(batches []Surveyed) *Step {
	s := &Step{batches: batches}
	var pairs []Compared
	for b := range batches {
		for i := range batches[b].Pairs {
			row := train.StepRow{Batch: b, Row: i}
			s.images, s.texts = append(s.images, row), append(s.texts, row)
		}
		pairs = append(pairs, batches[b].Pairs...)
	}
	for b := range batches {
		image, text := len(batches[b].Pairs), len(batches[b].Pairs)
		for _, p := range batches[b].Pairs {
			for range p.Images {
				s.images = append(s.images, train.StepRow{Batch: b, Row: image})
				image++
			}
			for range p.Texts {
				s.texts = append(s.texts, train.StepRow{Batch: b, Row: text})
				text++
			}
		}
	}
	s.textKinds, s.imageKind = alike(pairs)
	return s
}

// overStep returns the two parts of CMCL, where what is alone is compared with all of the step.
func (r *Recipe) overStep(t *autograd.Tape, m *model.Pretrainer, b *Batch) (joint, alone *autograd.Var) {
	s, own := b.Step, 0
	for s.batches[own].Batch != b.Number {
		own++
	}
	im := m.Side(t, model.Input{Images: b.CMCL.Images})
	iv, tv := vectors(t, m, b.CMCL, im)
	iv = train.StackStep(t, own, iv, func(batch int) train.StepVectors { return s.batches[batch].images }, s.images)
	tv = train.StackStep(t, own, tv, func(batch int) train.StepVectors { return s.batches[batch].texts }, s.texts)
	alone = train.LossOfStep(t, r.alone(t, iv, tv, s.textKinds, s.imageKind), len(s.batches))
	return r.jointly(t, m, b.CMCL, im), alone
}
