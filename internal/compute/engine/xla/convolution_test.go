package xla

import (
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// windows are those of the tests: with padding, strides, dilation and what lies beside the picture.
var windows = []engine.Window{
	engine.Square(5, 4, 3, 1, 1),
	engine.Square(7, 5, 3, 2, 0),
	{Height: 6, Width: 7, Rows: 2, Cols: 3, Dilation: 2, Top: 1, Left: 2, Bottom: 3},
	engine.Square(3, 3, 1, 1, 0),
	engine.Square(2, 2, 1, 1, 2), // some windows see no pixel
}

func result(d engine.Device, w engine.Window, channels int) *engine.Tensor {
	height, width := w.Out()
	return d.New(height*width, channels)
}

func TestConvolve(t *testing.T) {
	same(t, 1e-5, 0, func(d engine.Device, n *numbers) (results []*engine.Tensor) {
		for _, w := range windows {
			for _, c := range []struct{ in, out, groups int }{{3, 5, 1}, {4, 6, 2}, {3, 3, 3}} {
				x := n.value(w.Height*w.Width, c.in)
				weights, bias := n.value(c.out, c.in/c.groups*w.Rows*w.Cols), n.value(1, c.out)
				f, plain := d.PrepareFilter(weights, bias, w.Rows, w.Cols, c.groups), d.PrepareFilter(weights, nil, w.Rows, w.Cols, c.groups)
				d.Zero(weights) // a filter is a copy
				y, z := result(d, w, c.out), result(d, w, c.out)
				d.Convolve(y, x, f, w, engine.Epilogue{})
				d.Convolve(z, x, plain, w, engine.Epilogue{})
				results = append(results, y, z)
			}
		}
		return results
	})
}

// Factors may have fewer bits.
func TestConvolveInFewerBits(t *testing.T) {
	for _, p := range []Precision{TF32, BFloat16} {
		sameOn(t, open(t, Options{Precision: p}), 0.1, 0, func(d engine.Device, n *numbers) []*engine.Tensor {
			w := windows[0]
			x, y := n.value(w.Height*w.Width, 4), result(d, w, 6)
			d.Convolve(y, x, d.PrepareFilter(n.value(6, 18), nil, 3, 3, 2), w, engine.Epilogue{})
			return []*engine.Tensor{y}
		})
	}
}

func TestConvolveWithEpilogue(t *testing.T) {
	w := windows[0]
	same(t, 1e-5, 0, func(d engine.Device, n *numbers) []*engine.Tensor {
		x, other := n.value(20, 4), n.value(20, 4)
		wide := d.PrepareFilter(n.value(6, 4), n.value(1, 6), 1, 1, 1)
		each := d.PrepareFilter(n.value(6, 9), nil, 3, 3, 6)
		narrow := d.PrepareFilter(n.value(4, 6), nil, 1, 1, 1)
		point := engine.Square(5, 4, 1, 1, 0)
		y, z, alone := d.New(20, 4), d.New(20, 4), d.New(20, 6)
		d.Convolve(alone, x, wide, point, engine.Epilogue{Activation: engine.LeakyReLU, Slope: 0.1})
		d.ConvolveChain(y, x, engine.Step{Filter: wide, Window: point, Epilogue: engine.Epilogue{Activation: engine.ReLU6}},
			engine.Step{Filter: each, Window: w, Epilogue: engine.Epilogue{Activation: engine.SiLU}},
			engine.Step{Filter: narrow, Window: point, Epilogue: engine.Epilogue{Residual: x}})
		d.ConvolveChain(z, alone, engine.Step{Filter: narrow, Window: point, Epilogue: engine.Epilogue{Residual: other, Activation: engine.ReLU}})
		return []*engine.Tensor{alone, y, z}
	})
}

func TestConvolveRefuses(t *testing.T) {
	d := open(t, Options{})
	w := windows[0]
	f := d.PrepareFilter(d.New(2, 27), nil, 3, 3, 1)
	x, y, before := d.New(20, 3), d.New(20, 2), len(d.trace.calls)
	for name, run := range map[string]func(){
		"a bias of another size":           func() { d.PrepareFilter(d.New(2, 27), d.New(1, 3), 3, 3, 1) },
		"a picture of another size":        func() { d.Convolve(y, d.New(19, 3), f, w, engine.Epilogue{}) },
		"a residual of another size":       func() { d.Convolve(y, x, f, w, engine.Epilogue{Residual: x}) },
		"no steps":                         func() { d.ConvolveChain(y, x) },
		"steps that do not fit each other": func() { d.ConvolveChain(y, x, engine.Step{Filter: f, Window: w}, engine.Step{Filter: f, Window: w}) },
	} {
		refuses(t, name, run)
	}
	if n := len(d.trace.calls); n != before {
		t.Errorf("%d operations were recorded", n-before)
	}
}
