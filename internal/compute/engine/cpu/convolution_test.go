package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"pgregory.net/rapid"
)

// layer is a convolution that tests compute.
type layer struct {
	window          engine.Window
	groups, in, out int
	bias, residual  bool
	activation      engine.Activation
	slope           float32
}

// each calls body for every place of the window at output pixel (oy, ox) that lies on the picture.
func eachPlace(w engine.Window, oy, ox int, body func(place, pixel int)) {
	for r := range w.Rows {
		for c := range w.Cols {
			iy := oy*max(w.Stride, 1) - w.Top + r*max(w.Dilation, 1)
			ix := ox*max(w.Stride, 1) - w.Left + c*max(w.Dilation, 1)
			if iy >= 0 && iy < w.Height && ix >= 0 && ix < w.Width {
				body(r*w.Cols+c, iy*w.Width+ix)
			}
		}
	}
}

// activated is the activation in float64. Each has a slope of at most 1.1, so the tolerance grows by as much at most.
func activated(e exact, a engine.Activation, slope float32) exact {
	x := e.value
	sigmoid := 1 / (1 + math.Exp(-x))
	hard := min(max(x+3, 0), 6) / 6
	switch a {
	case engine.ReLU:
		x = max(x, 0)
	case engine.ReLU6:
		x = min(max(x, 0), 6)
	case engine.LeakyReLU:
		if x < 0 {
			x *= float64(slope)
		}
	case engine.Sigmoid:
		x = sigmoid
	case engine.SiLU:
		x *= sigmoid
	case engine.HardSigmoid:
		x = hard
	case engine.HardSwish:
		x *= hard
	}
	return exact{x, 1.6*e.tolerance + 4*epsilon*(1+math.Abs(e.value))}
}

func (l layer) operation() operation {
	w := l.window
	height, width := w.Out()
	window, perGroup := w.Rows*w.Cols, l.in/l.groups
	op := operation{
		name: fmt.Sprintf("convolve %+v", l),
		operands: []operand{
			overwritten("y", height*width, l.out), in("x", w.Height*w.Width, l.in),
			in("w", l.out, perGroup*window), in("bias", 1, l.out), in("residual", height*width, l.out),
		},
		run: func(d *Device, t tensors) {
			bias := t["bias"]
			if !l.bias {
				engine.CheckShape("test", "bias", bias, 1, l.out)
				bias = nil
			}
			e := engine.Epilogue{Activation: l.activation, Slope: l.slope}
			if l.residual {
				e.Residual = t["residual"]
			} else {
				engine.CheckShape("test", "residual", t["residual"], height*width, l.out)
			}
			f := d.PrepareFilter(t["w"], bias, w.Rows, w.Cols, l.groups)
			d.Convolve(t["y"], t["x"], f, w, e)
		},
		oracle: func(x numbers) results {
			return results{"y": each(height*width*l.out, func(i int) exact {
				var s sum
				pixel, o := i/l.out, i%l.out
				g := o / (l.out / l.groups)
				eachPlace(w, pixel/width, pixel%width, func(place, at int) {
					for c := range perGroup {
						s.add(x["x"][at*l.in+g*perGroup+c] * x["w"][(o*perGroup+c)*window+place])
					}
				})
				if l.bias {
					s.add(x["bias"][o])
				}
				if l.residual {
					s.add(x["residual"][i])
				}
				return activated(s.exact(), l.activation, l.slope)
			})}
		},
	}
	return op
}

func TestConvolve(t *testing.T) {
	var operations []operation
	for _, l := range []layer{
		{window: engine.Square(9, 7, 3, 2, 1), groups: 1, in: 3, out: 8, bias: true, activation: engine.ReLU6},             // first layer
		{window: engine.Square(224, 5, 3, 2, 1).Same(), groups: 1, in: 3, out: 32, bias: true, activation: engine.ReLU6},   // in blocks
		{window: engine.Square(12, 11, 1, 1, 0), groups: 1, in: 24, out: 40, bias: true, residual: true},                   // pointwise
		{window: engine.Square(61, 70, 1, 1, 0), groups: 1, in: 5, out: 33, bias: true, activation: engine.SiLU},           // in blocks
		{window: engine.Square(7, 8, 1, 2, 0), groups: 1, in: 6, out: 5},                                                   // pointwise, every other pixel
		{window: engine.Square(10, 9, 3, 1, 1), groups: 70, in: 70, out: 70, bias: true, activation: engine.HardSwish},     // depthwise
		{window: engine.Square(13, 40, 5, 2, 2).Same(), groups: 48, in: 48, out: 48, bias: true, activation: engine.ReLU6}, // depthwise
		{window: engine.Square(6, 6, 3, 1, 1), groups: 4, in: 8, out: 12, bias: true, activation: engine.LeakyReLU, slope: 0.1},
		{window: engine.Window{Height: 5, Width: 9, Rows: 1, Cols: 7, Left: 3, Right: 3}, groups: 1, in: 4, out: 4, activation: engine.Sigmoid},
		{window: engine.Window{Height: 3, Width: 3, Rows: 3, Cols: 3, Stride: 2, Bottom: 1, Right: 1}, groups: 2, in: 2, out: 4},
		{window: engine.Square(2, 2, 5, 1, 0), groups: 1, in: 2, out: 3, bias: true}, // nothing comes out
	} {
		operations = append(operations, l.operation())
	}
	check(t, operations...)
}

