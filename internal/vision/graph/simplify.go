package graph

import (
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// ordered returns the vertices that roots depend on, each after its inputs.
func ordered(roots []*vertex) []*vertex {
	var order []*vertex
	seen := map[*vertex]bool{}
	type frame struct {
		v    *vertex
		next int
	}
	for _, root := range roots {
		if seen[root] {
			continue
		}
		seen[root] = true
		for stack := []frame{{v: root}}; len(stack) > 0; {
			top := &stack[len(stack)-1]
			if top.next == len(top.v.in) {
				order = append(order, top.v)
				stack = stack[:len(stack)-1]
				continue
			}
			in := top.v.in[top.next]
			top.next++
			if !seen[in] {
				seen[in] = true
				stack = append(stack, frame{v: in})
			}
		}
	}
	return order
}

// consumers lists who reads each vertex, as often as it does; nil stands for what is read from outside.
func consumers(order, roots []*vertex) map[*vertex][]*vertex {
	of := make(map[*vertex][]*vertex, len(order))
	for _, v := range order {
		for _, in := range v.in {
			of[in] = append(of[in], v)
		}
	}
	for _, root := range roots {
		of[root] = append(of[root], nil)
	}
	return of
}

// simplify lets convolutions take over what lies around them: biases and norms behind them, activations, sums, factors.
// Vertices change in place, so that those who read them need not be told.
func simplify(roots []*vertex) {
	order := ordered(roots)
	for _, v := range order {
		swish(v)
	}
	order = ordered(roots)
	readers := consumers(order, roots)
	for _, v := range order {
		fuse(v, func(u *vertex) bool { return u.kind == conv && len(readers[u]) == 1 && u.act == engine.NoActivation })
	}
	order = ordered(roots)
	readers = consumers(order, roots)
	for _, v := range order {
		if factor, ok := v.factor(); ok && takes(v, readers) {
			give(v, factor, readers)
			in := v.in[0]
			for _, reader := range readers[v] {
				for i := range reader.in {
					if reader.in[i] == v {
						reader.in[i] = in
					}
				}
			}
			readers[in] = append(slices.DeleteFunc(readers[in], func(r *vertex) bool { return r == v }), readers[v]...)
		}
	}
}

// affine says whether a vertex multiplies and adds numbers column by column, and does nothing else.
func (v *vertex) affine() bool {
	return v.kind == conv && len(v.in) == 1 && v.act == engine.NoActivation && v.filter.rows*v.filter.cols == 1 &&
		v.filter.groups == v.filter.in && v.filter.in == v.filter.out && v.window == engine.Window{Height: v.window.Height, Width: v.window.Width, Rows: 1, Cols: 1}
}

// factor returns the number that a vertex multiplies all of its input with, if it does nothing else.
func (v *vertex) factor() (float32, bool) {
	if !v.affine() || !uniform(v.filter.bias, 0) || !uniform(v.filter.weights, v.filter.weights[0]) {
		return 0, false
	}
	return v.filter.weights[0], true
}

func uniform(values []float32, want float32) bool {
	return !slices.ContainsFunc(values, func(v float32) bool { return v != want })
}

// swish turns x·min(max(x+3, 0), 6)·c into HardSwish and a factor, and x·sigmoid(x) into SiLU.
func swish(v *vertex) {
	if v.kind != product {
		return
	}
	base := func(u *vertex) (*vertex, float32) {
		all := float32(1)
		for f, ok := u.factor(); ok; f, ok = u.factor() {
			all, u = all*f, u.in[0]
		}
		return u, all
	}
	a, factorA := base(v.in[0])
	b, factorB := base(v.in[1])
	for range 2 {
		if b.kind == activate {
			x := b.in[0]
			switch {
			case b.act == engine.Sigmoid && x == a:
				v.becomes(a, engine.SiLU, factorA*factorB)
				return
			case b.act == engine.ReLU6 && x.affine() && uniform(x.filter.weights, 1) && uniform(x.filter.bias, 3) && x.in[0] == a:
				v.becomes(a, engine.HardSwish, float32(6*float64(factorA)*float64(factorB)))
				return
			}
		}
		a, b = b, a
	}
}

// becomes makes v the activation of x, times a factor.
func (v *vertex) becomes(x *vertex, act engine.Activation, factor float32) {
	a := &vertex{kind: activate, in: []*vertex{x}, rows: v.rows, cols: v.cols, act: act}
	if factor == 1 {
		*v = *a
		return
	}
	*v = *affine(value{v: a, shape: []int{v.rows, v.cols}, axes: straight(2)}, []float32{factor}, []float32{0}).v
}

// fuse joins v to the convolution before it, which is alone asks.
func fuse(v *vertex, alone func(u *vertex) bool) {
	switch {
	case v.affine():
		if u := v.in[0]; alone(u) && len(u.in) == 1 {
			f := *u.filter
			each := len(f.weights) / f.out
			f.weights, f.bias = slices.Clone(f.weights), slices.Clone(f.bias)
			for i := range f.out {
				scale := v.filter.weights[i]
				for j := range each {
					f.weights[i*each+j] *= scale
				}
				f.bias[i] = f.bias[i]*scale + v.filter.bias[i]
			}
			v.filter, v.window, v.in = &f, u.window, u.in
		}
	case v.kind == activate:
		if u := v.in[0]; alone(u) {
			v.kind, v.filter, v.window, v.in = conv, u.filter, u.window, u.in
		}
	case v.kind == sum:
		for i, u := range v.in {
			if alone(u) && len(u.in) == 1 {
				v.kind, v.filter, v.window, v.in = conv, u.filter, u.window, []*vertex{u.in[0], v.in[1-i]}
				return
			}
		}
	}
}

// takes says whether all that read v can take over a factor of it.
func takes(v *vertex, readers map[*vertex][]*vertex) bool {
	for _, r := range readers[v] {
		switch {
		case r == nil:
			return false
		case r.kind == conv && r.in[0] == v && (len(r.in) == 1 || r.in[1] != v):
		case (r.kind == mean || r.kind == scaleColumns && r.in[1] != v) && takes(r, readers):
		default:
			return false
		}
	}
	return true
}

// give multiplies the weights of what reads v.
func give(v *vertex, factor float32, readers map[*vertex][]*vertex) {
	for _, r := range readers[v] {
		if r.kind != conv {
			give(r, factor, readers)
			continue
		}
		f := *r.filter
		f.weights = mapped(f.weights, func(w float32) float32 { return w * factor })
		r.filter = &f
	}
}

// join makes chains of convolutions that follow each other without a reader between them: a block of a MobileNet (expand,
// depthwise, project). What lies between them stays in the cache. Dense convolutions alone gain nothing from that.
func join(roots []*vertex) {
	order := ordered(roots)
	readers := consumers(order, roots)
	for _, v := range slices.Backward(order) { // from the last one of a block
		if v.kind != conv || v.parts != nil {
			continue
		}
		parts, deep := []*vertex{v}, v.depthwise()
		for first := v; len(parts) < 3 && (!deep || first.depthwise()); {
			u := first.in[0]
			if u.kind != conv || len(u.in) > 1 || len(readers[u]) > 1 || first.depthwise() && u.pointwise() && u.in[0].depthwise() {
				break
			}
			if height, width := u.window.Out(); height != first.window.Height || width != first.window.Width {
				break
			}
			deep = deep || u.depthwise()
			parts, first = append(parts, u), u
		}
		if !deep || len(parts) == 1 {
			continue
		}
		slices.Reverse(parts)
		last := *v
		parts[len(parts)-1] = &last
		v.kind, v.parts = chain, parts
		v.in = append([]*vertex{parts[0].in[0]}, v.in[1:]...)
		for _, part := range parts[:len(parts)-1] {
			part.parts = []*vertex{} // is one
		}
	}
}

func (v *vertex) depthwise() bool {
	return v.kind == conv && v.filter.groups == v.filter.in && v.filter.in == v.filter.out
}

func (v *vertex) pointwise() bool { return v.kind == conv && v.filter.rows*v.filter.cols == 1 }
