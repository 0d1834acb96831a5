package graph

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// The operations that only say where numbers are.

func foldCast(n *node, in []*array) (*array, error) {
	a := *in[0]
	if to := n.Attrs["DstT"].Type; to != nil && (*to == "DT_INT32" || *to == "DT_INT64") {
		a.data, a.whole = slices.Clone(a.data), true
		for i, v := range a.data {
			a.data[i] = math.Trunc(v)
		}
	}
	return &a, nil
}

// foldPack joins arrays along a new dimension, the first.
func foldPack(n *node, in []*array) (*array, error) {
	if n.integer("axis", 0) != 0 {
		return nil, errors.New("along another dimension than the first, which is not supported")
	}
	out := &array{shape: append([]int{len(in)}, in[0].shape...), whole: true}
	for _, a := range in {
		if !slices.Equal(a.shape, in[0].shape) {
			return nil, fmt.Errorf("shapes %v and %v", in[0].shape, a.shape)
		}
		out.data, out.whole = append(out.data, a.data...), out.whole && a.whole
	}
	return out, nil
}

// foldSparseToDense is for what PyTorch's converters leave of it: one value everywhere.
func foldSparseToDense(_ *node, in []*array) (*array, error) {
	if len(in[0].data) > 0 || !in[3].scalar() {
		return nil, errors.New("with values of its own is not supported")
	}
	n, err := count(in[1].ints())
	if err != nil {
		return nil, err
	}
	return &array{shape: in[1].ints(), data: slices.Repeat(in[3].data, n), whole: in[3].whole}, nil
}

func foldConcat(_ *node, in []*array) (*array, error) {
	parts := in[:len(in)-1]
	out := &array{whole: true}
	for _, a := range parts {
		if len(a.shape) != 1 {
			return nil, errors.New("of constants with several dimensions is not supported")
		}
		out.data, out.whole = append(out.data, a.data...), out.whole && a.whole
	}
	out.shape = []int{len(out.data)}
	return out, nil
}

// reshaped returns the shape that a list of sizes means for n elements; one of them may be -1.
func reshaped(n int, sizes []int) ([]int, error) {
	shape, rest, open := slices.Clone(sizes), 1, -1
	for i, d := range sizes {
		switch {
		case d == -1 && open < 0:
			open = i
		case d < 0 || d > maxElements || rest > maxElements:
			return nil, fmt.Errorf("shape %v", sizes)
		default:
			rest *= d
		}
	}
	if open >= 0 && rest > 0 {
		shape[open] = n / rest
	}
	if total, err := count(shape); err != nil || total != n {
		return nil, fmt.Errorf("%d elements do not have shape %v", n, sizes)
	}
	return shape, nil
}

func foldReshape(_ *node, in []*array) (*array, error) {
	shape, err := reshaped(len(in[0].data), in[1].ints())
	return &array{shape: shape, data: in[0].data, whole: in[0].whole}, err
}

func buildReshape(b *builder, _ *node, in []value) (value, error) {
	if in[1].known == nil {
		return value{}, errors.New("depends on the picture, which is not supported")
	}
	n, err := count(in[0].shape)
	if err != nil {
		return value{}, err
	}
	shape, err := reshaped(n, in[1].known.ints())
	if err != nil {
		return value{}, err
	}
	return b.viewed(in[0], shape), nil
}

// viewed gives a value another shape of as many elements.
func (b *builder) viewed(x value, shape []int) value {
	x = b.computed(x)
	if axes := merged(x, shape); axes != nil {
		return b.laid(value{v: x.v, shape: shape, axes: axes})
	}
	x = b.inOrder(x)
	return b.laid(value{v: x.v, shape: shape, axes: straight(len(shape))})
}

// laid returns a value whose vertex has the rows and columns that its dimensions say.
func (b *builder) laid(x value) value {
	rows, cols := matrix(x.dims())
	if rows == x.v.rows && cols == x.v.cols {
		return x
	}
	return result(&vertex{kind: host, in: []*vertex{x.v}, compute: func(in [][]float32) []float32 { return in[0] }}, x.shape, x.axes)
}

