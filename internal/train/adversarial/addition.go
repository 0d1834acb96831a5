package adversarial

import (
	"math"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
)

// smallest is the least norm that a gradient is divided by.
const smallest = 1e-8

// addition is what an attack adds: a row for each token, or region.
type addition struct {
	value     *engine.Tensor
	offsets   []int32 // the examples' rows, behind those of objects' names, which are not attacked
	before    int     // rows of these
	embedding func(shift *autograd.Var) model.Embedding
}

// rows returns the elements of an example.
func (a *addition) rows(values []float32, example int) []float32 {
	width := a.value.Cols
	return values[(a.before+int(a.offsets[example]))*width : (a.before+int(a.offsets[example+1]))*width]
}

// begin returns what an attack begins with.
func (b *batch) begin(name string) *addition {
	a := &addition{
		offsets: b.in.Text.Offsets, before: len(b.in.Objects.Tokens),
		embedding: func(shift *autograd.Var) model.Embedding {
			return model.Embedding{TokenShift: shift, Regions: b.regions}
		},
	}
	of := b.words
	if name == image {
		a = &addition{
			offsets:   b.in.Images.Offsets,
			embedding: func(shift *autograd.Var) model.Embedding { return model.Embedding{FeatureShift: shift, Words: b.words} },
		}
		of = b.regions
	}
	width := of.Value.Cols
	if name == image {
		width = len(b.in.Images.Features) / of.Value.Rows
	}
	a.value = b.dev.New(of.Value.Rows, width)
	b.dev.Zero(a.value)
	values := engine.Values(b.dev, a.value)
	b.dev.Limit().For(len(a.offsets)-1, func(i int) {
		b.draw(a.rows(values, i), random.New(b.seed.Key, "adversarial "+name, int(b.seed.Pass), i))
	})
	b.dev.Write(a.value, values) // nothing, if it is the memory
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

// move takes a step along the slopes, times scale, and frees them.
func (b *batch) move(a *addition, slopes *engine.Tensor, scale float32) {
	values, along := engine.Values(b.dev, a.value), engine.Values(b.dev, slopes)
	b.dev.Limit().For(len(a.offsets)-1, func(i int) { b.step(a.rows(values, i), a.rows(along, i), float64(scale)) })
	b.dev.Write(a.value, values)
	b.dev.Free(slopes)
}

// step moves what is added to an example along its slopes, times scale, so far that the step's norm is AdvLR.
func (r Recipe) step(added, slopes []float32, scale float64) {
	norm := max(r.norm(slopes)*scale, smallest)
	rate := r.AdvLR * scale / norm
	for i, s := range slopes {
		added[i] = float32(float64(added[i]) + rate*float64(s))
	}
	if r.AdvMaxNorm == 0 {
		return
	}
	if r.AdvNorm == Inf { // both rules
		limit := float32(r.AdvMaxNorm)
		for i, x := range added {
			added[i] = min(max(x, -limit), limit)
		}
		return
	}
	// The reference compares the norm of the gradient, and shrinks by it.
	if r.AdvRule == Villa {
		norm = r.norm(added)
	}
	if norm > r.AdvMaxNorm {
		for i, x := range added {
			added[i] = float32(float64(x) * r.AdvMaxNorm / norm)
		}
	}
}

// norm is the norm of an example's rows.
func (r Recipe) norm(x []float32) (norm float64) {
	if r.AdvNorm == Inf {
		for _, v := range x {
			norm = max(norm, math.Abs(float64(v)))
		}
		return norm
	}
	for _, v := range x {
		norm += float64(v) * float64(v)
	}
	return math.Sqrt(norm)
}
