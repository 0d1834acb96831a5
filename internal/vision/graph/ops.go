package graph

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// operation is what becomes of one of TensorFlow's: fold computes it from arrays that are known, build makes vertices.
type operation struct {
	inputs int // as many at least
	fold   func(n *node, in []*array) (*array, error)
	build  func(b *builder, n *node, in []value) ([]value, error)
}

// operations are those that run, by their names in TensorFlow. Placeholder and Const are the builder's own.
var operations map[string]*operation

func init() { // a variable's value must not refer to itself, as that of a table of functions that look into it would
	operations = map[string]*operation{
		"Identity":      {1, func(_ *node, in []*array) (*array, error) { return in[0], nil }, one(func(_ *builder, _ *node, in []value) (value, error) { return in[0], nil })},
		"Shape":         {1, func(_ *node, in []*array) (*array, error) { return vector(in[0].shape), nil }, one(func(_ *builder, _ *node, in []value) (value, error) { return known(vector(in[0].shape)), nil })},
		"Cast":          {1, foldCast, nil},
		"Pack":          {1, foldPack, nil},
		"SparseToDense": {4, foldSparseToDense, nil},
		"ConcatV2":      {2, foldConcat, one(buildConcat)},
		"Reshape":       {2, foldReshape, one(buildReshape)},
		"Squeeze":       {1, nil, one(buildSqueeze)},
		"ExpandDims":    {2, nil, one(buildExpandDims)},
		"Transpose":     {2, foldTranspose, one(buildTranspose)},
		"StridedSlice":  {4, foldStridedSlice, one(buildStridedSlice)},
		"SplitV":        {3, nil, buildSplit},
		"Split":         {2, nil, buildSplit},
		"Pad":           {2, nil, one(buildPad)},
		"PadV2":         {3, nil, one(buildPad)},

		"Conv2D":                     {2, nil, one(buildConv)},
		"_FusedConv2D":               {2, nil, one(buildConv)},
		"DepthwiseConv2dNative":      {2, nil, one(buildConv)},
		"FusedDepthwiseConv2dNative": {2, nil, one(buildConv)},
		"MatMul":                     {2, nil, one(buildMatMul)},
		"_FusedMatMul":               {2, nil, one(buildMatMul)},
		"BiasAdd":                    {2, nil, one(func(b *builder, n *node, in []value) (value, error) { return b.binary("Add", in[0], in[1]) })},
		"FusedBatchNorm":             {5, nil, one(buildBatchNorm)},
		"FusedBatchNormV3":           {5, nil, one(buildBatchNorm)},
		"MaxPool":                    {1, nil, one(buildPool)},
		"AvgPool":                    {1, nil, one(buildPool)},
		"Mean":                       {2, nil, one(buildMean)},
		"ResizeBilinear":             {2, nil, one(buildResize)},
		"ResizeNearestNeighbor":      {2, nil, one(buildResize)},
		"Softmax":                    {1, nil, one(buildSoftmax)},

		"Relu":      {1, nil, activation(engine.ReLU)},
		"Relu6":     {1, nil, activation(engine.ReLU6)},
		"LeakyRelu": {1, nil, activation(engine.LeakyReLU)},
		"Sigmoid":   {1, nil, activation(engine.Sigmoid)},
		"Exp":       {1, nil, unary(math.Exp)},
		"Sqrt":      {1, nil, unary(math.Sqrt)},
		"Rsqrt":     {1, nil, unary(func(x float64) float64 { return 1 / math.Sqrt(x) })},
		"Tanh":      {1, nil, unary(math.Tanh)},
		"Elu": {1, nil, unary(func(x float64) float64 {
			if x < 0 {
				return math.Expm1(x)
			}
			return x
		})},
	}
	for name, f := range binaries {
		operations[name] = &operation{2,
			func(_ *node, in []*array) (*array, error) { return elementwise(f, in[0], in[1]) },
			one(func(b *builder, n *node, in []value) (value, error) { return b.binary(n.Op, in[0], in[1]) })}
	}
}

