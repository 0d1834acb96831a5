package pretrain

import (
	"github.com/unimo-go/unimo/internal/autograd"
	"github.com/unimo-go/unimo/internal/corpus"
	"github.com/unimo-go/unimo/internal/model"
)

// Part is the loss of one objective on a batch, before its weight.
type Part struct {
	Name string // kind of the batch and objective, as in "pairs.masked_lm"
	Loss *autograd.Var
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

// Loss returns the weighted sum of a batch's objectives and each of them. It is nil if the batch has nothing to
// predict, as one of a few short texts may. It borrows the batch until the tape's pass ends.
func (r *Recipe) Loss(t *autograd.Tape, m *model.Pretrainer, b *Batch) (*autograd.Var, []Part) {
	var total *autograd.Var
	var parts []Part
	w := r.of(b.Kind)
	add := func(name string, weight float64, loss *autograd.Var) {
		if loss == nil || weight == 0 {
			return
		}
		parts = append(parts, Part{string(b.Kind) + name, loss})
		loss = t.Scale(loss, float32(weight))
		if total != nil {
			loss = t.Add(total, loss)
		}
		total = loss
	}
	if len(b.Hidden.Labels)+len(b.Hidden.Regions) > 0 {
		l := m.Losses(t, b.Hidden)
		if b.Seq2Seq {
			add(seq2Seq, w.Seq2Seq, l.Language)
		} else {
			add(maskedLM, w.MaskedLM, l.Language)
		}
		add(regionFeature, w.RegionFeature, l.Feature)
		add(regionClass, w.RegionClass, l.Class)
	}
	if b.CMCL != nil {
		joint, alone := r.contrastive(t, m, b.CMCL)
		add(rewriting, w.Rewrite, joint)
		add(contrast, w.Contrast, alone)
	}
	return total, parts
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
