package embed

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model/modeldir"
)

// stage is what follows the pooling: it changes the vectors of a batch.
type stage interface {
	apply(t *autograd.Tape, x *autograd.Var) *autograd.Var
	size(in int) (int, error) // of the vectors that come out
}

// Layer is a stage as others compute it: vectors are divided by their length, or go through an affine map, In x Out, and an activation.
type Layer struct {
	Normalize  bool
	In, Out    int
	W, B       []float32
	Activation string // by the last part of torch's names
}

// normalize divides vectors by their length.
type normalize struct{}

func (normalize) apply(t *autograd.Tape, x *autograd.Var) *autograd.Var { return t.Normalize(x) }
func (normalize) size(in int) (int, error)                              { return in, nil }

// dense is an affine map with an activation.
type dense struct {
	name       string // of its folder or tensor, for messages
	in, out    int
	w          *autograd.Weight // in x out
	b          *autograd.Var
	activation string
}

// The activations of a dense layer, by the last part of torch's names.
var activations = map[string]func(x float64) float64{
	"Identity": nil,
	"Tanh":     math.Tanh,
	"ReLU":     func(x float64) float64 { return max(x, 0) },
	"Sigmoid":  func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	"GELU":     func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) },
}

func (l *dense) size(in int) (int, error) {
	if in != l.in {
		return 0, fmt.Errorf("%s takes vectors of %d values, but those before it have %d: its files, or --pooling, do not fit", l.name, l.in, in)
	}
	return l.out, nil
}

func (l *dense) apply(t *autograd.Tape, x *autograd.Var) *autograd.Var {
	y := t.Linear(x, l.w, l.b)
	f := activations[l.activation]
	if f == nil {
		return y
	}
	values := slices.Clone(engine.Values(t.Device(), y.Value))
	for i, v := range values {
		values[i] = float32(f(float64(v)))
	}
	return t.Input(y.Value.Rows, y.Value.Cols, values)
}

// openDense makes a dense layer of two tensors; transposed says that the weight is out x in, as torch has it. A bias that is not
// there is zero.
func openDense(d engine.Device, r checkpoint.Reader, weight, bias, activation string, transposed bool) (*dense, error) {
	info, err := r.Info(weight)
	if err != nil {
		return nil, err
	}
	if len(info.Shape) != 2 || info.Shape[0] < 1 || info.Shape[1] < 1 {
		return nil, fmt.Errorf("tensor %s has shape %v, want a matrix", weight, info.Shape)
	}
	values, _, err := checkpoint.Float32s(r, weight)
	if err != nil {
		return nil, err
	}
	l := &dense{name: "tensor " + weight, in: info.Shape[0], out: info.Shape[1], activation: activation}
	if transposed {
		l.in, l.out = l.out, l.in
		across := make([]float32, len(values))
		for i := range l.in {
			for j := range l.out {
				across[i*l.out+j] = values[j*l.in+i]
			}
		}
		values = across
	} else {
		values = slices.Clone(values)
	}
	l.w = autograd.NewWeight(autograd.Fixed(d.Wrap(l.in, l.out, values)), engine.NN)
	zeros := make([]float32, l.out)
	if slices.ContainsFunc(r.Tensors(), func(info checkpoint.Info) bool { return info.Name == bias }) {
		b, _, err := checkpoint.Float32s(r, bias)
		if err != nil {
			return nil, err
		}
		if len(b) != l.out {
			return nil, fmt.Errorf("tensor %s has %d values, want %d as %s has", bias, len(b), l.out, weight)
		}
		copy(zeros, b)
	}
	l.b = autograd.Fixed(d.Wrap(1, l.out, zeros))
	return l, nil
}

// openPooler returns the layer that a checkpoint's first token goes through: BERT's, with tanh, or ours, with what
// config.json says.
func openPooler(d engine.Device, dir, act string) (*dense, error) {
	r, err := modeldir.OpenWeights(dir)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for _, info := range r.Tensors() {
		switch name := info.Name; {
		case name == "pooled_fc_text.w_0":
			return openDense(d, r, name, "pooled_fc_text.b_0", map[string]string{"": "ReLU", "relu": "ReLU", "tanh": "Tanh", "gelu": "GELU"}[act], false)
		case name == "pooler.dense.weight" || strings.HasSuffix(name, ".pooler.dense.weight"):
			return openDense(d, r, name, strings.TrimSuffix(name, "weight")+"bias", "Tanh", true)
		}
	}
	return nil, fmt.Errorf("the checkpoint has no pooler (pooler.dense or pooled_fc_text); choose another pooling, such as %s", Mean)
}
