package convnet

import (
	"errors"
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/vision"
)

// network is a plan with its weights.
type network struct {
	padding padding
	stages  []stage
	dim     int
}

// stage is a block with its weights.
type stage struct {
	maxPool  bool
	convs    []conv
	gate     *gate
	add      bool
	shortcut *conv
}

// load reads the weights of a plan.
func load(d engine.Device, p *plan, s *source) (*network, []string, error) {
	l := &loader{source: s, d: d, epsilon: p.epsilon}
	n := &network{padding: p.padding}
	channels := 3
	for _, b := range p.blocks {
		out := stage{maxPool: b.maxPool, add: b.add, convs: make([]conv, len(b.layers))}
		in := channels
		var err error
		for i, spec := range b.layers {
			if out.convs[i], channels, err = l.conv(spec, channels); err != nil {
				return nil, nil, err
			}
			if b.squeeze != nil && b.squeeze.after == i {
				if out.gate, err = l.gate(b.squeeze, channels); err != nil {
					return nil, nil, err
				}
			}
		}
		last := b.layers[len(b.layers)-1].kernel
		if b.shortcut != nil {
			c, passed, err := l.conv(*b.shortcut, in)
			if err != nil {
				return nil, nil, err
			}
			if passed != channels {
				return nil, nil, l.wrongShape(b.shortcut.kernel, l.shapes[b.shortcut.kernel], fmt.Sprintf("%d channels out, as %q", channels, l.prefix+last))
			}
			out.shortcut = &c
		} else if b.add && in != channels {
			return nil, nil, l.wrongShape(last, l.shapes[last], fmt.Sprintf("%d channels out, as the block reads", in))
		}
		n.stages = append(n.stages, out)
	}
	n.dim = channels
	return n, l.used, nil
}

// Dim is the number of channels of the last feature map.
func (n *network) Dim() int { return n.dim }

// Classes is nil: the classifier is not read.
func (n *network) Classes() []string { return nil }

// feature is a picture on its way through the network: a row for each pixel, a column for each channel.
type feature struct {
	*engine.Tensor
	height, width int
}

// Run implements [vision.Network]: a region is a cell of the last feature map, row by row.
func (n *network) Run(d engine.Device, p vision.Pixels) (vision.Output, error) {
	if p.Width < 1 || p.Height < 1 || len(p.Values) != p.Width*p.Height*3 {
		return vision.Output{}, fmt.Errorf("%d values are not a picture of %d x %d pixels with 3 colours", len(p.Values), p.Width, p.Height)
	}
	x := feature{d.Wrap(p.Width*p.Height, 3, p.Values), p.Height, p.Width}
	for _, s := range n.stages {
		y, err := n.block(d, s, x)
		d.Free(x.Tensor)
		if err != nil {
			return vision.Output{}, fmt.Errorf("a picture of %d x %d pixels: %w", p.Width, p.Height, err)
		}
		x = y
	}
	defer d.Free(x.Tensor)
	mean := d.New(1, n.dim)
	defer d.Free(mean)
	d.MeanRows(mean, x.Tensor)
	out := vision.Output{Features: make([]float32, x.Len()), Global: make([]float32, n.dim), Boxes: cells(x.height, x.width)}
	engine.Expect(d, mean)
	d.Read(out.Features, x.Tensor)
	d.Read(out.Global, mean)
	for _, v := range out.Global {
		if v-v != 0 {
			return vision.Output{}, errors.New("the network's outputs overflow: its weights are too large")
		}
	}
	return out, nil
}

// cells are the boxes of the cells of a grid, row by row.
func cells(height, width int) []float32 {
	boxes := make([]float32, 0, height*width*4)
	for i := range height {
		for j := range width {
			boxes = append(boxes,
				float32(j)/float32(width), float32(i)/float32(height), float32(j+1)/float32(width), float32(i+1)/float32(height))
		}
	}
	return boxes
}

