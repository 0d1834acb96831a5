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
	return h.norm.apply(t, t.GELU(h.transform.apply(t, x)))
}

func (p *Pretrainer) build(d declare) {
	p.Retriever.build(d)
	p.language = newLanguageHead(d, p.Config, p.encoder.words)
	p.region = newRegionHead(d, p.Config)
}

// Hidden is a batch of sequences of which something is hidden and predicted: images, texts, or an
// image and a text each, in this order.
type Hidden struct {
	Images Images // with what is hidden replaced; Offsets nil: texts alone
	Text   Text   // the same; Offsets nil: images alone

	// Labels are the tokens to be predicted. Of a text with Sources, a label belongs to each target token, the
	// one that comes after it, and an image belongs to the source. Of one without, they belong to the rows of Text that Places
	// lists, in ascending order.
	Labels []int32
	Places []int32

	// Regions are the rows of Images, in ascending order, that are predicted.
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
	x := p.encode(t, h, rows, offsets)
	if len(places.language) > 0 {
		l.Language = t.Block(func() *autograd.Var {
			return t.VocabularyLoss(p.language.hidden(t, t.Rows(x, places.language)), p.language.w, p.language.b, h.Labels, 0)
		})
	}
	if len(places.regions) == 0 {
		return l
	}
	hidden := t.Block(func() *autograd.Var { return p.region.hidden(t, t.Rows(x, places.regions)) })
	l.Feature = t.Block(func() *autograd.Var { return t.SquaredError(p.region.feature.apply(t, hidden), h.Targets) })
	if h.Classes != nil {
		l.Class = t.Block(func() *autograd.Var { return t.KLDivergence(p.region.class.apply(t, hidden), h.Classes) })
	}
	return l
}

// LanguageLogits returns the scores of all tokens for each label, len(Labels) x V, which is what is measured. It
// borrows h until the tape's pass ends.
func (p *Pretrainer) LanguageLogits(t *autograd.Tape, h Hidden) *autograd.Var {
	h.Regions = nil
	return t.Block(func() *autograd.Var {
		rows, offsets, _ := h.rows()
		return p.language.logits(t, p.encode(t, h, rows, offsets))
	})
}

// encode returns the last layer's output for the given rows, which offsets divides into the sequences.
func (p *Pretrainer) encode(t *autograd.Tape, h Hidden, rows, offsets []int32) *autograd.Var {
	return t.Block(func() *autograd.Var {
		e := p.encoder
		if h.Images.Offsets == nil {
			return e.some(t, h.Text, rows, offsets)
		}
		x, a := e.embedJoint(t, joint{images: h.Images, text: h.Text})
		return e.throughSome(t, e.layers, x, a, rows, offsets)
	})
}

// predicted says which of the rows that are computed belong to labels, and which to regions.
type predicted struct{ language, regions []int32 }

// rows lists the rows of the sequences that something is predicted from, sequence by sequence, as offsets
// divides them. In a sequence, regions come before tokens.
func (h Hidden) rows() (rows, offsets []int32, p predicted) {
	regions, places := h.Regions, h.Places
	if h.Text.Sources != nil {
		places, _ = h.Text.targets()
	}
	sequences := max(h.Images.Sequences(), h.Text.Sequences())
	if h.Images.Offsets != nil && h.Text.Offsets != nil && h.Images.Sequences() != h.Text.Sequences() {
		panic(fmt.Sprintf("model: %d images with %d texts", h.Images.Sequences(), h.Text.Sequences()))
	}
	if !slices.IsSorted(regions) || !slices.IsSorted(places) {
		panic("model: places or regions that are not in ascending order")
	}
	// take moves what is before end, and lies behind shift other rows, from a list to rows.
	take := func(list []int32, end, shift int32, to *[]int32) []int32 {
		for len(list) > 0 && list[0] < end {
			*to = append(*to, int32(len(rows)))
			rows = append(rows, list[0]+shift)
			list = list[1:]
		}
		return list
	}
	begin := func(offsets []int32, s int) int32 {
		if offsets == nil {
			return 0
		}
		return offsets[s]
	}
	offsets = append(offsets, 0)
	for s := range sequences {
		regions = take(regions, begin(h.Images.Offsets, s+1), begin(h.Text.Offsets, s), &p.regions)
		places = take(places, begin(h.Text.Offsets, s+1), begin(h.Images.Offsets, s+1), &p.language)
		offsets = append(offsets, int32(len(rows)))
	}
	if len(regions)+len(places) > 0 {
		panic("model: places or regions beyond the batch")
	}
	return rows, offsets, p
}
