package pretrain

import (
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
)

// Surveyed are the pairs of one batch with the vectors of their images and texts alone.
type Surveyed struct {
	Batch         int // its number
	Pairs         []Compared
	Images, Texts []float32
}

// Compares says whether a batch has images and texts that are compared alone.
func (r *Recipe) Compares(b *Batch) bool { return b.CMCL != nil && r.Of(corpus.Pairs)[Contrast] > 0 }

// Survey computes the vectors of a batch that compares, as Losses does then where the batch is OverStep.
func (r *Recipe) Survey(t *autograd.Tape, m *model.Pretrainer, b *Batch) Surveyed {
	iv, tv := vectors(t, m, b.CMCL, m.Side(t, model.Input{Images: b.CMCL.Images}))
	engine.Expect(t.Device(), iv.Value, tv.Value)
	return Surveyed{b.Number, b.CMCL.Compared, engine.Values(t.Device(), iv.Value), engine.Values(t.Device(), tv.Value)}
}

// Step is what is compared of all batches of a step.
type Step struct {
	batches              []Surveyed
	images, texts        []model.StepRow // those of the pairs of all batches, then retrieved ones
	textKinds, imageKind engine.Contrast
}

// NewStep brings the batches of a step together.
func NewStep(batches []Surveyed) *Step {
	s := &Step{batches: batches}
	var pairs []Compared
	for b := range batches {
		for i := range batches[b].Pairs {
			row := model.StepRow{Batch: b, Row: i}
			s.images, s.texts = append(s.images, row), append(s.texts, row)
		}
		pairs = append(pairs, batches[b].Pairs...)
	}
	for b := range batches {
		image, text := len(batches[b].Pairs), len(batches[b].Pairs)
		for _, p := range batches[b].Pairs {
			for range p.Images {
				s.images = append(s.images, model.StepRow{Batch: b, Row: image})
				image++
			}
			for range p.Texts {
				s.texts = append(s.texts, model.StepRow{Batch: b, Row: text})
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
	iv = model.StackStep(t, own, iv, func(batch int) []float32 { return s.batches[batch].Images }, s.images)
	tv = model.StackStep(t, own, tv, func(batch int) []float32 { return s.batches[batch].Texts }, s.texts)
	alone = model.LossOfStep(t, r.alone(t, iv, tv, s.textKinds, s.imageKind), len(s.batches))
	return r.jointly(t, m, b.CMCL, im), alone
}
