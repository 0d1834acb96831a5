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
	owned := false // the first is the caller's
	for _, s := range n.stages {
		y, err := n.block(d, s, x)
		if owned {
			d.Free(x.Tensor)
		}
		if err != nil {
			return vision.Output{}, fmt.Errorf("a picture of %d x %d pixels: %w", p.Width, p.Height, err)
		}
		x, owned = y, true
	}
	defer d.Free(x.Tensor)
	mean := d.New(1, n.dim)
	defer d.Free(mean)
	d.MeanRows(mean, x.Tensor)
	out := vision.Output{Features: make([]float32, x.Len()), Global: make([]float32, n.dim), Boxes: cells(x.height, x.width)}
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
func (n *network) block(d engine.Device, s stage, x feature) (y feature, err error) {
	y = x
	free := func() {
		if y.Tensor != x.Tensor {
			d.Free(y.Tensor)
		}
	}
	var residual *engine.Tensor
	if s.add {
		residual = x.Tensor
	} else if s.shortcut != nil {
		passed, err := n.conv(d, *s.shortcut, x, nil)
		if err != nil {
			return feature{}, err
		}
		residual = passed.Tensor
		defer d.Free(passed.Tensor)
	}
	last := len(s.convs) - 1
	gated := s.gate != nil && s.gate.after == last // then the sum comes after the gate
	for i, c := range s.convs {
		var add *engine.Tensor
		if i == last && !gated {
			add = residual
		} else if i == last {
			c.act = engine.NoActivation
		}
		z, err := n.conv(d, c, y, add)
		free()
		if err != nil {
			return feature{}, err
		}
		y = z
		if s.gate != nil && s.gate.after == i {
			s.gate.apply(d, y)
		}
	}
	if gated {
		d.Activate(y.Tensor, y.Tensor, engine.Epilogue{Residual: residual, Activation: s.convs[last].act})
	}
	if s.maxPool {
		w := engine.Square(y.height, y.width, 3, 2, 1)
		height, width := w.Out()
		z := feature{d.New(height*width, y.Cols), height, width}
		d.MaxPool(z.Tensor, y.Tensor, w)
		free()
		y = z
	}
	return y, nil
}

func (n *network) conv(d engine.Device, c conv, x feature, residual *engine.Tensor) (feature, error) {
	w := n.padding.window(x.height, x.width, c.size, c.stride, c.square)
	height, width := w.Out()
	if height < 1 || width < 1 {
		return feature{}, fmt.Errorf("a feature map of %d x %d cells is too small for a kernel of %d x %d", x.width, x.height, c.size, c.size)
	}
	y := d.New(height*width, c.filter.Out)
	d.Convolve(y, x.Tensor, c.filter, w, engine.Epilogue{Residual: residual, Activation: c.act})
	return feature{y, height, width}, nil
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
