package pretrain

import (
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
)

// What a part counts is what its mean is over: the means of two batches, weighted by it, are the
// mean of the batch that has the samples of both. (Contrast of vectors compares within a batch,
// so there is no such batch.)
func TestPartsCountWhatTheirMeansAreOver(t *testing.T) {
	w := newWorld(t)
	cfg := model.Mini
	cfg.ProblemType, cfg.VocabSize, cfg.HiddenSize, cfg.Heads, cfg.Layers = model.Pretraining, w.tok.VocabSize(), 16, 2, 1
	cfg.ImageEmbeddingSize, cfg.ContrastSize = w.collections[corpus.Images].Dim(), 8
	dev := cpu.New()
	m, err := model.New[*model.Pretrainer](dev, cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	tape := autograd.NewInference(dev)
	measure := func(b *Batch) map[string]struct{ mean, count float64 } {
		defer tape.Release()
		all := map[string]struct{ mean, count float64 }{}
		losses := w.recipe.Losses(tape, m, b)
		for i, p := range w.recipe.Parts(b) {
			if losses[i] == nil {
				continue
			}
			all[p.Name] = struct{ mean, count float64 }{float64(engine.Values(dev, losses[i].Value)[0]), float64(p.Count)}
		}
		return all
	}
	unequal, kinds := map[string]bool{}, map[string]*Batch{}
	for _, b := range batches(t, w.feed(t, w.resources(t, t.TempDir())), 0, 80) {
		kind := string(b.Kind)
		if b.Seq2Seq {
			kind += " fragments"
		}
		other := kinds[kind]
		kinds[kind] = b
		if other == nil {
			continue
		}
		first, second := measure(other), measure(b)
		for name, got := range measure(join(other, b)) {
			x, y := first[name], second[name]
			if got.count != x.count+y.count {
				t.Errorf("%s counts %v, its halves %v and %v", name, got.count, x.count, y.count)
			}
			if want := (x.mean*x.count + y.mean*y.count) / (x.count + y.count); math.Abs(got.mean-want) > 1e-5*math.Abs(want) {
				t.Errorf("%s is %v, the halves give %v", name, got.mean, want)
			}
			if x.count != y.count {
				unequal[name] = true
			}
		}
	}
	for _, name := range []string{"text.masked_lm", "text.seq2seq", "images.region_feature", "pairs.masked_lm", "pairs.region_feature"} {
		if !unequal[name] {
			t.Errorf("no two batches count differently for %s: the test says little", name)
		}
	}
}

// join puts the samples of two batches into one.
func join(a, b *Batch) *Batch {
	var in model.Input
	in.Append(a.Hidden.Input)
	regions := len(in.Images.Locations) / model.LocationSize
	in.Append(b.Hidden.Input)
	out := *a
	out.Hidden = model.Hidden{
		Input:  in,
		Labels: concat(a.Hidden.Labels, b.Hidden.Labels, 0), Places: concat(a.Hidden.Places, b.Hidden.Places, len(a.Hidden.Text.Tokens)),
		Regions: concat(a.Hidden.Regions, b.Hidden.Regions, regions), Targets: concat(a.Hidden.Targets, b.Hidden.Targets, 0),
	}
	if a.CMCL == nil {
		return &out
	}
	x, y := a.CMCL, b.CMCL
	var images, joint model.Input
	for _, part := range []*CMCL{x, y} {
		images.Append(model.Input{Images: part.Images})
		joint.Append(model.Input{Text: part.Joint})
	}
	c := &CMCL{Images: images.Images, Joint: joint.Text}
	c.Candidates = append(c.Candidates, x.Candidates...)
	for _, p := range y.Candidates {
		c.Candidates = append(c.Candidates, model.Pair{Image: p.Image + int32(len(x.Images.Offsets)-1), Text: p.Text + int32(len(x.Joint.Offsets)-1)})
	}
	c.JointKinds = engine.Contrast{Group: x.JointKinds.Group, Kinds: concat(x.JointKinds.Kinds, y.JointKinds.Kinds, 0)}
	out.CMCL = c
	return &out
}

// concat returns a, then b with shift added; nil if both are.
func concat[T int8 | int32 | float32](a, b []T, shift int) []T {
	if a == nil && b == nil {
		return nil
	}
	out := append([]T{}, a...)
	for _, v := range b {
		out = append(out, v+T(shift))
	}
	return out
}
