package model

import (
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/autograd"
)

// Pretrainer is the whole of UNIMO: all that a [Retriever] has, for contrastive learning, the language head
// of a [Generator], and a head that says what was in a region that is hidden. Models for one task start from the
// parameters that they share with it, which have the same names.
//
//	h       = LN(gelu(affine(x)))        [R,H], of R hidden regions
//	feature = affine(h)                  [R,E]
//	class   = affine(h)                  [R,C], with region_classes C only
type Pretrainer struct {
	Retriever

	language languageHead
	region   regionHead
}

// regionHead says what a hidden region shows.
type regionHead struct {
	transform      linear
	norm           norm
	feature, class linear
}

func newRegionHead(p declare, cfg Config) regionHead {
	h := regionHead{
		transform: newLinear(p, "mask_region_trans_fc", cfg.HiddenSize, cfg.HiddenSize),
		norm:      newNorm(p, "mask_region_trans", cfg),
		feature:   newLinear(p, "mask_region_feature_fc", cfg.HiddenSize, cfg.ImageEmbeddingSize),
	}
	if cfg.RegionClasses > 0 {
		h.class = newLinear(p, "mask_region_class_fc", cfg.HiddenSize, cfg.RegionClasses)
	}
	return h
}

// hidden returns what features and classes are told from, R x H.
func (h regionHead) hidden(t *autograd.Tape, x *autograd.Var) *autograd.Var {
	return h.norm.Apply(t, t.GELU(h.transform.Apply(t, x)))
}

func (p *Pretrainer) build(d declare) {
	p.Retriever.build(d)
	p.language = newLanguageHead(d, p.Config, p.encoder.words)
	p.region = newRegionHead(d, p.Config)
}

// Hidden is a batch of sequences of which something is hidden and predicted. Its input is what is left to see.
type Hidden struct {
	Input

	// Labels are the tokens to be predicted. Of a text with Sources, a label belongs to each target token: the
	// one that comes after it. Of one without, they belong to the tokens of Text that Places lists, in ascending order.
	Labels []int32
	Places []int32

	// Regions are the regions of Images, in ascending order, that are predicted.
	Regions []int32
	Targets []float32 // len(Regions) x E: their features
	Classes []float32 // len(Regions) x region_classes: distributions of their classes; nil: not predicted
}

// Losses are the means over what is predicted, each nil where that is nothing.
type Losses struct {
	Language *autograd.Var // cross-entropy of the labels
	Feature  *autograd.Var // squared error, the mean over the features' elements
	Class    *autograd.Var // divergence of the predicted classes from the distributions
}

// Losses returns the losses of all that is predicted, with one pass through the encoder. It borrows h until the tape's
// pass ends. What does not fit together (images and texts of another number, say) panics.
func (p *Pretrainer) Losses(t *autograd.Tape, h Hidden) Losses {
	var l Losses
	rows, offsets, places := h.rows()
	if len(rows) == 0 {
		return l
	}
	x := t.Block(func() *autograd.Var { return p.encoder.lastLayerRows(t, h.Input, rows, offsets) })
	if len(places.language) > 0 {
		l.Language = t.Block(func() *autograd.Var {
			return t.VocabularyLoss(p.language.hidden(t, t.Rows(x, places.language)), p.language.w, p.language.b, h.Labels, 0)
		})
	}
	if len(places.regions) == 0 {
		return l
	}
	hidden := t.Block(func() *autograd.Var { return p.region.hidden(t, t.Rows(x, places.regions)) })
	l.Feature = t.Block(func() *autograd.Var { return t.SquaredError(p.region.feature.Apply(t, hidden), h.Targets) })
	if h.Classes != nil {
		l.Class = t.Block(func() *autograd.Var { return t.KLDivergence(p.region.class.Apply(t, hidden), h.Classes) })
	}
	return l
}

// LanguageLogits returns the scores of all tokens for each label, len(Labels) x V, which is what is measured. It
// borrows h until the tape's pass ends.
func (p *Pretrainer) LanguageLogits(t *autograd.Tape, h Hidden) *autograd.Var {
	h.Regions = nil
	return t.Block(func() *autograd.Var {
		rows, offsets, _ := h.rows()
		return p.language.logits(t, t.Block(func() *autograd.Var { return p.encoder.lastLayerRows(t, h.Input, rows, offsets) }))
	})
}

// predicted says which of the rows that are computed belong to labels, and which to regions.
type predicted struct{ language, regions []int32 }

// rows lists the rows of the encoder's output that something is predicted from, sequence by sequence, as offsets
// divides them. In a sequence, regions come before tokens.
func (h Hidden) rows() (rows, offsets []int32, p predicted) {
	images, texts := h.Images.Sequences(), h.Text.Sequences()
	if images > 0 && texts > 0 && images != texts {
		panic(fmt.Sprintf("model: %d images with %d texts", images, texts))
	}
	regions, tokens := h.Regions, h.Places
	if len(h.Text.Sources) > 0 {
		tokens, _ = h.Text.targets()
	}
	if !slices.IsSorted(regions) || !slices.IsSorted(tokens) {
		panic("model: places or regions that are not in ascending order")
	}
	offsets = append(offsets, 0)
	for s := range h.Sequences() {
		for ; len(regions) > 0 && regions[0] < at(h.Images.Offsets, s+1); regions = regions[1:] {
			p.regions = append(p.regions, int32(len(rows)))
			rows = append(rows, regions[0]+h.regionShift(s))
		}
		for ; len(tokens) > 0 && tokens[0] < at(h.Text.Offsets, s+1); tokens = tokens[1:] {
			p.language = append(p.language, int32(len(rows)))
			rows = append(rows, tokens[0]+h.textShift(s))
		}
		offsets = append(offsets, int32(len(rows)))
	}
	if len(regions)+len(tokens) > 0 {
		panic("model: places or regions beyond the batch")
	}
	return rows, offsets, p
}
