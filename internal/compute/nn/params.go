package nn

import (
	"fmt"
	"math"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Init says how a parameter starts when no checkpoint gives it.
type Init int

// The reference's initialisers.
const (
	TruncatedNormal Init = iota // of Deviations.Normal, cut at two deviations
	Zeros
	Ones
	Xavier      // uniform within ±sqrt(6/(in+out))
	PlaceNormal // TruncatedNormal of Config.PlaceInitRange, where that is set
)

// Spec describes a parameter.
type Spec struct {
	Name  string // the reference's
	Shape []int
	Init  Init
}

// Elements returns the number of values.
func (s Spec) Elements() int {
	n := 1
	for _, d := range s.Shape {
		n *= d
	}
	return n
}

// Matrix returns the shape as the engine sees it: vectors are one row, and of a table that others keep as a batch of one
// the batch counts for nothing.
func (s Spec) Matrix() (rows, cols int) {
	shape := s.Shape
	for len(shape) > 2 && shape[0] == 1 {
		shape = shape[1:]
	}
	if len(shape) == 1 {
		return 1, shape[0]
	}
	return shape[0], s.Elements() / shape[0]
}

// Parameter is one parameter of a model.
type Parameter struct {
	Spec
	*autograd.Var
}

// Parameters are a model's parameters in the order of their declaration.
type Parameters []Parameter

// Count returns the number of values.
func (p Parameters) Count() int {
	n := 0
	for _, param := range p {
		n += param.Elements()
	}
	return n
}

// Prepare prepares the weights of a model that was opened; see [autograd.Var.PrepareWeights].
func (p Parameters) Prepare(d engine.Device) {
	for _, param := range p {
		param.PrepareWeights(d)
	}
}

// ClearGradients empties all gradients.
func (p Parameters) ClearGradients() {
	for _, param := range p {
		param.Gradient().Clear()
	}
}

// Deviations are those of the normal distributions that parameters are drawn from.
type Deviations struct{ Normal, Place float64 }

// Declare is how constructors ask for a parameter. While only listing what a
// model needs it returns nil.
type Declare func(name string, init Init, shape ...int) *autograd.Var

// List returns a Declare that collects specs.
func List(specs *[]Spec) Declare {
	return func(name string, init Init, shape ...int) *autograd.Var {
		*specs = append(*specs, Spec{name, shape, init})
		return nil
	}
}

// Allocate returns a Declare that makes trainable parameters, whose values are still
// undefined.
func Allocate(d engine.Device, params *Parameters) Declare {
	return func(name string, init Init, shape ...int) *autograd.Var {
		spec := Spec{name, shape, init}
		rows, cols := spec.Matrix()
		v := autograd.Param(d.New(rows, cols), autograd.NewGradient(d.New(rows, cols)))
		*params = append(*params, Parameter{spec, v})
		return v
	}
}

// Initialise gives all parameters their initial values, several at once. Each draws
// from its own stream, seeded by its name, so that the values do not depend on what
// else the model has.
func (p Parameters) Initialise(d engine.Device, of Deviations, seed uint64) {
	values := make([][]float32, len(p)) // the parameters' memory, where the device allows it
	for i, param := range p {
		values[i] = engine.Values(d, param.Value)
	}
	d.Limit().For(len(p), func(i int) { p[i].initial(values[i], of, seed) })
	for i, param := range p {
		d.Write(param.Value, values[i]) // nothing, if it is the memory
	}
}

// initial sets values to those that the parameter starts with.
func (s Spec) initial(values []float32, of Deviations, seed uint64) {
	switch s.Init {
	case Zeros:
		clear(values)
	case Ones:
		for i := range values {
			values[i] = 1
		}
	case TruncatedNormal, PlaceNormal:
		deviation := of.Normal
		if s.Init == PlaceNormal {
			deviation = of.Place
		}
		stream := random.New(seed, "parameter "+s.Name)
		for i := range values {
			x := stream.Normal()
			for x < -2 || x > 2 {
				x = stream.Normal()
			}
			values[i] = float32(x * deviation)
		}
	case Xavier:
		stream, bound := random.New(seed, "parameter "+s.Name), math.Sqrt(6/float64(s.Shape[0]+s.Shape[1]))
		for i := range values {
			values[i] = float32((2*stream.Float64() - 1) * bound)
		}
	}
}

// LoadReport says how a checkpoint and a model differ.
type LoadReport struct {
	Missing []string // parameters the checkpoint lacks: they keep their initial values
	Unused  []string // tensors of the checkpoint the model has no place for
}

// Load sets the parameters that r has. A tensor of another shape, or of integers, is
// an error that names it, and then nothing was changed. After an error of reading the
// values are undefined.
func (p Parameters) Load(d engine.Device, r checkpoint.Reader) (LoadReport, error) {
	report, err := Compare(p.Specs(), r)
	if err != nil {
		return LoadReport{}, err
	}
	for _, param := range p {
		if slices.Contains(report.Missing, param.Name) {
			continue
		}
		values := engine.Values(d, param.Value) // the memory itself, where the device allows it
		if err := checkpoint.ReadFloat32s(values, r, param.Name); err != nil {
			return LoadReport{}, err
		}
		d.Write(param.Value, values)
	}
	return report, nil
}

// Open returns a Declare whose parameters are read-only views of r's tensors,
// without gradients, for inference. Errors are collected in failure. Of a [Shared] reader, or a view of one, a tensor is the same
// variable for all models.
func Open(d engine.Device, r checkpoint.Reader, params *Parameters, failure *error) Declare {
	return func(name string, init Init, shape ...int) *autograd.Var {
		spec := Spec{name, shape, init}
		v, err := variable(d, r, name, spec)
		if err != nil {
			*failure = err
			return nil
		}
		*params = append(*params, Parameter{spec, v})
		return v
	}
}

func variable(d engine.Device, r checkpoint.Reader, name string, spec Spec) (*autograd.Var, error) {
	for {
		view, ok := r.(View)
		if !ok {
			break
		}
		r, name = view.Stored(name)
	}
	shared, _ := r.(*Shared)
	if shared != nil && shared.vars[name] != nil {
		return shared.vars[name], nil
	}
	if shared != nil {
		d, r = shared.device, shared.Reader
	}
	value, err := tensor(d, r, name, spec)
	if err != nil {
		return nil, err
	}
	v := autograd.Fixed(value)
	if shared != nil {
		shared.vars[name] = v
	}
	return v, nil
}

// Shared is a checkpoint that several models on one device are opened from, one after the other: a tensor that two of them have is
// converted and prepared once. Close does nothing: whoever opened the checkpoint closes it.
type Shared struct {
	checkpoint.Reader
	device engine.Device
	vars   map[string]*autograd.Var
}

// NewShared returns r as a checkpoint for several models, whose tensors are d's. The models are on d or on devices with the same memory.
func NewShared(d engine.Device, r checkpoint.Reader) *Shared {
	return &Shared{r, d, map[string]*autograd.Var{}}
}

// Close implements [checkpoint.Reader].
func (*Shared) Close() error { return nil }

// View is a checkpoint that shows tensors of another under other names.
type View interface {
	Stored(name string) (checkpoint.Reader, string)
}

// Specs describes all parameters.
func (p Parameters) Specs() []Spec {
	specs := make([]Spec, len(p))
	for i, param := range p {
		specs[i] = param.Spec
	}
	return specs
}

// Compare reports which of specs r lacks and which tensors of r are not in specs. A tensor of another shape, or of
// integers, is an error.
func Compare(specs []Spec, r checkpoint.Reader) (LoadReport, error) {
	have := map[string]checkpoint.Info{}
	for _, info := range r.Tensors() {
		have[info.Name] = info
	}
	var report LoadReport
	for _, spec := range specs {
		info, ok := have[spec.Name]
		if !ok {
			report.Missing = append(report.Missing, spec.Name)
			continue
		}
		if !slices.Equal(info.Shape, spec.Shape) {
			return LoadReport{}, fmt.Errorf("tensor %s is %v in the checkpoint, but the configuration makes it %v: the checkpoint and config.json (or --preset, --vocab) belong to different models", spec.Name, info.Shape, spec.Shape)
		}
		if !info.DType.Float() {
			return LoadReport{}, fmt.Errorf("tensor %s has type %v in the checkpoint, where floating-point numbers are needed", spec.Name, info.DType)
		}
		delete(have, spec.Name)
	}
	for _, info := range r.Tensors() {
		if _, left := have[info.Name]; left {
			report.Unused = append(report.Unused, info.Name)
		}
	}
	return report, nil
}

// Complete returns an error unless r has all of specs; purpose says what they are for, and what to do.
func Complete(specs []Spec, r checkpoint.Reader, purpose string) error {
	report, err := Compare(specs, r)
	if err != nil || len(report.Missing) == 0 {
		return err
	}
	return fmt.Errorf("tensor %s and %d others are missing: not a model for %s", report.Missing[0], len(report.Missing)-1, purpose)
}

// Tensors returns the parameters' values for a checkpoint writer. They may alias
// the parameters: write them before the next step.
func (p Parameters) Tensors(d engine.Device) []checkpoint.Tensor {
	tensors := make([]checkpoint.Tensor, len(p))
	for i, param := range p {
		tensors[i] = checkpoint.FromFloat32(param.Name, param.Shape, engine.Values(d, param.Value))
	}
	return tensors
}