// one is for operations with one output.
func one(build func(b *builder, n *node, in []value) (value, error)) func(b *builder, n *node, in []value) ([]value, error) {
	return func(b *builder, n *node, in []value) ([]value, error) {
		x, err := build(b, n, in)
		return []value{x}, err
	}
}

func activation(act engine.Activation) func(b *builder, n *node, in []value) ([]value, error) {
	return one(func(b *builder, n *node, in []value) (value, error) {
		return activated(b.computed(in[0]), act, float32(n.float("alpha", 0.2))), nil
	})
}

func activated(x value, act engine.Activation, slope float32) value {
	return result(&vertex{kind: activate, in: []*vertex{x.v}, act: act, slope: slope}, x.shape, x.axes)
}

func unary(f func(x float64) float64) func(b *builder, n *node, in []value) ([]value, error) {
	return one(func(b *builder, n *node, in []value) (value, error) {
		x := b.computed(in[0])
		return result(&vertex{kind: host, in: []*vertex{x.v}, compute: func(in [][]float32) []float32 {
			out := make([]float32, len(in[0]))
			for i, v := range in[0] {
				out[i] = float32(f(float64(v)))
			}
			return out
		}}, x.shape, x.axes), nil
	})
}

// binary builds an elementwise operation on two.
func (b *builder) binary(op string, x, y value) (value, error) {
	shape, err := broadcast(x.shape, y.shape)
	if err != nil {
		return value{}, err
	}
	if y.known != nil {
		if k := perColumn(y.known, x); k != nil {
			switch op {
			case "Add", "AddV2":
				return affine(x, []float32{1}, k), nil
			case "Sub":
				return affine(x, []float32{1}, mapped(k, func(v float32) float32 { return -v })), nil
			case "Mul":
				return affine(x, k, []float32{0}), nil
			case "RealDiv", "Div":
				return affine(x, mapped(k, func(v float32) float32 { return 1 / v }), []float32{0}), nil
			}
		}
	}
	if x.known != nil {
		if k := perColumn(x.known, y); k != nil {
			switch op {
			case "Add", "AddV2":
				return affine(y, []float32{1}, k), nil
			case "Sub":
				return affine(y, []float32{-1}, k), nil
			case "Mul":
				return affine(y, k, []float32{0}), nil
			}
		}
	}
	x, y = b.computed(x), b.computed(y)
	switch {
	case slices.Equal(x.shape, y.shape) && slices.Equal(x.axes, y.axes):
		switch op {
		case "Add", "AddV2":
			return result(&vertex{kind: sum, in: []*vertex{x.v, y.v}}, shape, x.axes), nil
		case "Mul":
			return result(&vertex{kind: product, in: []*vertex{x.v, y.v}}, shape, x.axes), nil
		}
	case op == "Mul" && scalesColumns(y, x):
		return result(&vertex{kind: scaleColumns, in: []*vertex{x.v, y.v}}, shape, x.axes), nil
	case op == "Mul" && scalesColumns(x, y):
		return result(&vertex{kind: scaleColumns, in: []*vertex{y.v, x.v}}, shape, y.axes), nil
	}
	f, ok := binaries[op]
	if !ok {
		return value{}, fmt.Errorf("no operation %q", op)
	}
	axes := straight(len(shape))
	switch {
	case slices.Equal(x.shape, shape):
		axes = x.axes
	case slices.Equal(y.shape, shape):
		axes = y.axes
	}
	// Walked in the order in which the result lies.
	lies := value{shape: shape, axes: axes}
	order := func(of []int) []int {
		out := make([]int, len(of))
		for i, a := range axes {
			out[a] = of[i]
		}
		return out
	}
	dims, sx, sy := lies.dims(), order(spread(shape, x.shape, x.memory())), order(spread(shape, y.shape, y.memory()))
	n, err := count(dims)
	if err != nil {
		return value{}, err
	}
	return result(&vertex{kind: host, in: []*vertex{x.v, y.v}, compute: func(in [][]float32) []float32 {
		out := make([]float32, n)
		walk(dims, [][]int{sx, sy}, func(i int, at []int) { out[i] = float32(f(float64(in[0][at[0]]), float64(in[1][at[1]]))) })
		return out
	}}, shape, axes), nil
}