// merged returns the axes of x in a shape in which neighbours are joined to one dimension, where these lie beside each other in
// memory; nil for other shapes.
func merged(x value, shape []int) []int {
	var first []int
	i := 0
	for _, d := range shape {
		if i == len(x.shape) {
			return nil
		}
		n, start := x.shape[i], i
		for i++; i < len(x.shape) && n < d; i++ {
			if x.axes[i] != x.axes[i-1]+1 {
				return nil
			}
			n *= x.shape[i]
		}
		if n != d {
			return nil
		}
		first = append(first, x.axes[start])
	}
	if i != len(x.shape) {
		return nil
	}
	return ranked(first)
}

func buildSqueeze(b *builder, n *node, in []value) (value, error) {
	only := n.integers("squeeze_dims")
	gone := map[int]bool{}
	for _, i := range only {
		d, err := axis(i, len(in[0].shape))
		if err != nil {
			return value{}, err
		}
		gone[d] = true
	}
	var shape []int
	for i, d := range in[0].shape {
		if gone[i] && d != 1 {
			return value{}, fmt.Errorf("dimension %d of %v is not 1", i, in[0].shape)
		}
		if !gone[i] && (len(only) > 0 || d != 1) {
			shape = append(shape, d)
		}
	}
	return b.viewed(in[0], shape), nil
}

func buildExpandDims(b *builder, _ *node, in []value) (value, error) {
	if in[1].known == nil || !in[1].known.scalar() {
		return value{}, errors.New("does not say which dimension")
	}
	at, err := axis(in[1].known.ints()[0], len(in[0].shape)+1)
	if err != nil {
		return value{}, err
	}
	return b.viewed(in[0], slices.Insert(slices.Clone(in[0].shape), at, 1)), nil
}

// order returns a permutation of so many dimensions.
func order(a *array, rank int) ([]int, error) {
	if a == nil {
		return nil, errors.New("depends on the picture, which is not supported")
	}
	o := a.ints()
	if !slices.Equal(slices.Sorted(slices.Values(o)), straight(rank)) {
		return nil, fmt.Errorf("the order %v of %d dimensions", o, rank)
	}
	return o, nil
}

func foldTranspose(_ *node, in []*array) (*array, error) {
	o, err := order(in[1], len(in[0].shape))
	if err != nil {
		return nil, err
	}
	return in[0].transposed(o), nil
}

// buildTranspose moves nothing.
func buildTranspose(b *builder, _ *node, in []value) (value, error) {
	x := b.computed(in[0])
	o, err := order(in[1].known, len(x.shape))
	if err != nil {
		return value{}, err
	}
	y := value{v: x.v, shape: make([]int, len(o)), axes: make([]int, len(o))}
	for i, d := range o {
		y.shape[i], y.axes[i] = x.shape[d], x.axes[d]
	}
	return y, nil
}

// cut returns size elements of each dimension of x, from first on.
func (b *builder) cut(x value, first, size []int) value {
	x = b.computed(x)
	columns, others := 0, false
	for i := range size {
		switch {
		case size[i] == x.shape[i]:
		case x.axes[i] == len(x.shape)-1:
			columns = first[i]
		default:
			others = true
		}
	}
	if !others {
		return result(&vertex{kind: slice, in: []*vertex{x.v}, first: columns}, size, x.axes)
	}
	at, stride := 0, x.memory()
	for i, f := range first {
		at += f * stride[i]
	}
	return b.moved(x.v, size, stride, at)
}

