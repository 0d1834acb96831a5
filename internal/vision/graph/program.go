package graph

import (
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Program is a graph that is ready to run. It never changes: several goroutines may run it, each on a device of its own.
type Program struct {
	Height, Width int      // of the picture that it reads, in pixels
	Outputs       []Tensor // as Run returns them, without their values

	tensors []string // read from the file
	order   []*vertex
	at      map[*vertex]int
	inputs  [][]int // of each vertex in order
	uses    []int   // how often each is read
	fixed   []*engine.Tensor
	roots   []int
}

// Tensor is an output. Its values lie in the order of Dims, the last one without gaps; a map of features of any graph is
// 1 x height x width x channels, whatever order the graph has them in.
type Tensor struct {
	Dims   []int
	Values []float32

	axes []int
}

// Ordered returns shape and values in the order of the graph itself.
func (t Tensor) Ordered() (shape []int, values []float32) {
	shape = make([]int, len(t.axes))
	for i, a := range t.axes {
		shape[i] = t.Dims[a]
	}
	if slices.IsSorted(t.axes) {
		return shape, t.Values
	}
	x := value{shape: shape, axes: t.axes}
	values = make([]float32, len(t.Values))
	walk(shape, [][]int{x.memory()}, func(i int, at []int) { values[i] = t.Values[at[0]] })
	return shape, values
}

// Compile makes a program that computes outputs, names of nodes, and prepares its weights on d for all devices of its kind. r has the
// weights by the names of their nodes; it is not used later.
func Compile(d engine.Device, def *Definition, r checkpoint.Reader, outputs ...string) (*Program, error) {
	b, out, err := build(def, r, outputs)
	if err != nil {
		return nil, err
	}
	p := &Program{at: map[*vertex]int{}}
	for name := range b.read {
		p.tensors = append(p.tensors, name)
	}
	slices.Sort(p.tensors)
	in := b.input.dims()
	p.Height, p.Width = in[1], in[2]
	roots := []*vertex{b.input.v} // which stays, whatever becomes of the rest
	for _, x := range out {
		roots = append(roots, x.v)
		p.Outputs = append(p.Outputs, Tensor{Dims: x.dims(), axes: x.axes})
	}
	simplify(roots)
	join(roots)
	p.order = ordered(roots)
	for i, v := range p.order {
		p.at[v] = i
	}
	p.uses = make([]int, len(p.order))
	p.fixed = make([]*engine.Tensor, len(p.order))
	for i, v := range p.order {
		var inputs []int
		for _, u := range v.in {
			inputs = append(inputs, p.at[u])
			p.uses[p.at[u]]++
		}
		p.inputs = append(p.inputs, inputs)
		switch v.kind {
		case conv:
			v.prepare(d)
		case chain:
			for _, part := range v.parts {
				part.prepare(d)
			}
		case fixed:
			p.fixed[i] = d.Wrap(v.rows, v.cols, v.values)
		}
	}
	for _, root := range roots[1:] {
		p.roots = append(p.roots, p.at[root])
		p.uses[p.at[root]]++
	}
	return p, nil
}

// prepare makes the weights of a convolution ready.
func (v *vertex) prepare(d engine.Device) {
	f := v.filter
	w := d.Wrap(f.out, len(f.weights)/f.out, f.weights)
	bias := d.Wrap(1, f.out, f.bias)
	v.prepared = d.PrepareFilter(w, bias, f.rows, f.cols, f.groups)
	d.Free(w)
	d.Free(bias)
	v.filter = nil
}

// step is a convolution with what follows it; residual may be nil.
func (v *vertex) step(residual *engine.Tensor) engine.Step {
	return engine.Step{Filter: v.prepared, Window: v.window, Epilogue: engine.Epilogue{Residual: residual, Activation: v.act, Slope: v.slope}}
}

// Tensors lists the tensors that the program was made of, by name. Small constants of a definition of
// [Definition.Reduce] are none of them.
func (p *Program) Tensors() []string { return slices.Clone(p.tensors) }

// Run computes the outputs for a picture: Height x Width x 3 numbers, channel by channel of each pixel.
func (p *Program) Run(d engine.Device, pixels []float32) ([]Tensor, error) {
	if len(pixels) != p.Height*p.Width*3 {
		return nil, fmt.Errorf("%d numbers, but the graph reads a picture of %d x %d pixels and three channels", len(pixels), p.Width, p.Height)
	}
	tensors := make([]*engine.Tensor, len(p.order))
	left := slices.Clone(p.uses)
	defer func() {
		for i, t := range tensors {
			if t != nil && p.owned(i) {
				d.Free(t)
			}
		}
	}()
	for i := range p.order {
		p.step(d, i, tensors, left, pixels)
		for _, in := range p.inputs[i] {
			if left[in]--; left[in] == 0 && tensors[in] != nil && p.owned(in) {
				d.Free(tensors[in])
				tensors[in] = nil
			}
		}
	}
	out := slices.Clone(p.Outputs)
	for _, root := range p.roots {
		engine.Expect(d, tensors[root])
	}
	for i, root := range p.roots {
		out[i].Values = make([]float32, tensors[root].Len())
		d.Read(out[i].Values, tensors[root])
	}
	return out, nil
}

// owned says whether the tensor of a vertex is this run's.
func (p *Program) owned(i int) bool { return p.order[i].kind != fixed }

// step computes vertex i.
func (p *Program) step(d engine.Device, i int, tensors []*engine.Tensor, left []int, pixels []float32) {
	v := p.order[i]
	in := make([]*engine.Tensor, len(v.in))
	for k, at := range p.inputs[i] {
		in[k] = tensors[at]
	}
	// Elementwise operations may write over an input that nobody else will read.
	place := func() *engine.Tensor {
		if at := p.inputs[i][0]; left[at] == 1 && p.owned(at) && p.order[at].kind != input { // whose memory may be the caller's
			tensors[at] = nil
			return in[0]
		}
		return d.New(v.rows, v.cols)
	}
	switch v.kind {
	case input:
		tensors[i] = d.Wrap(v.rows, v.cols, pixels)
		return
	case fixed:
		tensors[i] = p.fixed[i]
		return
	case activate, sum, product, scaleColumns:
		tensors[i] = place()
	default:
		tensors[i] = d.New(v.rows, v.cols)
	}
	y := tensors[i]
	switch v.kind {
	case activate:
		d.Activate(y, in[0], engine.Epilogue{Activation: v.act, Slope: v.slope})
	case sum:
		d.Add(y, in[0], in[1])
	case product:
		d.Multiply(y, in[0], in[1])
	case scaleColumns:
		d.ScaleColumns(y, in[0], in[1])
	case conv, chain:
		var residual *engine.Tensor
		if len(in) > 1 {
			residual = in[1]
		}
		if v.kind == conv {
			s := v.step(residual)
			d.Convolve(y, in[0], s.Filter, s.Window, s.Epilogue)
			break
		}
		steps := make([]engine.Step, len(v.parts))
		for k, part := range v.parts {
			steps[k] = part.step(nil)
		}
		steps[len(steps)-1].Epilogue.Residual = residual
		d.ConvolveChain(y, in[0], steps...)
	case maxPool:
		d.MaxPool(y, in[0], v.window)
	case averagePool:
		d.AveragePool(y, in[0], v.window, false)
	case mean:
		d.MeanRows(y, in[0])
	case resize:
		d.Resize(y, in[0], v.size)
	case concatenate:
		d.Concatenate(y, in...)
	case slice:
		d.Slice(y, in[0], v.first)
	case host:
		read := make([][]float32, len(in))
		for k, t := range in {
			read[k] = make([]float32, t.Len())
			d.Read(read[k], t)
		}
		d.Write(y, v.compute(read))
	}
}
