package adversarial

import (
	"math"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
)

// addition is what an attack adds: a row for each token, or region.
type addition struct {
	value     *engine.Tensor
	step      engine.Ascent // of the examples' rows, behind those of objects' names, which are not attacked
	embedding func(shift *autograd.Var) model.Embedding
}

// begin returns what an attack begins with.
func (b *batch) begin(name string) *addition {
	a := &addition{
		step: b.ascent(len(b.in.Objects.Tokens), b.in.Text.Offsets),
		embedding: func(shift *autograd.Var) model.Embedding {
			return model.Embedding{TokenShift: shift, Regions: b.regions}
		},
	}
	of := b.words
	if name == image {
		a = &addition{
			step:      b.ascent(0, b.in.Images.Offsets),
			embedding: func(shift *autograd.Var) model.Embedding { return model.Embedding{FeatureShift: shift, Words: b.words} },
		}
		of = b.regions
	}
	width := of.Value.Cols
	if name == image {
		width = len(b.in.Images.Features) / of.Value.Rows
	}
	a.value = engine.Filled(b.dev, of.Value.Rows, width, func(values []float32) {
		b.dev.Limit().For(len(a.step.Offsets)-1, func(i int) {
			from, to := a.step.Example(i)
			b.draw(values[from*width:to*width], random.New(b.seed.Key, "adversarial "+name, int(b.seed.Pass), i))
		})
	})
	return a
}

// draw fills the rows of an example. In the norm l2 their length is AdvInitMag, about: that of numbers between -1 and 1 is
// the root of a third of how many they are.
func (r Recipe) draw(rows []float32, s *random.Stream) {
	size := r.AdvInitMag
	if r.AdvNorm == L2 {
		size /= math.Sqrt(float64(len(rows)))
	}
	for i := range rows {
		rows[i] = float32((2*s.Float64() - 1) * size)
	}
}

// ascent is a step of an attack on examples. The reference compares the norm of the gradient with the bound, and shrinks by it.
func (r Recipe) ascent(before int, offsets []int32) engine.Ascent {
	return engine.Ascent{Before: before, Offsets: offsets, Largest: r.AdvNorm == Inf, Rate: r.AdvLR, Bound: r.AdvMaxNorm, BySlopes: r.AdvRule != Villa}
}

// move takes a step along the slopes, times scale, and frees them.
func (b *batch) move(a *addition, slopes *engine.Tensor, scale float32) {
	b.dev.Ascend(a.value, slopes, scale, a.step)
	b.dev.Free(slopes)
}
