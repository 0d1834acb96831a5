package nn

import (
	"fmt"
	"math"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// NonFiniteError says that a model cannot answer: its weights, or what it made of its input, hold NaN,
// an infinity or a number so large that its square is beyond float32.
type NonFiniteError struct {
	Tensor string  // the first parameter with such a value; "" if all of them are sound
	Output string  // what came out of the model; "" if only its weights were looked at
	Value  float32 // the first such value of the tensor, or else of the output
}

func (e *NonFiniteError) Error() string {
	if e.Tensor != "" {
		return fmt.Sprintf("the model's weights are broken: tensor %q holds %v: train the model again, or fetch its files again", e.Tensor, e.Value)
	}
	return fmt.Sprintf("the model's outputs overflow: its %s hold %v, though no weight is broken by itself: weights, or region features that it was given, are too large", e.Output, e.Value)
}

// sound says whether values with that sum of squares (added up in float64) are all finite and of a size that
// a model can compute with. A trained model's weights and outputs are many orders of magnitude smaller.
func sound(sumSquares float64) bool { return sumSquares <= math.MaxFloat32 } // false for NaN

// mostRead is how many values outputs have at most that are read as a whole as soon as they are known to be sound. Of the scores of many
// tokens, say, a device finds the best ones.
const mostRead = 1 << 14

// CheckOutput returns a [NonFiniteError] unless all values of some variables, which a model with these parameters
// computed on tape, are sound. Output names them in the plural, for people. Everything that leaves a model passes here: a comparison with NaN
// is false without a word, and a ranking or a likeliest class would be made of nothing.
func (p Parameters) CheckOutput(tape *autograd.Tape, output string, vars ...*autograd.Var) error {
	d := tape.Device() // the tape's own: other tapes may compute now
	tensors, sums := make([]*engine.Tensor, len(vars)), make([]float64, len(vars))
	for i, v := range vars {
		if tensors[i] = v.Value; engine.Room(d, v.Value) <= mostRead {
			engine.Expect(d, v.Value)
		}
	}
	d.SumSquares(sums, tensors, nil)
	at := slices.IndexFunc(sums, func(s float64) bool { return !sound(s) })
	if at < 0 {
		return nil
	}
	broken := &NonFiniteError{Output: output, Value: worst(engine.Values(d, tensors[at]))}
	broken.name(d, p)
	return broken
}

// CheckWeights returns a [NonFiniteError] that names the first parameter with values that are not sound. It reads
// all weights.
func (p Parameters) CheckWeights(d engine.Device) error {
	broken := &NonFiniteError{}
	if broken.name(d, p); broken.Tensor == "" {
		return nil
	}
	return broken
}

// CheckTensors is CheckWeights for those of specs that a checkpoint has.
func CheckTensors(d engine.Device, specs []Spec, r checkpoint.Reader) error {
	broken := &NonFiniteError{}
	for _, spec := range specs {
		if _, err := r.Info(spec.Name); err != nil {
			continue // it starts from random values
		}
		values, _, err := checkpoint.Float32s(r, spec.Name)
		if err != nil {
			return err
		}
		v := autograd.Const(d.Wrap(1, len(values), values))
		broken.name(d, Parameters{{spec, v}})
		if d.Free(v.Value); broken.Tensor != "" {
			return broken
		}
	}
	return nil
}

// name looks for the parameter that is to blame. One with NaN or an infinity comes before one with large values.
func (e *NonFiniteError) name(d engine.Device, params Parameters) {
	values, sums := make([]*engine.Tensor, len(params)), make([]float64, len(params))
	for i, p := range params {
		values[i] = p.Value
	}
	d.SumSquares(sums, values, nil)
	for i, p := range params {
		s := sums[i]
		finite := !math.IsNaN(s) && !math.IsInf(s, 0)
		if sound(s) || finite && e.Tensor != "" {
			continue
		}
		e.Tensor, e.Value = p.Name, worst(engine.Values(d, p.Value))
		if !finite {
			return
		}
	}
}

// worst returns the first value that is not finite, else the one of the largest magnitude.
func worst(values []float32) float32 {
	var largest float32
	for _, v := range values {
		if v-v != 0 {
			return v
		}
		if max(v, -v) > max(largest, -largest) {
			largest = v
		}
	}
	return largest
}
