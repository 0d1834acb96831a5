package graph

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// kind is what a vertex computes.
type kind int

const (
	input   kind = iota
	fixed        // values
	conv         // filter, window, epilogue; a second input is the residual
	chain        // parts: convolutions one after the other; a second input is the residual of the last
	maxPool      // window
	averagePool
	mean         // over the rows
	activate     // epilogue
	sum          // of inputs of one size
	product      // of two inputs of one size
	scaleColumns // the first input, by the second
	resize
	concatenate // columns
	slice       // columns from first on
	host        // compute, on the processor
)

// vertex computes a matrix of rows x cols from others.
type vertex struct {
	kind       kind
	in         []*vertex
	rows, cols int

	filter  *filter
	window  engine.Window
	act     engine.Activation
	slope   float32
	size    engine.Resize
	first   int
	values  []float32
	compute func(in [][]float32) []float32
	pad     *padding // of a host vertex that pads, which convolutions take over

	prepared engine.Filter // what Compile makes of filter
	parts    []*vertex
}

// filter is the weights of a convolution, Out x (In/groups·rows·cols).
type filter struct {
	rows, cols, in, out, groups int
	weights, bias               []float32
}

// padding is what lies around a picture: rows above and below, columns left and right, of one value.
type padding struct {
	height, width            int
	top, bottom, left, right int
	fill                     float64
}

// value is an output of a node: an array that is known, or what a vertex computes. The dimensions of shape lie in the vertex's
// memory in the order of axes: dimension i is the axes[i]-th from the slowest.
type value struct {
	known *array
	v     *vertex
	shape []int
	axes  []int
}

// dims returns the dimensions as they lie in memory.
func (x value) dims() []int {
	dims := make([]int, len(x.shape))
	for i, a := range x.axes {
		dims[a] = x.shape[i]
	}
	return dims
}

// memory returns how far apart the elements of each dimension lie.
func (x value) memory() []int {
	own := strides(x.dims())
	s := make([]int, len(own))
	for i, a := range x.axes {
		s[i] = own[a]
	}
	return s
}

// straight says whether the dimensions lie in their own order.
func (x value) straight() bool { return slices.Equal(x.axes, straight(len(x.shape))) }

func straight(rank int) []int {
	axes := make([]int, rank)
	for i := range axes {
		axes[i] = i
	}
	return axes
}

// matrix returns the rows and columns of a tensor with these dimensions in memory.
func matrix(dims []int) (rows, cols int) {
	if len(dims) == 0 {
		return 1, 1
	}
	rows, cols = 1, dims[len(dims)-1]
	for _, d := range dims[:len(dims)-1] {
		rows *= d
	}
	return rows, cols
}

// builder makes vertices of nodes.
type builder struct {
	r      checkpoint.Reader
	input  value
	fed    string // the node that is the input
	values map[string][]value
	read   map[string]bool // tensors that are used
}

// build makes the vertices that the outputs need of the graph. The picture that is read has height x width pixels.
func build(d *Definition, r checkpoint.Reader, outputs []string) (*builder, []value, error) {
	nodes, err := d.needed(outputs)
	if err != nil {
		return nil, nil, err
	}
	if err := supported(nodes); err != nil {
		return nil, nil, err
	}
	b := &builder{r: r, values: map[string][]value{}, read: map[string]bool{}}
	for _, n := range nodes {
		values, err := b.node(d, n)
		if err == nil {
			for _, v := range values {
				n, wrong := count(v.shape)
				if wrong == nil && n == 0 && v.known == nil {
					wrong = fmt.Errorf("shape %v, which is empty", v.shape)
				}
				if wrong != nil {
					err = wrong
					break
				}
			}
		}
		if err != nil {
			return nil, nil, fmt.Errorf("node %q (%s): %w", n.Name, n.Op, err)
		}
		b.values[n.Name] = values
	}
	var out []value
	for _, name := range outputs {
		x, err := b.find(name)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, b.computed(x))
	}
	if b.input.v == nil {
		return nil, nil, errors.New("the outputs do not depend on the graph's input")
	}
	return b, out, nil
}

