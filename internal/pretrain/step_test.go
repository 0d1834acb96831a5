package pretrain

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
	"github.com/unimo-go/unimo/internal/train"
)

// The batches of a step, compared with each other, have the loss and together the gradients of one batch with all of their pairs, retrieved images
// and texts among them. With dropout each has the same loss to the bit: all see the same vectors.
func TestOverStepIsALargerBatch(t *testing.T) {
	w := newWorld(t)
	w.recipe.Weights = ofAll(Weights{MaskedLM: 1, Rewrite: 1, Contrast: 1})
	w.recipe.RetrievedImages, w.recipe.RetrievedTexts = 2, 1
	p := &Preparer{Recipe: w.recipe, Tokenizer: w.tok, Resources: w.resources(t, t.TempDir())}
	var items []item
	stream := w.collections[corpus.Pairs].Stream(corpus.StreamOptions{Seed: 1, Buffer: 7, Part: corpus.Train})
	for i := range 9 {
		sample, err := stream.Next()
		if err != nil {
			t.Fatal(err)
		}
		it := item{sample: sample}
		if err := p.item(&it, corpus.Pairs, false, random.New(1, "test", i)); err != nil {
			t.Fatal(err)
		}
		items = append(items, it)
	}
	const contrast = 2              // among the parts
	items = append(items, items[0]) // one pair is in two batches
	cfg := model.Mini
	cfg.ProblemType, cfg.VocabSize, cfg.HiddenSize, cfg.Heads, cfg.Layers = model.Pretraining, w.tok.VocabSize(), 16, 2, 1
	cfg.ImageEmbeddingSize, cfg.ContrastSize = w.collections[corpus.Images].Dim(), 8
	for _, dropout := range []float32{0, 0.2} {
		cfg.HiddenDropout, cfg.AttentionDropout = dropout, dropout
		dev := cpu.New()
		m, err := model.New[*model.Pretrainer](dev, cfg, 1)
		if err != nil {
			t.Fatal(err)
		}
		tape := autograd.NewTape(dev, autograd.Seed{})
		pack := func(number int, part []item) *Batch {
			b := &Batch{Number: number, Kind: corpus.Pairs}
			p.pack(b, part)
			return b
		}
		// pass returns the loss of a batch and leaves its gradient, times scale, with the parameters.
		pass := func(b *Batch, scale float32) float32 {
			tape.Reset(autograd.Seed{Key: 1, Pass: uint64(b.Number)})
			loss := w.recipe.Losses(tape, m, b)[contrast]
			value := engine.Values(dev, loss.Value)[0]
			tape.Backward(loss, scale)
			return value
		}
		gradients := func() (all []float32) {
			for _, p := range m.Params {
				if g := p.Gradient(); g.Extent() != autograd.Empty {
					all = append(all, engine.Values(dev, g.Tensor())...)
				} else {
					all = append(all, make([]float32, p.Value.Len())...)
				}
			}
			m.Params.ClearGradients()
			return all
		}
		want := pass(pack(0, items), 1)
		whole := gradients()
		for _, sizes := range [][]int{{5, 5}, {4, 3, 3}, {10}} {
			what := fmt.Sprintf("dropout %v, batches of %v", dropout, sizes)
			var list []*Batch
			var surveyed []Surveyed
			table, rows := dev.New(8*len(items), cfg.ContrastSize), 0 // with room for what is retrieved
			rest := items
			for number, size := range sizes {
				b := pack(number, rest[:size])
				b.OverStep = true
				if n := w.recipe.Parts(b)[contrast].Count; n != 1 {
					t.Errorf("%s: the part counts %d", what, n)
				}
				tape.Reset(autograd.Seed{Key: 1, Pass: uint64(b.Number)})
				s, vectors := w.recipe.Survey(tape, m, b)
				var places []train.StepVectors
				for _, v := range vectors {
					places = append(places, train.StepVectors{Table: table, First: rows})
					dev.Copy(dev.Part(table, rows, rows+v.Value.Rows), v.Value)
					rows += v.Value.Rows
				}
				tape.Release()
				list, surveyed, rest = append(list, b), append(surveyed, s.At(places)), rest[size:]
			}
			step := NewStep(surveyed)
			if len(step.images) <= len(items) || len(step.texts) <= len(items) {
				t.Fatalf("%s: nothing is retrieved", what)
			}
			var losses []float32
			for _, b := range list {
				b.Step = step
				losses = append(losses, pass(b, 1/float32(len(list))))
			}
			got := gradients()
			if slices.Max(losses) != slices.Min(losses) {
				t.Errorf("%s: losses %v", what, losses)
			}
			if dropout > 0 {
				continue // the masks of one batch are others
			}
			if math.Abs(float64(losses[0]-want)) > 1e-5*float64(want) {
				t.Errorf("%s: loss %v, in one batch %v", what, losses[0], want)
			}
			var off, norm float64
			for i, v := range whole {
				off, norm = off+math.Pow(float64(got[i]-v), 2), norm+float64(v)*float64(v)
			}
			if norm == 0 || off > 1e-10*norm {
				t.Errorf("%s: gradients are off by %v of %v", what, math.Sqrt(off), math.Sqrt(norm))
			}
		}
	}
}