// pictureWindow draws a window that may lie anywhere, the padding larger than the picture too.
func pictureWindow(t *rapid.T) engine.Window {
	small := func(name string, least, most int) int { return rapid.IntRange(least, most).Draw(t, name) }
	w := engine.Window{
		Height: small("height", 1, 12), Width: small("width", 1, 40),
		Rows: small("rows", 1, 6), Cols: small("cols", 1, 6),
		Stride: small("stride", 1, 3), Dilation: small("dilation", 1, 3),
	}
	if rapid.Bool().Draw(t, "square") {
		w.Cols = w.Rows
	}
	if rapid.Bool().Draw(t, "same") {
		return w.Same()
	}
	w.Top, w.Left, w.Bottom, w.Right = small("top", 0, 4), small("left", 0, 4), small("bottom", 0, 4), small("right", 0, 4)
	return w
}

// All geometries, on every instruction set.
func TestConvolveAnyGeometry(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			l := layer{
				window: pictureWindow(t), bias: rapid.Bool().Draw(t, "bias"), residual: rapid.Bool().Draw(t, "residual"),
				activation: engine.Activation(rapid.IntRange(0, int(engine.HardSwish)).Draw(t, "activation")), slope: 0.2,
			}
			if rapid.Bool().Draw(t, "depthwise") {
				l.groups = rapid.IntRange(1, 100).Draw(t, "channels")
				l.in, l.out = l.groups, l.groups
			} else {
				l.groups = rapid.IntRange(1, 3).Draw(t, "groups")
				l.in = l.groups * rapid.IntRange(1, 20).Draw(t, "in")
				l.out = l.groups * rapid.IntRange(1, 20).Draw(t, "out")
			}
			checkOnce(t, l.operation())
		})
	})
}

// checkOnce compares one operation with its oracle, on a device of one thread.
func checkOnce(t *rapid.T, op operation) {
	d, x := NewLimited(1), numbers{}
	for _, o := range op.operands {
		x[o.name] = wide(o.start)
	}
	tensors := op.materialise(d)
	op.run(d, tensors)
	if name := strayed(tensors); name != "" {
		t.Errorf("%s: wrote beyond %s", op.name, name)
	}
	for name, want := range op.oracle(x) {
		if fault := faults(data(tensors[name]), want); fault != "" {
			t.Errorf("%s: %s", op.name, fault)
		}
	}
}

// A chain gives the bits that its convolutions give one after the other, wherever its bands and parts begin.
func TestConvolveChain(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			maker := New()
			small := func(name string, least, most int) int { return rapid.IntRange(least, most).Draw(t, name) }
			height, width, channels := small("height", 1, 40), small("width", 1, 20), small("channels", 1, 20)
			if rapid.Bool().Draw(t, "large") {
				height, channels = 3*height, 300 // several bands
			}
			x := maker.Wrap(height*width, channels, random(height*width*channels, "x"))
			picture, first := x, x
			var steps []engine.Step
			for i := range small("steps", 1, 4) {
				w := pictureWindow(t)
				w.Height, w.Width = height, width
				groups, out := 1, small("out", 1, 20)
				if rapid.Bool().Draw(t, "depthwise") {
					groups, out = channels, channels
				} else if channels > 20 || rapid.Bool().Draw(t, "pointwise") {
					w = engine.Square(height, width, 1, 1, 0)
				}
				n := channels / groups * w.Rows * w.Cols
				f := maker.PrepareFilter(maker.Wrap(out, n, random(out*n, fmt.Sprint("w", i))), nil, w.Rows, w.Cols, groups)
				steps = append(steps, engine.Step{Filter: f, Window: w, Epilogue: engine.Epilogue{Activation: engine.Activation(small("activation", 0, int(engine.HardSwish)))}})
				height, width = w.Out()
				channels = out
				if height*width == 0 {
					break
				}
			}
			last := &steps[len(steps)-1]
			if rapid.Bool().Draw(t, "residual") {
				last.Epilogue.Residual = maker.Wrap(height*width, channels, random(height*width*channels, "residual"))
			}
			for _, s := range steps {
				h, w := s.Window.Out()
				y := maker.New(h*w, s.Filter.Out)
				maker.Convolve(y, picture, s.Filter, s.Window, s.Epilogue)
				picture = y
			}
			for _, threads := range []int{1, 3} {
				d := NewLimited(parallel.Limit(threads))
				got := d.New(picture.Rows, picture.Cols)
				d.ConvolveChain(got, first, steps...)
				if !sameBits(data(got), data(picture)) {
					t.Fatalf("%d threads: a chain of %+v differs", threads, steps)
				}
			}
		})
	})
}

