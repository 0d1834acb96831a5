package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/nn"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/modeldir"
)

// QuantiseOptions say which model's weights become whole numbers.
type QuantiseOptions struct {
	Env
	Tasks     Tasks    // among which the model's is
	Model     string   // its folder, or that of a run
	Out       string   // the folder to write, which must not exist
	Calibrate string   // the task's data, a file or a folder; "": errors are those of the weights alone
	Set       []string // settings of the task's evaluation as key=value
	// Keep copies into the folder dst what else the model in src has; nil: nothing.
	Keep func(dst, src string) error
}

// The most that a weight of whole numbers may be off: one that is off by more stays float32.
const (
	mostOutputError = 0.05 // of what its products give for inputs of the data
	mostWeightError = 0.02 // of the weights themselves, where there are no inputs
)

// calibrationExamples is how many examples are looked at.
const calibrationExamples = 256

// What an error is of.
const (
	ofOutput  = "output"
	ofWeights = "weights"
)

// Quantisation is what became of a model's weights.
type Quantisation struct {
	Model       string            `json:"model"`
	Out         string            `json:"out"`
	Data        string            `json:"data,omitempty"` // that inputs were taken from
	Task        string            `json:"task,omitempty"`
	Int8        int               `json:"int8"`    // weights
	Float32     int               `json:"float32"` // weights that lose too much
	Bytes       int               `json:"bytes"`   // of all tensors
	BytesBefore int               `json:"bytes_before"`
	Weights     []QuantisedWeight `json:"weights"`
	LeftOut     []string          `json:"left_out,omitempty"` // files of the old weights
}

// QuantisedWeight is a weight that was looked at.
type QuantisedWeight struct {
	Name  string  `json:"name"`
	Shape []int   `json:"shape"`
	Type  string  `json:"type"`  // "int8" or "float32"
	Error float64 `json:"error"` // the length of the difference that whole numbers make, over that of what it is of
	Of    string  `json:"of"`    // "output" of the products with inputs of the data, or "weights"
	Limit float64 `json:"limit"` // the most that it may be
}

// Quantise writes a model whose weights are whole numbers with scales, but for those that lose too much.
func Quantise(ctx context.Context, o QuantiseOptions) (*Quantisation, error) {
	env := o.Ready()
	if err := o.check(); err != nil {
		return nil, err
	}
	from, err := modeldir.OpenCheckpoint(o.Model)
	if err != nil {
		return nil, err
	}
	defer from.Weights.Close()
	dir := modeldir.Resolve(o.Model)
	if _, ok := from.Weights.(checkpoint.QuantisedReader); ok {
		return nil, fmt.Errorf("model %s is quantised already; quantise the model that it was made of", dir)
	}
	if from.Config == nil {
		return nil, fmt.Errorf("model %s: %w", dir, modeldir.NoConfig(dir))
	}
	tok, err := from.Vocabulary(dir)
	if err != nil {
		return nil, err
	}
	cfg, weights, err := modeldir.FitVocabulary(tok, *from.Config, from.Weights)
	if err != nil {
		return nil, err
	}
	result := &Quantisation{Model: dir, Out: o.Out, Data: o.Calibrate, Weights: []QuantisedWeight{}}
	rows := map[string][][]float32{}
	if o.Calibrate != "" {
		if rows, result.Task, err = o.inputs(ctx, env); err != nil {
			return nil, err
		}
	}
	chosen, err := model.Quantisable(cfg, weights)
	if err != nil {
		return nil, err
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("model %s has no weight that could be quantised", dir)
	}
	whole, err := checkpoint.Quantise(weights, chosen)
	if err != nil {
		return nil, err
	}
	rounded, err := checkpoint.Quantised(whole)
	if err != nil {
		return nil, err
	}
	env.Observer.Stage("measuring errors")
	for i, info := range weights.Tensors() {
		env.Observer.Tick(i, len(weights.Tensors()))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if _, ok := chosen[info.Name]; !ok {
			continue
		}
		w := QuantisedWeight{Name: info.Name, Shape: info.Shape, Type: "int8", Of: ofWeights, Limit: mostWeightError}
		if len(rows[info.Name]) > 0 {
			w.Of, w.Limit = ofOutput, mostOutputError
		}
		if w.Error, err = roundingError(env.Device, weights, rounded.(checkpoint.QuantisedReader), info, rows[info.Name]); err != nil {
			return nil, err
		}
		if !(w.Error <= w.Limit) {
			w.Type = "float32"
			delete(chosen, info.Name)
			result.Float32++
		}
		result.Weights = append(result.Weights, w)
	}
	result.Int8 = len(chosen)
	if whole, err = checkpoint.Quantise(weights, chosen); err != nil {
		return nil, err
	}
	result.BytesBefore, result.Bytes = tensorBytes(weights), tensorBytes(whole)
	env.Observer.Stage("writing")
	beside := modeldir.Beside{Config: &cfg, Tokenizer: tok, From: from.Kept(dir), OtherWeights: true}
	if o.Keep != nil {
		beside.More = func(out string) error { return o.Keep(out, dir) }
	}
	result.LeftOut, err = modeldir.Write(ctx, o.Out, whole, beside)
	return result, err
}

