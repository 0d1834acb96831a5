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
	a.value = b.dev.New(of.Value.Rows, width)
	key := random.New(b.seed.Key, "adversarial "+name, int(b.seed.Pass)).Uint64()
	b.dev.Noise(a.value, b.bounds(a.step, a.value), engine.Noise{Key: key, Stream: b.seed.Pass})
	return a
}

// bounds are those of the rows of what is drawn at first; of what is not attacked 0. In the norm l2 the length of an example's rows is AdvInitMag,
// about: that of numbers between -1 and 1 is the root of a third of how many they are.
func (r Recipe) bounds(examples engine.Ascent, x *engine.Tensor) []float32 {
	bounds := make([]float32, x.Rows)
	for i := range len(examples.Offsets) - 1 {
		from, to := examples.Example(i)
		size := r.AdvInitMag
		if r.AdvNorm == L2 {
			size /= math.Sqrt(float64((to - from) * x.Cols))
		}
		for row := from; row < to; row++ {
			bounds[row] = float32(size)
		}
	}
	return bounds
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
