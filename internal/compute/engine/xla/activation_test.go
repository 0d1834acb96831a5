package xla

import (
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

func TestActivate(t *testing.T) {
	for _, rows := range sizes {
		same(t, 1e-6, 0, func(d engine.Device, n *numbers) (results []*engine.Tensor) {
			x, residual := n.value(rows, 9), n.value(rows, 9)
			d.Scale(x, x, 4)
			for a := engine.NoActivation; a <= engine.QuickGELU; a++ {
				y, z := d.New(rows, 9), d.New(rows, 9)
				d.Activate(y, x, engine.Epilogue{Activation: a, Slope: 0.1})
				d.Activate(z, x, engine.Epilogue{Activation: a, Slope: 0.1, Residual: residual})
				results = append(results, y, z)
			}
			return results
		})
	}
}

// withSlope are the activations that have a gradient.
var withSlope = []engine.Activation{engine.ReLU, engine.SiLU, engine.GELU, engine.TanhGELU, engine.QuickGELU}

func TestActivateBackward(t *testing.T) {
	for _, rows := range sizes {
		same(t, 2e-6, len(withSlope), func(d engine.Device, n *numbers) (results []*engine.Tensor) {
			x := n.value(rows, 9)
			d.Scale(x, x, 4)
			var gradients []*engine.Tensor
			for _, a := range withSlope {
				y, g := d.New(rows, 9), n.gradient(rows, 9)
				d.ActivateBackward(g, y, g, x, a)
				results, gradients = append(results, y), append(gradients, g)
			}
			return append(results, gradients...)
		})
	}
	d := open(t, Options{})
	x := d.New(1, 1)
	refuses(t, "no slope", func() { d.ActivateBackward(x, x, x, x, engine.HardSwish) })
	refuses(t, "none such", func() { d.Activate(x, x, engine.Epilogue{Activation: 99}) })
}

// Nothing becomes NaN that is a number on the CPU engine.
func TestActivationsOfLargeNumbers(t *testing.T) {
	same(t, 1e-6, 0, func(d engine.Device, n *numbers) (results []*engine.Tensor) {
		x := d.Wrap(1, 8, []float32{-3e38, -1e20, -1000, -40, 40, 1000, 1e20, 3e38})
		dy := d.Wrap(1, 8, []float32{1, 1, 1, 1, 1, 1, 1, 1})
		for _, a := range withSlope {
			y, dx, z := d.New(1, 8), d.New(1, 8), d.New(1, 8)
			d.ActivateBackward(dx, y, dy, x, a)
			d.Activate(z, x, engine.Epilogue{Activation: a})
			results = append(results, dx, y, z)
		}
		return results
	})
}

func TestSwiGLU(t *testing.T) {
	for _, rows := range sizes {
		same(t, 1e-6, 1, func(d engine.Device, n *numbers) []*engine.Tensor {
			h, y, dh := n.value(rows, 10), d.New(rows, 5), d.New(rows, 10)
			d.SwiGLU(y, h)
			d.SwiGLUBackward(dh, n.gradient(rows, 5), h)
			return []*engine.Tensor{y, dh}
		})
	}
}
