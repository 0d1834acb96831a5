package convnet

import (
	"fmt"
	"math"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// loader reads the tensors of a plan, folds batch norms into convolutions and prepares these for a device.
type loader struct {
	*source
	d       engine.Device
	epsilon float64
	used    []string // the tensors read, by their whole names
}

// largest is the largest kernel that is taken for one: more would be a mistake.
const largest = 31

// conv is a convolution with its batch norm folded into it.
type conv struct {
	filter       engine.Filter
	size, stride int
	square       bool
	act          engine.Activation
}

// conv reads a layer. It returns the channels that come out of it.
func (l *loader) conv(spec layer, in int) (conv, int, error) {
	w, shape, err := l.values(spec.kernel)
	if err != nil {
		return conv{}, 0, err
	}
	if len(shape) != 4 || shape[2] != shape[3] || shape[2]%2 == 0 || shape[2] > largest || slices.Min(shape) < 1 {
		return conv{}, 0, l.wrongShape(spec.kernel, shape, "out x in x size x size, with an odd size")
	}
	out, size := shape[0], shape[2]
	groups := 1
	switch {
	case spec.depthwise:
		groups = in
	case spec.grouped:
		groups = in / shape[1]
	}
	if groups < 1 || shape[1]*groups != in || out%groups != 0 {
		want := fmt.Sprintf("%d channels in", in)
		if spec.depthwise {
			want = fmt.Sprintf("%d x 1 x size x size", in)
		}
		return conv{}, 0, l.wrongShape(spec.kernel, shape, want)
	}
	bias, err := l.fold(w, out, spec)
	if err != nil {
		return conv{}, 0, err
	}
	return conv{
		filter: l.filter(w, bias, size, groups),
		size:   size, stride: spec.stride, square: spec.square, act: spec.act,
	}, out, nil
}

// filter makes the weights of a convolution ready.
func (l *loader) filter(w, bias []float32, size, groups int) engine.Filter {
	out := len(bias)
	weights, added := l.d.Wrap(out, len(w)/out, w), l.d.Wrap(1, out, bias)
	defer l.d.Free(weights)
	defer l.d.Free(added)
	return l.d.PrepareFilter(weights, added, size, size, groups)
}

// fold multiplies the rows of a kernel by what its batch norm multiplies channels by, and returns what it adds.
func (l *loader) fold(w []float32, out int, spec layer) (bias []float32, err error) {
	var norm [4][]float32
	for i, part := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		if norm[i], err = l.vector(spec.norm+part, out); err != nil {
			return nil, err
		}
	}
	bias = make([]float32, out)
	row := len(w) / out
	for i := range out {
		variance := float64(norm[3][i]) + l.epsilon
		if variance <= 0 {
			return nil, l.problem(fmt.Sprintf("has a variance of %v in tensor %q", norm[3][i], l.prefix+spec.norm+".running_var"), broken)
		}
		scale := float64(norm[0][i]) / math.Sqrt(variance)
		bias[i] = float32(float64(norm[1][i]) - float64(norm[2][i])*scale)
		for j, v := range w[i*row : (i+1)*row] {
			w[i*row+j] = float32(float64(v) * scale)
		}
	}
	return bias, nil
}

// gate is the two layers of a squeeze.
type gate struct {
	reduce, expand conv
	after          int
}

func (l *loader) gate(spec *squeeze, channels int) (*gate, error) {
	g := &gate{after: spec.after}
	in := channels
	for _, half := range []struct {
		to   *conv
		name string
		act  engine.Activation
	}{{&g.reduce, spec.reduce, spec.act}, {&g.expand, spec.expand, spec.gate}} {
		w, shape, err := l.values(half.name + ".weight")
		if err != nil {
			return nil, err
		}
		if len(shape) != 4 || shape[1] != in || shape[2] != 1 || shape[3] != 1 || shape[0] < 1 {
			return nil, l.wrongShape(half.name+".weight", shape, fmt.Sprintf("out x %d x 1 x 1", in))
		}
		out := shape[0]
		bias, err := l.vector(half.name+".bias", out)
		if err != nil {
			return nil, err
		}
		*half.to = conv{filter: l.filter(w, bias, 1, 1), size: 1, stride: 1, act: half.act}
		in = out
	}
	if in != channels {
		return nil, l.wrongShape(spec.expand+".weight", l.shapes[spec.expand+".weight"], fmt.Sprintf("%d channels out", channels))
	}
	return g, nil
}

// broken is what to do about weights that are no numbers.
const broken = "fetch the file again, or train the model again"

// values returns a copy of a tensor's elements, all of them numbers.
func (l *loader) values(name string) ([]float32, []int, error) {
	shape, ok := l.shapes[name]
	if !ok {
		return nil, nil, l.missing(name)
	}
	whole := l.prefix + name
	values, aliased, err := checkpoint.Float32s(l.r, whole)
	if err != nil {
		return nil, nil, err
	}
	if aliased {
		values = slices.Clone(values)
	}
	for i, v := range values {
		if v-v != 0 {
			return nil, nil, l.problem(fmt.Sprintf("holds %v in tensor %q, element %d", v, whole, i), broken)
		}
	}
	l.used = append(l.used, whole)
	return values, shape, nil
}

// vector is values of a tensor with n elements.
func (l *loader) vector(name string, n int) ([]float32, error) {
	values, shape, err := l.values(name)
	if err == nil && (len(shape) != 1 || len(values) != n) {
		return nil, l.wrongShape(name, shape, fmt.Sprintf("[%d]", n))
	}
	return values, err
}

func (l *loader) wrongShape(name string, shape []int, want string) error {
	return l.problem(fmt.Sprintf("has tensor %q of shape %v, want %s", l.prefix+name, shape, want), "")
}

func (s *source) missing(name string) error {
	return &checkpoint.FileError{File: s.r.Path(), Problem: fmt.Sprintf("has no tensor %q", s.prefix+name), Err: checkpoint.ErrNoTensor}
}