func buildSplit(b *builder, n *node, in []value) ([]value, error) {
	x, along := in[0], in[len(in)-1]
	if n.Op == "Split" {
		x, along = in[1], in[0]
	}
	if along.known == nil || !along.known.scalar() {
		return nil, errors.New("does not say which dimension")
	}
	d, err := axis(along.known.ints()[0], len(x.shape))
	if err != nil {
		return nil, err
	}
	var sizes []int
	if n.Op == "Split" {
		parts := n.integer("num_split", 0)
		if parts < 1 || parts > x.shape[d] || x.shape[d]%parts != 0 {
			return nil, fmt.Errorf("%d parts of %d elements", parts, x.shape[d])
		}
		sizes = slices.Repeat([]int{x.shape[d] / parts}, parts)
	} else if in[1].known == nil || len(in[1].known.data) > x.shape[d] {
		return nil, errors.New("does not say how large the parts are")
	} else if sizes, err = reshapedParts(x.shape[d], in[1].known.ints()); err != nil {
		return nil, err
	}
	var out []value
	first, size := make([]int, len(x.shape)), slices.Clone(x.shape)
	for _, s := range sizes {
		size[d] = s
		out = append(out, b.cut(x, first, slices.Clone(size)))
		first[d] += s
	}
	return out, nil
}

// reshapedParts returns the sizes of parts of n elements; one of them may be -1.
func reshapedParts(n int, sizes []int) ([]int, error) {
	sizes, total, open := slices.Clone(sizes), 0, -1
	for i, s := range sizes {
		switch {
		case s == -1 && open < 0:
			open = i
		case s < 1 || s > n:
			return nil, fmt.Errorf("parts of %v elements", sizes)
		default:
			total += s
		}
	}
	if open >= 0 && total < n {
		sizes[open] = n - total
		total = n
	}
	if total != n {
		return nil, fmt.Errorf("parts of %v of %d elements", sizes, n)
	}
	return sizes, nil
}

// span is what a strided slice takes of each dimension, and which dimensions it drops.
func (n *node) span(shape []int, begin, end, step *array) (first, size []int, drop []bool, err error) {
	if begin == nil || end == nil || step == nil {
		return nil, nil, nil, errors.New("depends on the picture, which is not supported")
	}
	b, e, s := begin.ints(), end.ints(), step.ints()
	if len(b) > len(shape) || len(e) != len(b) || len(s) != len(b) || n.integer("ellipsis_mask", 0)|n.integer("new_axis_mask", 0) != 0 {
		return nil, nil, nil, errors.New("with new dimensions or an ellipsis is not supported")
	}
	first, size, drop = make([]int, len(shape)), slices.Clone(shape), make([]bool, len(shape))
	for i := range b {
		from, to := b[i], e[i]
		if from < 0 {
			from += shape[i]
		}
		if to < 0 {
			to += shape[i]
		}
		if n.integer("begin_mask", 0)>>i&1 == 1 {
			from = 0
		}
		if n.integer("end_mask", 0)>>i&1 == 1 {
			to = shape[i]
		}
		if drop[i] = n.integer("shrink_axis_mask", 0)>>i&1 == 1; drop[i] {
			to = from + 1
		}
		to = min(to, shape[i])
		if s[i] != 1 || from < 0 || from >= to {
			return nil, nil, nil, fmt.Errorf("elements %d to %d of %d in steps of %d; steps of 1 are supported", from, to, shape[i], s[i])
		}
		first[i], size[i] = from, to-from
	}
	return first, size, drop, nil
}

// remaining returns the dimensions that are not dropped.
func remaining(size []int, drop []bool) []int {
	shape := []int{}
	for i, d := range size {
		if !drop[i] {
			shape = append(shape, d)
		}
	}
	return shape
}

func foldStridedSlice(n *node, in []*array) (*array, error) {
	a := in[0]
	first, size, drop, err := n.span(a.shape, in[1], in[2], in[3])
	if err != nil {
		return nil, err
	}
	out := &array{shape: remaining(size, drop), whole: a.whole}
	at, own := 0, strides(a.shape)
	for i, f := range first {
		at += f * own[i]
	}
	walk(size, [][]int{own}, func(_ int, from []int) { out.data = append(out.data, a.data[at+from[0]]) })
	return out, nil
}

func buildStridedSlice(b *builder, n *node, in []value) (value, error) {
	first, size, drop, err := n.span(in[0].shape, in[1].known, in[2].known, in[3].known)
	if err != nil {
		return value{}, err
	}
	return b.viewed(b.cut(in[0], first, size), remaining(size, drop)), nil
}

