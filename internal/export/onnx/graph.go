package onnx

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unsafe"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
)

// The versions of the format that are written: what ONNX Runtime 1.12 and all later ones read. LayerNormalization came with this opset.
const (
	irVersion = 8
	opset     = 17
)

// source is where a graph's parameters come from.
type source struct {
	config  model.Config
	params  model.Parameters
	device  engine.Device
	weights Weights
	used    map[string]bool // the parameters that some graph has
}

// Weights is how weights are written that a model has as bytes.
type Weights string

// The ways of writing weights.
const (
	Float32     Weights = "float32"      // as the numbers that they stand for
	Int8        Weights = "int8"         // as bytes, of which numbers are made when the graph is opened
	DynamicInt8 Weights = "int8-dynamic" // as bytes, and products are of bytes
)

// Forms lists the ways of writing weights.
var Forms = []string{string(Float32), string(Int8), string(DynamicInt8)}

func newSource(cfg model.Config, params model.Parameters, d engine.Device, w Weights) (*source, error) {
	s := &source{config: cfg, params: params, device: d, weights: w, used: map[string]bool{}}
	if w != Float32 && !s.quantised() {
		return nil, fmt.Errorf("no weight of the model is int8, and %s is asked for; quantise the model first, or leave it out", w)
	}
	return s, nil
}

// unused lists the parameters that no graph has: a model that has one computes what the graphs do not.
func (s *source) unused() []string {
	var names []string
	for _, p := range s.params {
		if !s.used[p.Name] {
			names = append(names, p.Name)
		}
	}
	return names
}

// graph is one that is being built: values have names, and an operation makes a new one of others.
type graph struct {
	*source
	name    string
	inputs  []value
	outputs []value
	nodes   []message
	tensors []*tensor
	scope   []string
	counts  map[string]int     // of the operations of a kind in a scope
	made    map[string]string  // of once
	rounded map[string]rounded // values as bytes
}

func newGraph(s *source, name string) *graph {
	return &graph{source: s, name: name, counts: map[string]int{}, made: map[string]string{}, rounded: map[string]rounded{}}
}

// within names what build makes after the part of the model that it belongs to.
func (g *graph) within(part string, build func()) {
	g.scope = append(g.scope, part)
	build()
	g.scope = g.scope[:len(g.scope)-1]
}

// op adds an operation and returns its output.
func (g *graph) op(kind string, attributes []attribute, inputs ...string) string {
	name := strings.Join(append(slices.Clone(g.scope), kind), "/")
	g.counts[name]++
	if n := g.counts[name]; n > 1 {
		name = fmt.Sprintf("%s_%d", name, n)
	}
	g.add(kind, name, name+":0", attributes, inputs)
	return name + ":0"
}

func (g *graph) add(kind, name, output string, attributes []attribute, inputs []string) {
	var m message
	for _, input := range inputs {
		m.text(nodeInput, input)
	}
	m.text(nodeOutput, output)
	m.text(nodeName, name)
	m.text(nodeKind, kind)
	for _, a := range attributes {
		m.message(nodeAttribute, a.message())
	}
	g.nodes = append(g.nodes, m)
}

// axis is the attribute that most operations have.
func axis(n int) []attribute { return []attribute{{"axis", n}} }

// input adds an input. Dimensions are numbers and names.
func (g *graph) input(name string, e element, doc string, shape ...any) string {
	g.inputs = append(g.inputs, value{name, e, dimensions(shape), doc})
	return name
}

// output makes a value an output.
func (g *graph) output(name, from, doc string, shape ...any) {
	g.add("Identity", name, name, nil, []string{from})
	g.outputs = append(g.outputs, value{name, float32s, dimensions(shape), doc})
}

func dimensions(shape []any) []dimension {
	dims := make([]dimension, len(shape))
	for i, d := range shape {
		switch d := d.(type) {
		case int:
			dims[i].size = d
		case string:
			dims[i].name = d
		}
	}
	return dims
}

// constant adds a tensor unless one of the name is there, and returns its name.
func (g *graph) constant(t *tensor) string {
	if !slices.ContainsFunc(g.tensors, func(other *tensor) bool { return other.name == t.name }) {
		g.tensors = append(g.tensors, t)
	}
	return t.name
}

// ints is a vector of whole numbers, and index one alone.
func (g *graph) ints(values ...int) string {
	list := make([]int64, len(values))
	for i, v := range values {
		list[i] = int64(v)
	}
	return g.constant(number(strings.ReplaceAll(strings.Trim(fmt.Sprint("ints ", values), "]"), " [", ":"), []int{len(values)}, list...))
}

