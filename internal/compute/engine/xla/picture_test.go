package xla

import (
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

func TestPools(t *testing.T) {
	same(t, 1e-6, 0, func(d engine.Device, n *numbers) (results []*engine.Tensor) {
		for _, w := range windows {
			x := n.value(w.Height*w.Width, 3)
			largest, mean, padded := result(d, w, 3), result(d, w, 3), result(d, w, 3)
			d.MaxPool(largest, x, w)
			d.AveragePool(mean, x, w, false)
			d.AveragePool(padded, x, w, true)
			results = append(results, largest, mean, padded)
		}
		return results
	})
}

func TestResize(t *testing.T) {
	same(t, 1e-6, 0, func(d engine.Device, n *numbers) (results []*engine.Tensor) {
		for _, r := range []engine.Resize{
			{Height: 3, Width: 5, ToHeight: 7, ToWidth: 4}, {Height: 6, Width: 2, ToHeight: 3, ToWidth: 6}, {Height: 1, Width: 1, ToHeight: 1, ToWidth: 3},
		} {
			for _, r.Grid = range []engine.Grid{engine.HalfPixel, engine.Corner, engine.AlignCorners} {
				for _, r.Nearest = range []bool{false, true} {
					x, y := n.value(r.Height*r.Width, 3), d.New(r.ToHeight*r.ToWidth, 3)
					d.Resize(y, x, r)
					results = append(results, y)
				}
			}
		}
		return results
	})
}