func buildConcat(b *builder, _ *node, in []value) (value, error) {
	along := in[len(in)-1].known
	in = in[:len(in)-1]
	if along == nil || !along.scalar() {
		return value{}, errors.New("does not say along which dimension")
	}
	d, err := axis(along.ints()[0], len(in[0].shape))
	if err != nil {
		return value{}, err
	}
	axes := in[0].axes
	for _, x := range in {
		if !slices.Equal(x.axes, axes) {
			axes = straight(len(in[0].shape))
		}
	}
	shape := slices.Clone(in[0].shape)
	shape[d] = 0
	parts := make([]*vertex, len(in))
	dims := make([][]int, len(in))
	for i, x := range in {
		if len(x.shape) != len(shape) {
			return value{}, fmt.Errorf("shapes %v and %v", in[0].shape, x.shape)
		}
		for j := range shape {
			if j != d && x.shape[j] != shape[j] {
				return value{}, fmt.Errorf("shapes %v and %v", in[0].shape, x.shape)
			}
		}
		if shape[d] += x.shape[d]; shape[d] > maxElements {
			return value{}, fmt.Errorf("more than %d elements", maxElements)
		}
		if x = b.computed(x); !slices.Equal(x.axes, axes) {
			x = b.inOrder(x)
		}
		parts[i], dims[i] = x.v, x.dims()
	}
	at := axes[d]
	if at == len(shape)-1 {
		return result(&vertex{kind: concatenate, in: parts}, shape, axes), nil
	}
	blocks, total := 1, 1 // of each part: those before the dimension, and elements of all
	for i, n := range (value{shape: shape, axes: axes}).dims() {
		if i < at {
			blocks *= n
		}
		total *= n
	}
	return result(&vertex{kind: host, in: parts, compute: func(in [][]float32) []float32 {
		out := make([]float32, 0, total)
		for k := range blocks {
			for _, x := range in {
				size := len(x) / blocks
				out = append(out, x[k*size:][:size]...)
			}
		}
		return out
	}}, shape, axes), nil
}

func buildPad(b *builder, _ *node, in []value) (value, error) {
	x, by := b.computed(in[0]), in[1].known
	rank := len(x.shape)
	if by == nil || !slices.Equal(by.shape, []int{rank, 2}) || len(by.data) > 0 && (slices.Min(by.data) < 0 || slices.Max(by.data) > maxElements) {
		return value{}, errors.New("does not say by how much, which is 0 or more in each dimension")
	}
	fill := 0.
	if len(in) > 2 {
		if in[2].known == nil || !in[2].known.scalar() {
			return value{}, errors.New("does not say with which value")
		}
		if fill = in[2].known.data[0]; fill <= -math.MaxFloat32 {
			fill = math.Inf(-1)
		}
	}
	sizes := by.ints()
	shape := make([]int, rank)
	before, after := make([]int, rank), make([]int, rank) // as it lies in memory
	for i, d := range x.shape {
		shape[i] = sizes[2*i] + d + sizes[2*i+1]
		before[x.axes[i]], after[x.axes[i]] = sizes[2*i], sizes[2*i+1]
	}
	n, err := count(shape)
	if err != nil {
		return value{}, err
	}
	y := value{shape: shape, axes: x.axes}
	dims, own := x.dims(), strides(y.dims())
	first := 0
	for i, p := range before {
		first += p * own[i]
	}
	v := &vertex{kind: host, in: []*vertex{x.v}, compute: func(in [][]float32) []float32 {
		out := slices.Repeat([]float32{float32(fill)}, n)
		walk(dims, [][]int{own}, func(i int, at []int) { out[first+at[0]] = in[0][i] })
		return out
	}}
	if rank == 4 && dims[0] == 1 && before[0]|after[0]|before[3]|after[3] == 0 {
		v.pad = &padding{height: dims[1], width: dims[2], top: before[1], bottom: after[1], left: before[2], right: after[2], fill: fill}
	}
	return result(v, shape, x.axes), nil
}