func (g *graph) index(v int) string {
	return g.constant(number(fmt.Sprintf("int:%d", v), nil, int64(v)))
}

// float is a number.
func (g *graph) float(v float32) string {
	return g.constant(number(fmt.Sprintf("float:%v", v), nil, v))
}

// parameter returns a parameter, which a graph has from then on.
func (s *source) parameter(name string) model.Parameter {
	i := slices.IndexFunc(s.params, func(p model.Parameter) bool { return p.Name == name })
	if i < 0 {
		panic(fmt.Sprintf("onnx: the model has no parameter %s", name)) // the names are the model's own
	}
	s.used[name] = true
	return s.params[i]
}

// bytes returns a parameter as the bytes that it is written as; nil: it is written as float32.
func (s *source) bytes(p model.Parameter) *engine.Stored {
	if stored := engine.StoredOf(s.device, p.Value); s.weights != Float32 && stored != nil && stored.Format == engine.Int8 {
		return stored
	}
	return nil
}

// quantised says whether any parameter is kept as bytes.
func (s *source) quantised() bool {
	return slices.ContainsFunc(s.params, func(p model.Parameter) bool {
		stored := engine.StoredOf(s.device, p.Value)
		return stored != nil && stored.Format == engine.Int8
	})
}

// param adds a parameter as a tensor of its name. Of bytes it is what makes numbers of them.
func (g *graph) param(name string) string {
	p := g.parameter(name)
	stored := g.bytes(p)
	if stored == nil {
		return g.constant(floats(name, p.Shape, func() []float32 { return engine.Values(g.device, p.Value) }))
	}
	data, scales := g.stored(p, stored)
	return g.once("numbers of "+name, func() string {
		if stored.ByRow {
			scales = g.op("Unsqueeze", nil, scales, g.ints(1))
		}
		// Not DequantizeLinear: ONNX Runtime 1.32 rounds what is multiplied by its output (findings/onnxruntime-dequantize.sh).
		return g.op("Mul", nil, g.op("Cast", []attribute{{"to", int(float32s)}}, data), scales)
	})
}

// stored adds the bytes of a parameter and their scales, under the names of the model's file.
func (g *graph) stored(p model.Parameter, s *engine.Stored) (data, scales string) {
	data = g.constant(&tensor{name: p.Name, element: int8s, shape: p.Shape, write: func(w io.Writer) error {
		_, err := w.Write(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s.Bytes))), len(s.Bytes)))
		return err
	}})
	return data, g.constant(floats(p.Name+".scale", []int{len(s.Scales)}, func() []float32 { return s.Scales }))
}

// once returns what build returned for the key before, in this scope or another.
func (g *graph) once(key string, build func() string) string {
	if g.made[key] == "" {
		g.made[key] = build()
	}
	return g.made[key]
}

// rows returns rows of a table.
func (g *graph) rows(table, ids string) string {
	p := g.parameter(table)
	stored := g.bytes(p)
	if stored == nil {
		return g.op("Gather", axis(0), g.param(table), ids)
	}
	data, scales := g.stored(p, stored)
	if stored.ByRow {
		scales = g.op("Unsqueeze", nil, g.op("Gather", axis(0), scales, ids), g.ints(-1))
	}
	return g.op("Mul", nil, g.op("Cast", []attribute{{"to", int(float32s)}}, g.op("Gather", axis(0), data, ids)), scales)
}

// product is x·w, or of a matrix x x·wᵀ. Of bytes with a scale for each of its columns bytes are multiplied, if that is
// asked for: the rows of x are rounded, too.
func (g *graph) product(x, w string, transposed bool) string {
	p := g.parameter(w)
	stored := g.bytes(p)
	if g.weights != DynamicInt8 || stored == nil || stored.ByRow != transposed {
		if transposed {
			return g.op("Gemm", []attribute{{"transB", 1}}, x, g.param(w))
		}
		return g.op("MatMul", nil, x, g.param(w))
	}
	data, scales := g.stored(p, stored)
	if transposed {
		data = g.transpose(data, 1, 0)
	}
	r, ok := g.rounded[x]
	if !ok {
		r = g.round(x)
		g.rounded[x] = r
	}
	sums := g.op("MatMulInteger", nil, r.bytes, data)
	above := g.op("Mul", nil, g.op("Cast", []attribute{{"to", int(int32s)}}, r.zero), g.constant(sumsOf(p.Name, stored)))
	return g.op("Mul", nil, g.op("Mul", nil, g.op("Cast", []attribute{{"to", int(float32s)}}, g.op("Sub", nil, sums, above)), r.scale), scales)
}