// supported returns an error that names the operations which do not run.
func supported(nodes []*node) error {
	unknown := map[string]string{}
	for _, n := range nodes {
		if operations[n.Op] == nil && n.Op != "Placeholder" && n.Op != "Const" {
			unknown[n.Op] = n.Name
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	var list []string
	for _, op := range slices.Sorted(maps.Keys(unknown)) {
		list = append(list, fmt.Sprintf("%s (node %q)", op, unknown[op]))
	}
	return fmt.Errorf("the graph needs operations that are not supported: %s; supported are %s", strings.Join(list, ", "), strings.Join(Supported(), ", "))
}

// Supported lists the operations that run.
func Supported() []string {
	return slices.Sorted(maps.Keys(operations))
}

// find returns an output of a node that was built.
func (b *builder) find(name string) (value, error) {
	name, at := splitPort(name)
	values := b.values[name]
	if at >= len(values) {
		return value{}, fmt.Errorf("node %q has no output %d", name, at)
	}
	return values[at], nil
}

// node builds one.
func (b *builder) node(d *Definition, n *node) ([]value, error) {
	switch n.Op {
	case "Placeholder":
		return b.placeholder(d, n)
	case "Const":
		a, err := constant(n, b.r)
		if err != nil {
			return nil, err
		}
		if len(a.data) > 0 && !n.Attrs["value"].Tensor.given() {
			b.read[n.Name] = true
		}
		return []value{known(a)}, nil
	}
	var in []value
	for _, name := range n.data() {
		x, err := b.find(name)
		if err != nil {
			return nil, err
		}
		in = append(in, x)
	}
	op := operations[n.Op]
	if len(in) < op.inputs {
		return nil, fmt.Errorf("%d inputs, want %d", len(in), op.inputs)
	}
	if op.fold != nil && !slices.ContainsFunc(in, func(x value) bool { return x.known == nil }) {
		arrays := make([]*array, len(in))
		for i := range in {
			arrays[i] = in[i].known
		}
		a, err := op.fold(n, arrays)
		if err != nil {
			return nil, err
		}
		return []value{known(a)}, nil
	}
	if op.build == nil {
		return nil, errors.New("is supported on constants only")
	}
	return op.build(b, n, in)
}

func known(a *array) value {
	return value{known: a, shape: a.shape, axes: straight(len(a.shape))}
}

// placeholder is the picture that is read: one, of three channels.
func (b *builder) placeholder(d *Definition, n *node) ([]value, error) {
	if b.input.v != nil {
		return nil, fmt.Errorf("is a second input beside %q: graphs of one picture are supported", b.fed)
	}
	shape := n.Attrs["shape"].Shape.dims()
	for _, p := range d.Inputs {
		if p.Name == n.Name && len(p.Shape) > 0 {
			shape = p.Shape
		}
	}
	if len(shape) != 4 {
		return nil, fmt.Errorf("reads shape %v, want that of pictures: 1 x height x width x 3", shape)
	}
	shape = slices.Clone(shape)
	if shape[0] == -1 {
		shape[0] = 1
	}
	axes := straight(4)
	height, width := shape[1], shape[2]
	if shape[1] == 3 && shape[3] != 3 { // channels first
		axes = []int{0, 3, 1, 2}
		height, width = shape[2], shape[3]
	}
	if shape[0] != 1 || shape[1] != 3 && shape[3] != 3 || height < 1 || width < 1 || height > maxSide || width > maxSide {
		return nil, fmt.Errorf("reads shape %v, want one picture of a known size up to %d x %d: 1 x height x width x 3, or 1 x 3 x height x width", shape, maxSide, maxSide)
	}
	b.fed = n.Name
	b.input = value{v: &vertex{kind: input, rows: height * width, cols: 3}, shape: shape, axes: axes}
	return []value{b.input}, nil
}

// maxSide bounds the sides of the picture that a graph reads, in pixels.
const maxSide = 2048

// computed returns a value with a vertex.
func (b *builder) computed(x value) value {
	if x.known == nil {
		return x
	}
	rows, cols := matrix(x.shape)
	return value{v: &vertex{kind: fixed, rows: rows, cols: cols, values: x.known.float32s()}, shape: x.shape, axes: straight(len(x.shape))}
}

// result is the value of a new vertex, which lies like dims say; x gives shape and axes.
func result(v *vertex, shape, axes []int) value {
	x := value{v: v, shape: shape, axes: axes}
	v.rows, v.cols = matrix(x.dims())
	return x
}

// inOrder returns a value whose dimensions lie in their own order, moving numbers if need be.
func (b *builder) inOrder(x value) value {
	x = b.computed(x)
	if x.straight() {
		return x
	}
	return b.moved(x.v, x.shape, x.memory(), 0)
}

// moved reads a vertex in another way: element (i, j, ...) of shape is that at first + i·stride[0] + j·stride[1] + ...
func (b *builder) moved(v *vertex, shape, stride []int, first int) value {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return result(&vertex{kind: host, in: []*vertex{v}, compute: func(in [][]float32) []float32 {
		out := make([]float32, n)
		walk(shape, [][]int{stride}, func(i int, at []int) { out[i] = in[0][first+at[0]] })
		return out
	}}, shape, straight(len(shape)))
}

// picture returns the vertex of a tensor 1 x H x W x C that convolutions read, and its sizes.
func (b *builder) picture(x value) (v *vertex, height, width, channels int, err error) {
	if len(x.shape) != 4 || x.shape[0] != 1 {
		return nil, 0, 0, 0, fmt.Errorf("reads shape %v, want 1 x height x width x channels", x.shape)
	}
	x = b.inOrder(x)
	if slices.Contains(x.shape, 0) {
		return nil, 0, 0, 0, fmt.Errorf("reads a picture of shape %v, which is empty", x.shape)
	}
	return x.v, x.shape[1], x.shape[2], x.shape[3], nil
}

// affine multiplies the columns of x by scale and adds bias; each has one element or one for each column.
func affine(x value, scale, bias []float32) value {
	_, cols := matrix(x.dims())
	rows, _ := matrix(x.dims())
	f := &filter{rows: 1, cols: 1, in: cols, out: cols, groups: cols, weights: repeated(scale, cols), bias: repeated(bias, cols)}
	return result(&vertex{kind: conv, in: []*vertex{x.v}, filter: f, window: engine.Window{Height: rows, Width: 1, Rows: 1, Cols: 1}}, x.shape, x.axes)
}

func repeated(values []float32, n int) []float32 {
	if len(values) == n && n > 1 {
		return slices.Clone(values)
	}
	return slices.Repeat(values[:1], n)
}

// perColumn returns the values that an array has for the columns of x, one if they are all the same; nil if it differs along
// other dimensions, or would make x larger.
func perColumn(a *array, x value) []float32 {
	if a.scalar() {
		if len(a.shape) > len(x.shape) {
			return nil
		}
		return a.float32s()
	}
	for i, n := range a.shape {
		j := i - len(a.shape) + len(x.shape)
		if n != 1 && (j < 0 || x.axes[j] != len(x.shape)-1 || x.shape[j] != n) || j < 0 {
			return nil
		}
	}
	return a.float32s()
}
