package pretrain

import (
	"slices"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
)

// Part is one objective of a batch. Its loss is a mean.
type Part struct {
	Name   string // kind of the batch and objective, as in "pairs.masked_lm"
	Weight float64
	Count  int // tokens, regions or groups of candidates that the mean is over
}

// Names of the objectives, after the kind and a dot.
const (
	maskedLM      = ".masked_lm"
	seq2Seq       = ".seq2seq"
	regionFeature = ".region_feature"
	regionClass   = ".region_class"
	contrast      = ".contrast"
	rewriting     = ".rewrite"
)

// Objectives lists the names of all parts that a recipe can give.
func (r *Recipe) Objectives(classes bool) []string {
	var names []string
	for i, kind := range Kinds {
		add := func(weight float64, name string, on bool) {
			if r.Ratios[i] > 0 && weight > 0 && on {
				names = append(names, string(kind)+name)
			}
		}
		text, image, w := kind != corpus.Images, kind != corpus.Text, r.Weights[i]
		add(w.MaskedLM, maskedLM, text)
		add(w.Seq2Seq, seq2Seq, text)
		add(w.RegionFeature, regionFeature, image)
		add(w.RegionClass, regionClass, image && classes)
		add(w.Contrast, contrast, text && image)
		add(w.Rewrite, rewriting, text && image && r.joint())
	}
	return names
}

// objective is a part with the way to its loss.
type objective struct {
	name   string
	weight float64
	count  int
	loss   func(computed) *autograd.Var
}

// computed are the losses of all objectives of a batch.
type computed struct {
	hidden       model.Losses
	joint, alone *autograd.Var
}

// objectives lists those of a batch that have a weight.
func (r *Recipe) objectives(b *Batch) []objective {
	w, h := r.of(b.Kind), b.Hidden
	var list []objective
	if b.Kind != corpus.Images {
		language := objective{maskedLM, w.MaskedLM, len(h.Labels), func(c computed) *autograd.Var { return c.hidden.Language }}
		if b.Seq2Seq {
			language.name, language.weight = seq2Seq, w.Seq2Seq
		}
		list = append(list, language)
	}
	if h.Images.Offsets != nil {
		list = append(list, objective{regionFeature, w.RegionFeature, len(h.Regions), func(c computed) *autograd.Var { return c.hidden.Feature }})
	}
	if h.Classes != nil {
		list = append(list, objective{regionClass, w.RegionClass, len(h.Regions), func(c computed) *autograd.Var { return c.hidden.Class }})
	}
	if c := b.CMCL; c != nil {
		list = append(list,
			objective{rewriting, w.Rewrite, c.JointKinds.Groups(), func(c computed) *autograd.Var { return c.joint }},
			objective{contrast, w.Contrast, c.TextKinds.Groups() + c.ImageKind.Groups(), func(c computed) *autograd.Var { return c.alone }},
		)
	}
	return slices.DeleteFunc(list, func(o objective) bool { return o.weight == 0 })
}

// Parts lists the objectives of a batch that have a weight.
func (r *Recipe) Parts(b *Batch) []Part {
	var parts []Part
	for _, o := range r.objectives(b) {
		parts = append(parts, Part{string(b.Kind) + o.name, o.weight, o.count})
	}
	return parts
}

// Losses computes the parts of a batch, in the order of [Recipe.Parts], before their weights; nil where nothing is
// predicted. It borrows the batch until the tape's pass ends.
func (r *Recipe) Losses(t *autograd.Tape, m *model.Pretrainer, b *Batch) []*autograd.Var {
	var c computed
	if len(b.Hidden.Labels)+len(b.Hidden.Regions) > 0 {
		c.hidden = m.Losses(t, b.Hidden)
	}
	if b.CMCL != nil {
		c.joint, c.alone = r.contrastive(t, m, b.CMCL)
	}
	var losses []*autograd.Var
	for _, o := range r.objectives(b) {
		losses = append(losses, o.loss(c))
	}
	return losses
}

// contrastive returns the two parts of CMCL. The images' embeddings and first layer serve all pairs they are in.
func (r *Recipe) contrastive(t *autograd.Tape, m *model.Pretrainer, c *CMCL) (joint, alone *autograd.Var) {
	im := m.ImagePart(t, c.Images)
	if len(c.Candidates) > 0 {
		joint = t.ContrastiveLoss(m.Scores(t, im, m.TextPart(t, c.Joint), c.Candidates), c.JointKinds)
	}
	if c.TextKinds.Group == 0 {
		return joint, nil
	}
	iv, tv := m.ImageVectors(t, im), m.TextVectors(t, m.TextPart(t, c.Alone))
	own := make([]int32, c.Pairs)
	for i := range own {
		own[i] = int32(i)
	}
	inverse := float32(1 / r.Temperature)
	toImage := t.ContrastiveLoss(t.Scale(t.ProductNT(t.Rows(tv, own), iv), inverse), c.TextKinds)
	toText := t.ContrastiveLoss(t.Scale(t.ProductNT(t.Rows(iv, own), tv), inverse), c.ImageKind)
	return joint, t.Scale(t.Add(toImage, toText), 0.5)
}