// scalesColumns says whether s has one number for each column of x and differs along no other dimension.
func scalesColumns(s, x value) bool {
	if len(s.shape) > len(x.shape) || len(x.shape) == 0 {
		return false
	}
	for i, n := range s.shape {
		if j := i - len(s.shape) + len(x.shape); n != 1 && (x.axes[j] != len(x.shape)-1 || n != x.shape[j]) {
			return false
		}
	}
	_, cols := matrix(x.dims())
	rows, own := matrix(s.dims())
	return rows == 1 && own == cols
}

func mapped(values []float32, f func(float32) float32) []float32 {
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = f(v)
	}
	return out
}

// sides returns the size that an attribute of four numbers, for each dimension of NHWC, gives height and width.
func (n *node) sides(key string) (height, width int, err error) {
	list := n.integers(key)
	if len(list) == 0 {
		return 1, 1, nil
	}
	if len(list) != 4 || list[0] != 1 || list[3] != 1 || list[1] < 1 || list[2] < 1 || max(list[1], list[2]) > maxSide {
		return 0, 0, fmt.Errorf("%s %v, want 1 for pictures and channels, and 1 to %d for height and width", key, list, maxSide)
	}
	return list[1], list[2], nil
}

// window returns how a convolution or a pool moves over the picture x, and the vertex that it reads: where numbers of the value
// fill only lie around it, the window has them as padding.
func (n *node) window(b *builder, x value, rows, cols int, fill float64) (w engine.Window, v *vertex, channels int, err error) {
	if format := n.text("data_format"); format != "" && format != "NHWC" {
		return w, nil, 0, fmt.Errorf("data_format %q, want NHWC", format)
	}
	v, height, width, channels, err := b.picture(x)
	if err != nil {
		return w, nil, 0, err
	}
	w = engine.Window{Height: height, Width: width, Rows: rows, Cols: cols}
	for _, a := range []struct {
		key string
		to  *int
	}{{"strides", &w.Stride}, {"dilations", &w.Dilation}} {
		down, across, err := n.sides(a.key)
		if err != nil {
			return w, nil, 0, err
		}
		if down != across {
			return w, nil, 0, fmt.Errorf("%s of %d down and %d across, want the same", a.key, down, across)
		}
		*a.to = down
	}
	switch padding := n.text("padding"); padding {
	case "SAME":
		w = w.Same()
	case "VALID":
	case "EXPLICIT":
		p := n.integers("explicit_paddings")
		if len(p) != 8 || p[0]|p[1]|p[6]|p[7] != 0 || slices.Min(p) < 0 || slices.Max(p) > maxSide {
			return w, nil, 0, fmt.Errorf("explicit_paddings %v, want 0 to %d of height and width", p, maxSide)
		}
		w.Top, w.Bottom, w.Left, w.Right = p[2], p[3], p[4], p[5]
	default:
		return w, nil, 0, fmt.Errorf("padding %q, want SAME, VALID or EXPLICIT", padding)
	}
	if p := v.pad; p != nil && p.fill == fill {
		v, w.Height, w.Width = v.in[0], p.height, p.width
		w.Top, w.Bottom, w.Left, w.Right = w.Top+p.top, w.Bottom+p.bottom, w.Left+p.left, w.Right+p.right
	}
	if down, across := w.Out(); down < 1 || across < 1 {
		return w, nil, 0, fmt.Errorf("a window of %d x %d is larger than the picture of %d x %d", rows, cols, height, width)
	}
	return w, v, channels, nil
}

// after adds what a fused operation does last: BiasAdd and an activation.
func (n *node) after(b *builder, x value, rest []value) (value, error) {
	for _, op := range n.texts("fused_ops") {
		switch op {
		case "BiasAdd":
			if len(rest) == 0 {
				return value{}, errors.New("has no bias")
			}
			var err error
			if x, err = b.binary("Add", x, rest[0]); err != nil {
				return value{}, err
			}
			rest = rest[1:]
		case "Relu":
			x = activated(x, engine.ReLU, 0)
		case "Relu6":
			x = activated(x, engine.ReLU6, 0)
		case "LeakyRelu":
			x = activated(x, engine.LeakyReLU, float32(n.float("leakyrelu_alpha", 0.2)))
		case "Sigmoid":
			x = activated(x, engine.Sigmoid, 0)
		default:
			return value{}, fmt.Errorf("fused with %s, which is not supported", op)
		}
	}
	return x, nil
}