// rounded are rows as bytes from 0 to 255: an element is (byte - zero)·scale, of its row.
type rounded struct{ bytes, zero, scale string }

// round cuts the range of each row of x, with zero in it, into 255 steps, as our own products of bytes do. DynamicQuantizeLinear, which is
// one operation, takes the range of all rows together: of BERT-base the vectors of texts have a cosine of 0.93 with the right ones then.
func (g *graph) round(x string) rounded {
	end := []attribute{{"axes", []int{-1}}, {"keepdims", 1}}
	least := g.op("Min", nil, g.op("ReduceMin", end, x), g.float(0))
	most := g.op("Max", nil, g.op("ReduceMax", end, x), g.float(0))
	scale := g.op("Div", nil, g.op("Max", nil, g.op("Sub", nil, most, least), g.float(1e-30)), g.float(255))
	zero := g.op("Round", nil, g.op("Neg", nil, g.op("Div", nil, least, scale)))
	steps := g.sum(g.op("Round", nil, g.op("Div", nil, x, scale)), zero)
	bytes := g.op("Cast", []attribute{{"to", int(uint8s)}}, g.op("Clip", nil, steps, g.float(0), g.float(255)))
	return rounded{bytes, zero, scale}
}

// sumsOf are the sums of the bytes of the columns that a product with a weight has.
func sumsOf(name string, s *engine.Stored) *tensor {
	sums := make([]int32, len(s.Scales))
	for i, v := range s.Bytes {
		if s.ByRow {
			sums[i/s.Cols] += int32(v)
		} else {
			sums[i%s.Cols] += int32(v)
		}
	}
	return number(name+".sum", []int{len(sums)}, sums...)
}

// floats is a tensor of numbers that are there when it is written.
func floats(name string, shape []int, values func() []float32) *tensor {
	return &tensor{name: name, element: float32s, shape: shape, write: func(w io.Writer) error {
		v := values()
		if i := slices.IndexFunc(v, func(x float32) bool { return x-x != 0 }); i >= 0 {
			return fmt.Errorf("tensor %s: value %d is %v; the model is broken", name, i, v[i])
		}
		_, err := w.Write(checkpoint.FromFloat32(name, shape, v).Data)
		return err
	}}
}

// sum is that of two values.
func (g *graph) sum(a, b string) string { return g.op("Add", nil, a, b) }

// affine is x·w + b.
func (g *graph) affine(x, w, b string) string {
	return g.sum(g.product(x, w, false), g.param(b))
}

// linear is affine for weights of the usual names.
func (g *graph) linear(x, name string) string { return g.affine(x, name+".w_0", name+".b_0") }

// norm is a layer norm.
func (g *graph) norm(x, name string) string {
	epsilon := g.config.NormEpsilon()
	return g.op("LayerNormalization", []attribute{{"axis", -1}, {"epsilon", epsilon}}, x, g.param(name+"_layer_norm_scale"), g.param(name+"_layer_norm_bias"))
}

// activations are the names that [graph.activation] knows, in lower case; "" and "identity" are none.
var activations = []string{"", "identity", "relu", "gelu", "tanh", "sigmoid"}

// activation is that of a name of config.json, or of torch's.
func (g *graph) activation(x, name string) string {
	switch strings.ToLower(name) {
	case "", "identity":
		return x
	case "gelu": // x/2 · (1 + erf(x/√2)), in the form that ONNX Runtime computes at once
		erf := g.op("Erf", nil, g.op("Div", nil, x, g.float(float32(math.Sqrt2))))
		return g.op("Mul", nil, g.op("Mul", nil, x, g.sum(erf, g.float(1))), g.float(0.5))
	case "tanh":
		return g.op("Tanh", nil, x)
	case "sigmoid":
		return g.op("Sigmoid", nil, x)
	case "relu":
		return g.op("Relu", nil, x)
	}
	panic("onnx: no activation " + name) // configurations are validated
}

// size is the length of a dimension of x, a vector of one.
func (g *graph) size(x string, dim int) string {
	return g.op("Shape", []attribute{{"start", dim}, {"end", dim + 1}}, x)
}

// concat joins values along an axis. One alone stays as it is.
func (g *graph) concat(dim int, parts ...string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return g.op("Concat", axis(dim), parts...)
}

// at is the place of a dimension of x.
func (g *graph) at(x string, place, dim int) string {
	return g.op("Gather", axis(dim), x, g.index(place))
}
