package golden

import (
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
)

// Tensors are the tensors of one safetensors file of a case.
type Tensors struct {
	tb     testing.TB
	path   string
	reader checkpoint.Reader
}

// The subset keeps weights that several cases share once: weightsOfKey of case.json names the case
// that has them. leftOutKey of a file's metadata names the tensors that the subset lacks.
const (
	weightsOfKey = "weights_of"
	leftOutKey   = "left_out"
)

// Tensors opens one of the case's safetensors files, or the test fails.
func (c Case) Tensors(tb testing.TB, name string) Tensors {
	tb.Helper()
	path := c.Path(name)
	var head struct {
		WeightsOf string   `json:"weights_of"`
		Params    []string `json:"params"`
	}
	if name == "weights.safetensors" && !c.Has(name) {
		c.JSON(tb, "case.json", &head)
		path = filepath.Join(c.Dir, "..", head.WeightsOf, name)
	}
	r, err := checkpoint.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.Close() })
	if head.WeightsOf != "" {
		r = some{r, head.Params}
	}
	return Tensors{tb, path, r}
}

// some is a checkpoint of which only these tensors are seen.
type some struct {
	checkpoint.Reader
	names []string
}

func (s some) Tensors() []checkpoint.Info {
	return slices.DeleteFunc(s.Reader.Tensors(), func(info checkpoint.Info) bool { return !slices.Contains(s.names, info.Name) })
}

// LeftOut says whether the subset lacks a tensor that the whole set has.
func (t Tensors) LeftOut(name string) bool {
	return slices.Contains(strings.Fields(t.reader.Metadata()[leftOutKey]), name)
}

// Reader returns the open file.
func (t Tensors) Reader() checkpoint.Reader { return t.reader }

// Names lists the file's tensors.
func (t Tensors) Names() []string {
	var names []string
	for _, info := range t.reader.Tensors() {
		names = append(names, info.Name)
	}
	return names
}

// Has says whether the file has the tensor.
func (t Tensors) Has(name string) bool { return slices.Contains(t.Names(), name) }

// Shape returns the shape of a tensor, or fails the test.
func (t Tensors) Shape(name string) []int {
	t.tb.Helper()
	for _, info := range t.reader.Tensors() {
		if info.Name == name {
			return info.Shape
		}
	}
	t.tb.Fatalf("%s has no tensor %s", t.path, name)
	return nil
}

// Floats returns the values of a float tensor, or fails the test.
func (t Tensors) Floats(name string) []float32 {
	t.tb.Helper()
	values, _, err := checkpoint.Float32s(t.reader, name)
	if err != nil {
		t.tb.Fatal(err)
	}
	return values
}

// Ints returns the values of an I64 tensor, or fails the test.
func (t Tensors) Ints(name string) []int64 {
	t.tb.Helper()
	raw, err := t.reader.Bytes(name)
	if err != nil {
		t.tb.Fatal(err)
	}
	values := make([]int64, len(raw)/8)
	for i := range values {
		values[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return values
}

// Difference returns the largest |got-want| over the elements, divided by the
// largest |want|. NaN anywhere gives NaN.
func Difference(got, want []float32) float64 {
	var diff, scale float64
	for i := range want {
		diff = max(diff, math.Abs(float64(got[i])-float64(want[i]))) // max keeps NaN
		scale = max(scale, math.Abs(float64(want[i])))
	}
	if scale == 0 {
		return diff
	}
	return diff / scale
}

// Near fails the test unless got is within tolerance of want by [Difference].
func Near(tb testing.TB, name string, got, want []float32, tolerance float64) {
	tb.Helper()
	if len(got) != len(want) {
		tb.Errorf("%s has %d values, want %d", name, len(got), len(want))
		return
	}
	if d := Difference(got, want); !(d <= tolerance) {
		tb.Errorf("%s differs by %s of its largest magnitude, want at most %.0e", name, fmt.Sprintf("%.3g", d), tolerance)
	}
}

// zeroGradient tells gradients that are zero in exact arithmetic (the keys' biases)
// from small ones: relative to the case's largest, the float64 run of the
// reference leaves about 1e-17 in them. A relative error means nothing there.
const zeroGradient = 1e-12

// NearGradients compares the gradients of all parameters with those of a case, but for what the subset lacks. Each is
// within tolerance of the case's by [Difference]; one that is zero there is zero, as rounding goes.
func NearGradients(tb testing.TB, grads Tensors, params []string, got func(name string) []float32, tolerance float64) {
	tb.Helper()
	largest := 0.0
	for _, name := range grads.Names() {
		largest = max(largest, magnitude(grads.Floats(name)))
	}
	compared := 0
	for _, name := range params {
		if grads.LeftOut(name) {
			continue
		}
		if !grads.Has(name) {
			tb.Errorf("the case has no gradient of %s", name)
			continue
		}
		compared++
		if want := grads.Floats(name); magnitude(want) >= zeroGradient*largest {
			Near(tb, "gradient of "+name, got(name), want, tolerance)
		} else if top := magnitude(got(name)); !(top <= tolerance*zeroGradient*largest) {
			tb.Errorf("gradient of %s reaches %g, want zero", name, top)
		}
	}
	if names := grads.Names(); compared != len(names) {
		tb.Errorf("compared %d gradients of %d", compared, len(names))
	}
}

func magnitude(x []float32) (top float64) {
	for _, v := range x {
		top = max(top, math.Abs(float64(v)))
	}
	return top
}