func TestConvolveChainChecksItsSteps(t *testing.T) {
	d := New()
	x, y := d.New(20, 3), d.New(20, 3)
	f := d.PrepareFilter(d.Wrap(3, 3, random(9, "w")), nil, 1, 1, 1)
	g := d.PrepareFilter(d.Wrap(4, 3, random(12, "w")), nil, 1, 1, 1)
	step := func(f engine.Filter, height int, residual *engine.Tensor) engine.Step {
		return engine.Step{Filter: f, Window: engine.Square(height, 5, 1, 1, 0), Epilogue: engine.Epilogue{Residual: residual}}
	}
	d.ConvolveChain(y, x, step(f, 4, nil), step(f, 4, x))
	for name, steps := range map[string][]engine.Step{
		"none":           {},
		"another size":   {step(f, 4, nil), step(f, 5, nil)},
		"other channels": {step(g, 4, nil), step(f, 4, nil)},
		"another y":      {step(f, 4, nil), step(g, 4, nil)},
		"early residual": {step(f, 4, x), step(f, 4, nil)},
		"wrong residual": {step(f, 4, nil), step(f, 4, d.New(20, 4))},
	} {
		mustPanicWithShape(t, name, func() { d.ConvolveChain(y, x, steps...) })
	}
}

func TestFilterIsCheckedAndKept(t *testing.T) {
	d := New()
	w := d.Wrap(4, 18, random(72, "w"))
	for _, c := range [][3]int{{3, 3, 3}, {2, 2, 1}, {0, 3, 1}, {3, 3, 0}} {
		mustPanicWithShape(t, fmt.Sprint(c), func() { d.PrepareFilter(w, nil, c[0], c[1], c[2]) })
	}
	mustPanicWithShape(t, "bias", func() { d.PrepareFilter(w, d.New(1, 5), 3, 3, 1) })
	f := d.PrepareFilter(w, nil, 3, 3, 1)
	x, y := d.Wrap(9, 2, random(18, "x")), d.New(1, 4)
	d.Convolve(y, x, f, engine.Square(3, 3, 3, 1, 0), engine.Epilogue{})
	before := slices.Clone(data(y))
	d.Zero(w)
	NewLimited(1).Convolve(y, x, f, engine.Square(3, 3, 3, 1, 0), engine.Epilogue{}) // another device
	if !sameBits(before, data(y)) {
		t.Error("a filter changes with the tensor that it was made of")
	}
}

func TestActivate(t *testing.T) {
	var operations []operation
	for a := engine.NoActivation; a <= engine.HardSwish; a++ {
		for _, shape := range flatShapes {
			n := shape[0] * shape[1]
			operations = append(operations, operation{
				name:     named("activate", a, shape),
				operands: []operand{overwritten("y", shape[0], shape[1]), in("x", shape[0], shape[1]), in("residual", shape[0], shape[1])},
				run: func(d *Device, t tensors) {
					d.Activate(t["y"], t["x"], engine.Epilogue{Residual: t["residual"], Activation: a, Slope: 0.3})
				},
				oracle: func(x numbers) results {
					return results{"y": each(n, func(i int) exact {
						var s sum
						s.add(x["x"][i])
						s.add(x["residual"][i])
						return activated(s.exact(), a, 0.3)
					})}
				},
			})
		}
	}
	check(t, operations...)
}