func buildConv(b *builder, n *node, in []value) (value, error) {
	w := in[1].known
	if w == nil || len(w.shape) != 4 || len(w.data) == 0 {
		return value{}, fmt.Errorf("weights of shape %v, want four dimensions and constants", in[1].shape)
	}
	rows, cols, each, more := w.shape[0], w.shape[1], w.shape[2], w.shape[3]
	window, v, channels, err := n.window(b, in[0], rows, cols, 0)
	if err != nil {
		return value{}, err
	}
	f := &filter{rows: rows, cols: cols, in: channels, out: more, groups: 1}
	fits, order := false, []int{3, 2, 0, 1} // out, in, rows, cols
	if n.Op == "DepthwiseConv2dNative" || n.Op == "FusedDepthwiseConv2dNative" {
		f.groups, f.out = channels, channels*more
		order = []int{2, 3, 0, 1} // in, multiplier, rows, cols
		fits = each == channels
	} else if fits = channels%each == 0 && more%(channels/each) == 0; fits {
		f.groups = channels / each
	}
	if !fits {
		return value{}, fmt.Errorf("weights of shape %v do not fit %d channels", w.shape, channels)
	}
	f.weights = w.transposed(order).float32s()
	f.bias = make([]float32, f.out)
	height, width := window.Out()
	x := result(&vertex{kind: conv, in: []*vertex{v}, filter: f, window: window}, []int{1, height, width, f.out}, straight(4))
	return n.after(b, x, in[2:])
}

func buildMatMul(b *builder, n *node, in []value) (value, error) {
	w := in[1].known
	if w == nil || len(w.shape) != 2 || len(w.data) == 0 || len(in[0].shape) != 2 {
		return value{}, fmt.Errorf("factors of shape %v and %v, want matrices, the second one constant", in[0].shape, in[1].shape)
	}
	if n.flag("transpose_a") {
		return value{}, errors.New("transposes its first factor, which is not supported")
	}
	if !n.flag("transpose_b") {
		w = w.transposed([]int{1, 0})
	}
	x := b.inOrder(in[0])
	if x.shape[1] != w.shape[1] || x.shape[0] < 1 {
		return value{}, fmt.Errorf("factors of shape %v and %v", in[0].shape, in[1].shape)
	}
	f := &filter{rows: 1, cols: 1, in: w.shape[1], out: w.shape[0], groups: 1, weights: w.float32s(), bias: make([]float32, w.shape[0])}
	window := engine.Window{Height: x.shape[0], Width: 1, Rows: 1, Cols: 1}
	y := result(&vertex{kind: conv, in: []*vertex{x.v}, filter: f, window: window}, []int{x.shape[0], f.out}, straight(2))
	return n.after(b, y, in[2:])
}

func buildBatchNorm(b *builder, n *node, in []value) (value, error) {
	if n.flag("is_training") {
		return value{}, errors.New("is that of training; convert the model for inference")
	}
	var p [4][]float32 // scale, offset, mean, variance
	for i := range p {
		k := in[i+1].known
		if k == nil || len(in[0].shape) == 0 || len(k.data) != in[0].shape[len(in[0].shape)-1] {
			return value{}, fmt.Errorf("statistics of shape %v, want a constant for each channel of %v", in[i+1].shape, in[0].shape)
		}
		p[i] = k.float32s()
	}
	scale, bias := make([]float32, len(p[0])), make([]float32, len(p[0]))
	for i := range scale {
		s := float64(p[0][i]) / math.Sqrt(float64(p[3][i])+n.float("epsilon", 1e-3))
		scale[i], bias[i] = float32(s), float32(float64(p[1][i])-float64(p[2][i])*s)
	}
	return affine(b.inOrder(in[0]), scale, bias), nil
}