// check refuses what says how data are read where none are.
func (o *QuantiseOptions) check() error {
	if o.Calibrate != "" {
		return nil
	}
	said := ""
	switch {
	case len(o.Set) > 0:
		said = o.Set[0] + " sets how data are read (--set)"
	case o.Task != "":
		said = o.Task + " is the task that data are of (--task)"
	case o.Extractor != "":
		said = o.Extractor + " is what sees the pictures of data (--extractor)"
	default:
		return nil
	}
	return &SettingError{fmt.Errorf("%s, and none are read (--calibrate); leave it out, or name data", said)}
}

func tensorBytes(r checkpoint.Reader) int {
	n := 0
	for _, info := range r.Tensors() {
		n += info.Elements() * info.DType.Size()
	}
	return n
}

// roundingError returns how far a weight of whole numbers is off: what its products with rows give or, without rows, the weight itself. It
// is the length of the difference over that of what it is of.
func roundingError(d engine.Device, exact checkpoint.Reader, rounded checkpoint.QuantisedReader, info checkpoint.Info, rows [][]float32) (float64, error) {
	w, _, err := checkpoint.Float32s(exact, info.Name)
	if err != nil {
		return 0, err
	}
	if len(rows) == 0 {
		q, _, err := checkpoint.Float32s(rounded, info.Name)
		return relativeError(w, q), err
	}
	values, scales, byRow, _, err := rounded.Int8(info.Name)
	if err != nil {
		return 0, err
	}
	in, out, op := info.Shape[0], info.Shape[1], engine.NN
	if byRow {
		in, out, op = out, in, engine.NT
	}
	x := d.Wrap(len(rows), in, slices.Concat(rows...))
	product := func(by engine.Weight) []float32 {
		y := d.New(len(rows), out)
		defer d.Free(y)
		d.Linear(y, x, by, nil)
		return slices.Clone(engine.Values(d, y))
	}
	whole := d.Store(engine.Stored{Rows: info.Shape[0], Cols: info.Shape[1], Format: engine.Int8, Bytes: values, Scales: scales, ByRow: byRow})
	return relativeError(product(engine.Plain(d.Wrap(info.Shape[0], info.Shape[1], w), op)), product(d.Prepare(whole, op))), nil
}

// relativeError is the length of the difference of two vectors over that of the first.
func relativeError(want, got []float32) float64 {
	off, length := 0.0, 0.0
	for i, v := range want {
		d := float64(got[i]) - float64(v)
		off += d * d
		length += float64(v) * float64(v)
	}
	if off == 0 {
		return 0
	}
	return math.Sqrt(off / length)
}

// inputs runs the model over the first examples of the data, as its task is scored, and returns rows of what its weights are multiplied with.
func (o *QuantiseOptions) inputs(ctx context.Context, env *Env) (map[string][][]float32, string, error) {
	task, err := o.task(env)
	if err != nil {
		return nil, "", err
	}
	kind, ok := task.Kind.(Evaluator)
	if !ok {
		return nil, "", &SettingError{fmt.Errorf("models of %s are not run over data; leave --calibrate out", task.Name)}
	}
	kept := &inputs{of: map[*engine.Tensor]*drawn{}}
	part := *env
	part.Device = watching{env.Device, kept}
	running, enough := context.WithCancel(ctx)
	defer enough()
	eval := EvaluateOptions{Env: part, Task: task, Model: o.Model, Data: o.Calibrate, Set: o.Set}
	m, s, err := eval.open(kind, &part)
	if err != nil {
		return nil, "", err
	}
	defer m.Close()
	opened := m.(interface{ whole() *Opened }).whole()
	kept.watch(opened.Params)
	files, err := task.splitFiles(o.Calibrate, "dev")
	if errors.Is(err, fs.ErrNotExist) {
		if train, errTrain := task.splitFiles(o.Calibrate, task.Train.Name); errTrain == nil {
			files, err = train, nil
		}
	}
	if err != nil {
		return nil, "", err
	}
	env.Observer.Stage("calibrating")
	_, err = m.Evaluate(running, task, files[0], s, func(done, total int) {
		env.Observer.Tick(min(done, calibrationExamples), min(cmp.Or(max(total, 0), calibrationExamples), calibrationExamples))
		if done >= calibrationExamples {
			enough()
		}
	})
	if err != nil && (ctx.Err() != nil || !errors.Is(err, context.Canceled)) {
		return nil, "", fmt.Errorf("calibrate with %s as data of %s: %w", files[0].Path, task.Name, err)
	}
	rows := map[string][][]float32{}
	for _, p := range opened.Params {
		if d := kept.of[p.Value]; len(d.rows) > 0 {
			rows[opened.stored(p.Name)] = d.rows
		}
	}
	if len(rows) == 0 {
		return nil, "", fmt.Errorf("calibrate with %s: there is nothing in it for the model to read; give data of %s", files[0].Path, task.Name)
	}
	return rows, task.Name, nil
}

// task is that of the model.
func (o *QuantiseOptions) task(env *Env) (*Task, error) {
	if env.Task == "" {
		return o.Tasks.OfModel(o.Model)
	}
	t, err := o.Tasks.Find(env.Task)
	if err != nil {
		return nil, &SettingError{err}
	}
	return t, nil
}

// whole is the opened model in the type of a kind.
func (o *Opened) whole() *Opened { return o }

// stored is the name that a parameter has in the folder's weights.
func (o *Opened) stored(name string) string {
	if view, ok := o.Folder.Weights.(nn.View); ok {
		_, name = view.Stored(name)
	}
	return name
}
