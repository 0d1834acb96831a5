package graph

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
)

// array is a value that is known when the graph is opened. All numbers are float64, which holds float32 and int32.
type array struct {
	shape []int
	data  []float64
	whole bool // its type is one of whole numbers
}

// maxElements bounds the elements of a tensor within a graph: 256 MiB of float32.
const maxElements = 1 << 26

// count returns the product of dimensions, or an error if it is out of bounds.
func count(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 0 || d > maxElements {
			return 0, fmt.Errorf("shape %v is not supported: dimensions are 0 to %d, and known in advance", shape, maxElements)
		}
		if n *= d; n > maxElements {
			return 0, fmt.Errorf("shape %v has more than %d elements", shape, maxElements)
		}
	}
	return n, nil
}

// scalar says whether an array has one element, whatever its shape.
func (a *array) scalar() bool { return len(a.data) == 1 }

func (a *array) ints() []int {
	out := make([]int, len(a.data))
	for i, v := range a.data {
		out[i] = int(v)
	}
	return out
}

func (a *array) float32s() []float32 {
	out := make([]float32, len(a.data))
	for i, v := range a.data {
		out[i] = float32(v)
	}
	return out
}

func vector(values []int) *array {
	a := &array{shape: []int{len(values)}, whole: true}
	for _, v := range values {
		a.data = append(a.data, float64(v))
	}
	return a
}

// constant reads the value of a node Const: that of its attribute, or the tensor of its name.
func constant(n *node, r checkpoint.Reader) (*array, error) {
	if t := n.Attrs["value"].Tensor; t.given() {
		values := t.Floats
		if len(values) == 0 {
			values = t.Ints
		}
		shape := t.Shape.dims()
		size, err := count(shape)
		if err != nil {
			return nil, err
		}
		if len(values) != size {
			return nil, fmt.Errorf("%d values for shape %v", len(values), shape)
		}
		a := &array{shape: shape, whole: len(t.Ints) > 0}
		for _, v := range values {
			a.data = append(a.data, float64(v))
		}
		return a, nil
	}
	info, err := r.Info(n.Name)
	if errors.Is(err, checkpoint.ErrNoTensor) {
		if t := n.Attrs["value"].Tensor; t != nil { // one without elements
			if size, err := count(t.Shape.dims()); err == nil && size == 0 {
				return &array{shape: t.Shape.dims(), whole: t.DType != "DT_FLOAT"}, nil
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if _, err := count(info.Shape); err != nil {
		return nil, err
	}
	a := &array{shape: info.Shape, data: make([]float64, info.Elements())}
	raw, err := r.Bytes(n.Name)
	if err != nil {
		return nil, err
	}
	switch info.DType {
	case checkpoint.I32:
		a.whole = true
		for i := range a.data {
			a.data[i] = float64(int32(binary.LittleEndian.Uint32(raw[4*i:])))
		}
	case checkpoint.Bool:
		a.whole = true
		for i := range a.data {
			a.data[i] = float64(raw[i])
		}
	default:
		values, _, err := checkpoint.Float32s(r, n.Name)
		if err != nil {
			return nil, err
		}
		for i, v := range values {
			a.data[i] = float64(v)
		}
	}
	return a, nil
}

// broadcast returns the shape of an elementwise operation on two, after NumPy's rule.
func broadcast(a, b []int) ([]int, error) {
	out := make([]int, max(len(a), len(b)))
	for i := range out {
		x, y := 1, 1
		if j := i - len(out) + len(a); j >= 0 {
			x = a[j]
		}
		if j := i - len(out) + len(b); j >= 0 {
			y = b[j]
		}
		switch {
		case x == y || y == 1:
			out[i] = x
		case x == 1:
			out[i] = y
		default:
			return nil, fmt.Errorf("shapes %v and %v do not fit each other", a, b)
		}
	}
	return out, nil
}

// binaries are the elementwise operations on two.
var binaries = map[string]func(x, y float64) float64{
	"Add":      func(x, y float64) float64 { return x + y },
	"AddV2":    func(x, y float64) float64 { return x + y },
	"Sub":      func(x, y float64) float64 { return x - y },
	"Mul":      func(x, y float64) float64 { return x * y },
	"RealDiv":  func(x, y float64) float64 { return x / y },
	"Div":      func(x, y float64) float64 { return x / y },
	"FloorDiv": func(x, y float64) float64 { return math.Floor(x / y) },
	"Maximum":  math.Max,
	"Minimum":  math.Min,
	"Pow":      math.Pow,
}

// elementwise computes an operation on two arrays.
func elementwise(op func(x, y float64) float64, a, b *array) (*array, error) {
	shape, err := broadcast(a.shape, b.shape)
	if err != nil {
		return nil, err
	}
	n, err := count(shape)
	if err != nil {
		return nil, err
	}
	out := &array{shape: shape, data: make([]float64, n), whole: a.whole && b.whole}
	x, y := spread(shape, a.shape, strides(a.shape)), spread(shape, b.shape, strides(b.shape))
	walk(shape, [][]int{x, y}, func(i int, at []int) { out.data[i] = op(a.data[at[0]], b.data[at[1]]) })
	return out, nil
}

// strides returns how far apart the elements of each dimension lie.
func strides(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// spread returns the strides with which an operand of its own shape and strides is read for a result of shape to: 0 where it
// is repeated.
func spread(to, shape, stride []int) []int {
	s := make([]int, len(to))
	for i := range to {
		if j := i - len(to) + len(shape); j >= 0 && shape[j] != 1 {
			s[i] = stride[j]
		}
	}
	return s
}

// walk calls visit for each element of shape, in order, with its place in operands of those strides.
func walk(shape []int, stride [][]int, visit func(i int, at []int)) {
	if slices.Contains(shape, 0) {
		return
	}
	index, at := make([]int, len(shape)), make([]int, len(stride))
	for i := 0; ; i++ {
		visit(i, at)
		d := len(shape) - 1
		for ; d >= 0; d-- {
			index[d]++
			for k := range at {
				at[k] += stride[k][d]
			}
			if index[d] < shape[d] {
				break
			}
			index[d] = 0
			for k := range at {
				at[k] -= stride[k][d] * shape[d]
			}
		}
		if d < 0 {
			return
		}
	}
}

// transposed returns an array whose dimension i is dimension order[i] of a.
func (a *array) transposed(order []int) *array {
	shape, stride := make([]int, len(order)), make([]int, len(order))
	own := strides(a.shape)
	for i, o := range order {
		shape[i], stride[i] = a.shape[o], own[o]
	}
	out := &array{shape: shape, data: make([]float64, len(a.data)), whole: a.whole}
	walk(shape, [][]int{stride}, func(i int, at []int) { out.data[i] = a.data[at[0]] })
	return out
}