func buildPool(b *builder, n *node, in []value) (value, error) {
	rows, cols, err := n.sides("ksize")
	if err != nil {
		return value{}, err
	}
	kind, fill := maxPool, math.Inf(-1)
	if n.Op == "AvgPool" {
		kind, fill = averagePool, math.NaN() // what lies around does not count, so no numbers can stand for it
	}
	window, v, channels, err := n.window(b, in[0], rows, cols, fill)
	if err != nil {
		return value{}, err
	}
	height, width := window.Out()
	return result(&vertex{kind: kind, in: []*vertex{v}, window: window}, []int{1, height, width, channels}, straight(4)), nil
}

// axis returns a dimension of an array that may be counted from the end.
func axis(i, rank int) (int, error) {
	if i < 0 {
		i += rank
	}
	if i < 0 || i >= rank {
		return 0, fmt.Errorf("dimension %d of %d", i, rank)
	}
	return i, nil
}

// buildMean is for means over height and width.
func buildMean(b *builder, n *node, in []value) (value, error) {
	x, over := b.computed(in[0]), in[1].known
	if over == nil || len(x.shape) == 0 {
		return value{}, errors.New("does not say over which dimensions")
	}
	gone := map[int]bool{}
	for _, i := range over.ints() {
		d, err := axis(i, len(x.shape))
		if err != nil {
			return value{}, err
		}
		gone[d] = true
	}
	var shape, axes []int
	for i, d := range x.shape {
		if last := x.axes[i] == len(x.shape)-1; last == gone[i] && d != 1 {
			return value{}, fmt.Errorf("of shape %v over %v; means over height and width are supported", x.shape, over.ints())
		}
		switch {
		case !gone[i]:
			shape = append(shape, d)
			axes = append(axes, x.axes[i])
		case n.flag("keep_dims"):
			shape = append(shape, 1)
			axes = append(axes, x.axes[i])
		}
	}
	return result(&vertex{kind: mean, in: []*vertex{x.v}}, shape, ranked(axes)), nil
}

// ranked returns the order of numbers, from 0 without gaps.
func ranked(of []int) []int {
	sorted := slices.Sorted(slices.Values(of))
	out := make([]int, len(of))
	for i, v := range of {
		out[i], _ = slices.BinarySearch(sorted, v)
	}
	return out
}

func buildResize(b *builder, n *node, in []value) (value, error) {
	v, height, width, channels, err := b.picture(in[0])
	if err != nil {
		return value{}, err
	}
	to := in[1].known
	if to == nil || len(to.data) != 2 || slices.Min(to.data) < 1 || slices.Max(to.data) > maxSide {
		return value{}, fmt.Errorf("does not say to which size, 1 to %d pixels", maxSide)
	}
	r := engine.Resize{Height: height, Width: width, ToHeight: int(to.data[0]), ToWidth: int(to.data[1]), Nearest: n.Op == "ResizeNearestNeighbor", Grid: engine.Corner}
	switch {
	case n.flag("align_corners"):
		r.Grid = engine.AlignCorners
	case n.flag("half_pixel_centers"):
		r.Grid = engine.HalfPixel
	}
	if r.Nearest && r.Grid != engine.Corner {
		return value{}, errors.New("with align_corners or half_pixel_centers is not supported")
	}
	return result(&vertex{kind: resize, in: []*vertex{v}, size: r}, []int{1, r.ToHeight, r.ToWidth, channels}, straight(4)), nil
}

func buildSoftmax(b *builder, n *node, in []value) (value, error) {
	x := b.inOrder(in[0])
	_, cols := matrix(x.shape)
	return result(&vertex{kind: host, in: []*vertex{x.v}, compute: func(in [][]float32) []float32 {
		out := make([]float32, len(in[0]))
		for first := 0; first < len(out); first += cols {
			row := in[0][first : first+cols]
			high, total := slices.Max(row), 0.
			for _, v := range row {
				total += math.Exp(float64(v - high))
			}
			for i, v := range row {
				out[first+i] = float32(math.Exp(float64(v-high)) / total)
			}
		}
		return out
	}}, x.shape, straight(len(x.shape))), nil
}
