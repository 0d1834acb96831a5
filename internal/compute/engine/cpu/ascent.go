package cpu

import (
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Ascend implements [engine.Device].
func (d *Device) Ascend(x, slopes *engine.Tensor, scale float32, a engine.Ascent) {
	a.Check("ascend", x, slopes)
	values, along, cols := data(x), data(slopes), x.Cols
	d.limit.For(len(a.Offsets)-1, func(i int) {
		from, to := a.Example(i)
		ascend(values[from*cols:to*cols], along[from*cols:to*cols], float64(scale), a)
	})
}

// ascend moves what is added to an example along its slopes, times scale.
func ascend(added, slopes []float32, scale float64, a engine.Ascent) {
	size := length
	if a.Largest {
		size = largest
	}
	norm := max(size(slopes)*scale, engine.LeastSlopes)
	rate := a.Rate * scale / norm
	for i, s := range slopes {
		added[i] = float32(float64(added[i]) + rate*float64(s))
	}
	switch {
	case a.Bound == 0:
		return
	case a.Largest:
		bound := float32(a.Bound)
		for i, x := range added {
			added[i] = min(max(x, -bound), bound)
		}
		return
	case !a.BySlopes:
		norm = size(added)
	}
	if norm > a.Bound {
		for i, x := range added {
			added[i] = float32(float64(x) * a.Bound / norm)
		}
	}
}

// length is the root of the sum of squares, largest the largest size of an element.
func length(x []float32) (norm float64) {
	for _, v := range x {
		norm += float64(v) * float64(v)
	}
	return math.Sqrt(norm)
}

func largest(x []float32) (norm float64) {
	for _, v := range x {
		norm = max(norm, math.Abs(float64(v)))
	}
	return norm
}