// block computes a block. x stays.
func (n *network) block(d engine.Device, s stage, x feature) (feature, error) {
	var residual *engine.Tensor
	if s.add {
		residual = x.Tensor
	} else if s.shortcut != nil {
		passed, err := n.convolve(d, []conv{*s.shortcut}, x, engine.Epilogue{})
		if err != nil {
			return feature{}, err
		}
		residual = passed.Tensor
		defer d.Free(residual)
	}
	end := engine.Epilogue{Residual: residual, Activation: s.convs[len(s.convs)-1].act}
	if s.gate == nil {
		y, err := n.convolve(d, s.convs, x, end)
		if err != nil || !s.maxPool {
			return y, err
		}
		defer d.Free(y.Tensor)
		return maxPool(d, y), nil
	}
	before, after := s.convs[:s.gate.after+1], s.convs[s.gate.after+1:]
	last := len(after) == 0 // then the sum and the activation come after the gate
	gated := engine.Epilogue{Activation: before[len(before)-1].act}
	if last {
		gated = engine.Epilogue{}
	}
	y, err := n.convolve(d, before, x, gated)
	if err != nil {
		return feature{}, err
	}
	s.gate.apply(d, y)
	if last {
		d.Activate(y.Tensor, y.Tensor, end)
		return y, nil
	}
	defer d.Free(y.Tensor)
	return n.convolve(d, after, y, end)
}

// convolve computes convolutions one after the other. end is what the last one does with what it has computed.
func (n *network) convolve(d engine.Device, convs []conv, x feature, end engine.Epilogue) (feature, error) {
	windows, y, err := n.windows(convs, x)
	if err != nil {
		return feature{}, err
	}
	steps := make([]engine.Step, len(convs))
	for i, c := range convs {
		steps[i] = engine.Step{Filter: c.filter, Window: windows[i], Epilogue: engine.Epilogue{Activation: c.act}}
	}
	steps[len(steps)-1].Epilogue = end
	y.Tensor = d.New(y.height*y.width, convs[len(convs)-1].filter.Out)
	d.ConvolveChain(y.Tensor, x.Tensor, steps...)
	return y, nil
}

// windows are where the kernels of convolutions, one after the other, look at x. y has the size of what comes out.
func (n *network) windows(convs []conv, x feature) (list []engine.Window, y feature, err error) {
	y.height, y.width = x.height, x.width
	for _, c := range convs {
		w := n.padding.window(y.height, y.width, c.size, c.stride, c.square)
		height, width := w.Out()
		if height < 1 || width < 1 {
			return nil, y, fmt.Errorf("a feature map of %d x %d cells is too small for a kernel of %d x %d", y.width, y.height, c.size, c.size)
		}
		list = append(list, w)
		y.height, y.width = height, width
	}
	return list, y, nil
}

// Check implements [vision.Network].
func (n *network) Check(width, height int) (err error) {
	x := feature{nil, height, width}
	for _, s := range n.stages {
		if _, x, err = n.windows(s.convs, x); err != nil {
			return fmt.Errorf("a picture of %d x %d pixels: %w", width, height, err)
		}
		if s.maxPool {
			x.height, x.width = pool(x).Out()
		}
	}
	return nil
}

// pool is where the pooling of maxima looks.
func pool(x feature) engine.Window { return engine.Square(x.height, x.width, 3, 2, 1) }

func maxPool(d engine.Device, x feature) feature {
	w := pool(x)
	height, width := w.Out()
	y := feature{d.New(height*width, x.Cols), height, width}
	d.MaxPool(y.Tensor, x.Tensor, w)
	return y
}

// apply multiplies the channels of x by what the gate makes of their means.
func (g *gate) apply(d engine.Device, x feature) {
	mean := d.New(1, x.Cols)
	reduced := d.New(1, g.reduce.filter.Out)
	defer d.Free(mean)
	defer d.Free(reduced)
	one := engine.Square(1, 1, 1, 1, 0)
	d.MeanRows(mean, x.Tensor)
	d.Convolve(reduced, mean, g.reduce.filter, one, engine.Epilogue{Activation: g.reduce.act})
	d.Convolve(mean, reduced, g.expand.filter, one, engine.Epilogue{Activation: g.expand.act})
	d.ScaleColumns(x.Tensor, x.Tensor, mean)
}
