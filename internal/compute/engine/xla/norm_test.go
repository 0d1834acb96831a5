package xla

import (
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

func TestLayerNorm(t *testing.T) {
	for _, rows := range sizes {
		same(t, 5e-6, 1, func(d engine.Device, n *numbers) []*engine.Tensor {
			const cols = 12
			x, scale, bias := n.value(rows, cols), n.value(1, cols), n.value(1, cols)
			y, stats := d.New(rows, cols), d.New(rows, 2)
			d.LayerNorm(y, stats, x, scale, bias, 1e-5)
			dx, dscale, dbias := d.New(rows, cols), d.New(1, cols), d.New(1, cols)
			d.LayerNormBackward(dx, dscale, dbias, n.gradient(rows, cols), x, scale, stats)
			return []*engine.Tensor{y, stats, dscale, dbias, dx}
		})
	}
}

func TestAddNorm(t *testing.T) {
	for _, prob := range []float32{0, 0.1} {
		for _, rows := range []int{0, 13} {
			same(t, 5e-6, 2, func(d engine.Device, n *numbers) []*engine.Tensor {
				const cols = 12
				drop := engine.Dropout{Prob: prob, Key: 3, Stream: 1 << 50}
				x, a, scale, bias := n.value(rows, cols), n.value(rows, cols), n.value(1, cols), n.value(1, cols)
				y, sum, stats, alone := d.New(rows, cols), d.New(rows, cols), d.New(rows, 2), d.New(rows, cols)
				d.AddNorm(y, sum, stats, x, a, scale, bias, 1e-12, drop)
				d.AddNorm(alone, nil, nil, x, a, scale, bias, 1e-12, drop)
				dx, da, dscale, dbias := d.New(rows, cols), d.New(rows, cols), d.New(1, cols), d.New(1, cols)
				d.AddNormBackward(dx, da, dscale, dbias, n.gradient(rows, cols), sum, scale, stats, drop)
				return []*engine.Tensor{y, sum, stats, alone, dscale, dbias, dx, da}
			})
		}
	}
}

func TestNormalize(t *testing.T) {
	for _, rows := range sizes {
		same(t, 1e-6, 1, func(d engine.Device, n *numbers) []*engine.Tensor {
			x, y, inverse, dx := n.value(rows, 6), d.New(rows, 6), d.New(rows, 1), d.New(rows, 6)
			d.Normalize(y, inverse, x)
			d.NormalizeBackward(dx, n.gradient(rows, 6), y, inverse)
			return []*engine.Tensor{y, inverse, dx}
		})
	}
	same(t, 1e-6, 0, func(d engine.Device, n *numbers) []*engine.Tensor {
		x, y, inverse := d.Wrap(4, 2, []float32{0, 0, 1e25, 1e25, 1e-25, -1e-25, 3, 4}), d.New(4, 2), d.New(4, 1)
		d.Normalize(y, inverse, x)
		return []*engine.Tensor{y, inverse}
	})
}
