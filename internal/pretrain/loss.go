package pretrain

import (
	"iter"
	"strings"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
)

// What pre-training asks for: the places in [Weights].
const (
	MaskedLM = iota
	Seq2Seq
	RegionFeature
	RegionClass
	Rewrite
	Contrast
	countObjectives
)

// objectives is what there is to know about each, in the order in which losses are added. A further objective needs a
// constant above, a line here, and a setting.
var objectives = [countObjectives]struct {
	name, title string
	text, image bool // what its samples have
	in          func(*Batch) bool
	count       func(*Batch) int // what its mean is over
	loss        func(computed) *autograd.Var
}{
	MaskedLM: {"masked_lm", "masked language modelling", true, false,
		func(b *Batch) bool { return b.Kind != corpus.Images && !b.Seq2Seq },
		func(b *Batch) int { return len(b.Hidden.Labels) },
		func(c computed) *autograd.Var { return c.hidden.Language }},
	Seq2Seq: {"seq2seq", "seq2seq generation", true, false,
		func(b *Batch) bool { return b.Kind != corpus.Images && b.Seq2Seq },
		func(b *Batch) int { return len(b.Hidden.Labels) },
		func(c computed) *autograd.Var { return c.hidden.Language }},
	RegionFeature: {"region_feature", "hidden regions' features", false, true,
		func(b *Batch) bool { return b.Hidden.Images.Offsets != nil },
		func(b *Batch) int { return len(b.Hidden.Regions) },
		func(c computed) *autograd.Var { return c.hidden.Feature }},
	RegionClass: {"region_class", "hidden regions' classes", false, true,
		func(b *Batch) bool { return b.Hidden.Classes != nil },
		func(b *Batch) int { return len(b.Hidden.Regions) },
		func(c computed) *autograd.Var { return c.hidden.Class }},
	Rewrite: {"rewrite", "contrastive, rewritten captions", true, true,
		func(b *Batch) bool { return b.CMCL != nil },
		func(b *Batch) int { return b.CMCL.JointKinds.Groups() },
		func(c computed) *autograd.Var { return c.joint }},
	Contrast: {"contrast", "contrastive, alone", true, true,
		func(b *Batch) bool { return b.CMCL != nil },
		func(b *Batch) int {
			if b.OverStep { // the loss is the same for every batch
				return 1
			}
			return b.CMCL.TextKinds.Groups() + b.CMCL.ImageKind.Groups()
		},
		func(c computed) *autograd.Var { return c.alone }},
}

// Objective is what a recipe asks of a kind of collection.
type Objective struct {
	Name   string // kind and objective, as in "pairs.masked_lm"
	Title  string // the same for people
	Weight float64
}

// Objectives lists all that a recipe asks for; classes says whether regions have any.
func (r *Recipe) Objectives(classes bool) []Objective {
	var list []Objective
	for i, kind := range Kinds {
		for k, o := range objectives {
			lacks := o.text && kind == corpus.Images || o.image && kind == corpus.Text || k == RegionClass && !classes || k == Rewrite && !r.joint()
			if w := r.Weights[i][k]; r.Ratios[i] > 0 && w > 0 && !lacks {
				title := string(kind) + ": " + o.title
				list = append(list, Objective{string(kind) + "." + o.name, strings.ToUpper(title[:1]) + title[1:], w})
			}
		}
	}
	return list
}

// Part is one objective of a batch. Its loss is a mean.
type Part struct {
	Name   string // kind of the batch and objective, as in "pairs.masked_lm"
	Weight float64
	Count  int // tokens, regions or groups of candidates that the mean is over
}

// parts yields the objectives of a batch that have a weight, and their places.
func (r *Recipe) parts(b *Batch) iter.Seq2[int, Part] {
	return func(yield func(int, Part) bool) {
		for k, w := range r.Of(b.Kind) {
			o := &objectives[k]
			if w != 0 && o.in(b) && !yield(k, Part{string(b.Kind) + "." + o.name, w, o.count(b)}) {
				return
			}
		}
	}
}

// Parts lists the objectives of a batch that have a weight.
func (r *Recipe) Parts(b *Batch) []Part {
	var parts []Part
	for _, p := range r.parts(b) {
		parts = append(parts, p)
	}
	return parts
}

// computed are the losses of all objectives of a batch.
type computed struct {
	hidden       model.Losses
	joint, alone *autograd.Var
}

// Losses computes the parts of a batch, in the order of [Recipe.Parts], before their weights; nil where nothing is
// predicted. It borrows the batch until the tape's pass ends.
func (r *Recipe) Losses(t *autograd.Tape, m *model.Pretrainer, b *Batch) []*autograd.Var {
	var c computed
	if b.CMCL != nil && b.OverStep { // first: the vectors have the dropout masks of the survey
		c.joint, c.alone = r.overStep(t, m, b)
	}
	if len(b.Hidden.Labels)+len(b.Hidden.Regions) > 0 {
		c.hidden = m.Losses(t, b.Hidden)
	}
	if b.CMCL != nil && !b.OverStep {
		c.joint, c.alone = r.contrastive(t, m, b.CMCL)
	}
	var losses []*autograd.Var
	for k := range r.parts(b) {
		losses = append(losses, objectives[k].loss(c))
	}
	return losses
}

// contrastive returns the two parts of CMCL. The images' embeddings and first layer serve all pairs they are in.
func (r *Recipe) contrastive(t *autograd.Tape, m *model.Pretrainer, c *CMCL) (joint, alone *autograd.Var) {
	im := m.Side(t, model.Input{Images: c.Images})
	joint = r.jointly(t, m, c, im)
	if c.TextKinds.Group == 0 {
		return joint, nil
	}
	iv, tv := vectors(t, m, c, im)
	return joint, r.alone(t, iv, tv, c.TextKinds, c.ImageKind)
}

// jointly is the loss of images that are read with texts; nil without.
func (r *Recipe) jointly(t *autograd.Tape, m *model.Pretrainer, c *CMCL, images model.Side) *autograd.Var {
	if len(c.Candidates) == 0 {
		return nil
	}
	return t.ContrastiveLoss(m.Scores(t, images, m.Side(t, model.Input{Text: c.Joint}), c.Candidates), c.JointKinds)
}

// vectors are those of images and texts alone.
func vectors(t *autograd.Tape, m *model.Pretrainer, c *CMCL, images model.Side) (iv, tv *autograd.Var) {
	return m.ImageVectors(t, images), m.TextVectors(t, m.Side(t, model.Input{Text: c.Alone}))
}

// alone is the loss of vectors, of which those of the pairs come first.
func (r *Recipe) alone(t *autograd.Tape, iv, tv *autograd.Var, textKinds, imageKind engine.Contrast) *autograd.Var {
	own := make([]int32, len(textKinds.Kinds)/textKinds.Group)
	for i := range own {
		own[i] = int32(i)
	}
	inverse := float32(1 / r.Temperature)
	toImage := t.ContrastiveLoss(t.Scale(t.ProductNT(t.Rows(tv, own), iv), inverse), textKinds)
	toText := t.ContrastiveLoss(t.Scale(t.ProductNT(t.Rows(iv, own), tv), inverse), imageKind)
	return t.Scale(t.Add(toImage, toText), 0.5)
}
