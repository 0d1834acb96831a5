package xla

import (
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// sizes are on and off the grid; and none.
var sizes = []int{0, 1, 8, 13}

func TestElementwise(t *testing.T) {
	for _, rows := range sizes {
		same(t, 1e-6, 6, func(d engine.Device, n *numbers) []*engine.Tensor {
			const cols = 5
			a, b, c := n.value(rows, cols), n.value(rows, cols), n.value(1, 1)
			made := func(run func(y *engine.Tensor)) *engine.Tensor {
				y := d.New(rows, cols)
				run(y)
				return y
			}
			slope := func(run func(dx, dy, y *engine.Tensor)) *engine.Tensor { // in place
				g := n.gradient(rows, cols)
				run(g, g, a)
				return g
			}
			return []*engine.Tensor{
				made(func(y *engine.Tensor) { d.Copy(y, a) }),
				made(func(y *engine.Tensor) { d.Add(y, a, b) }),
				made(func(y *engine.Tensor) { d.Multiply(y, a, b) }),
				made(func(y *engine.Tensor) { d.Scale(y, a, 0.3) }),
				made(func(y *engine.Tensor) { d.ScaleBy(y, a, c) }),
				made(func(y *engine.Tensor) { d.Sigmoid(y, a) }),
				made(func(y *engine.Tensor) { d.Tanh(y, a) }),
				made(func(y *engine.Tensor) { d.ReLU(y, a) }),
				slope(d.SigmoidBackward),
				slope(d.TanhBackward),
				slope(d.ReLUBackward),
				slope(func(dx, dy, _ *engine.Tensor) { d.Scale(dx, dy, 2) }),
				slope(func(dx, dy, _ *engine.Tensor) { d.Add(dx, dx, dy) }),
				slope(func(dx, dy, y *engine.Tensor) { d.Multiply(dx, dy, y) }),
			}
		})
	}
}

// The masks are those of the CPU engine, bit for bit, for any key and stream.
func TestDropout(t *testing.T) {
	for _, rows := range []int{0, 1, 13} {
		same(t, 0, 2, func(d engine.Device, n *numbers) (results []*engine.Tensor) {
			x, g := n.value(rows, 7), n.gradient(rows, 7)
			for _, drop := range []engine.Dropout{{}, {Prob: 1}, {Prob: 0.1, Key: 1<<63 + 5, Stream: 1<<40 + 3}, {Prob: 0.5, Key: 5, Stream: 7}} {
				y := d.New(rows, 7)
				d.Dropout(y, x, drop)
				results = append(results, y)
			}
			h := d.New(rows, 7)
			d.Dropout(h, g, engine.Dropout{Prob: 0.1, Key: 5, Stream: 7})
			d.Dropout(g, g, engine.Dropout{Prob: 0.1, Key: 5, Stream: 7})
			return append(results, h, g)
		})
	}
}

// Streams and scalars are no part of a program.
func TestStepsShareAProgram(t *testing.T) {
	d := open(t, Options{})
	x, y := d.Wrap(2, 3, make([]float32, 6)), d.New(2, 3)
	for step := range 5 {
		d.Dropout(y, x, engine.Dropout{Prob: 0.5, Key: 9, Stream: uint64(step)})
		d.Scale(y, y, float32(step))
		engine.Values(d, y)
	}
	if s := d.Stats(); s.Compiled != 1 || s.Ran != 5 {
		t.Errorf("%d programs compiled and %d ran, want 1 and 5", s.Compiled, s.Ran)
	}
}
