package run

import (
	"slices"
	"sync"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
)

// keptInputs is how many rows are kept of what a weight is multiplied with.
const keptInputs = 128

// inputs are rows of what goes into the products of a model, some of each weight, drawn evenly from all there were.
type inputs struct {
	mu sync.Mutex
	of map[*engine.Tensor]*drawn // the weights that are watched
}

// drawn are rows that were drawn.
type drawn struct {
	rows [][]float32
	seen int
	from *random.Stream
}

// watching computes as the device in it does, and keeps inputs.
type watching struct {
	engine.Device
	*inputs
}

// watch watches the weights of a model.
func (in *inputs) watch(params model.Parameters) {
	for _, p := range params {
		in.of[p.Value] = &drawn{from: random.New(0, "inputs of "+p.Name)}
	}
}

// Fork implements [engine.Device].
func (w watching) Fork() engine.Device { return watching{w.Device.Fork(), w.inputs} }

// Host is the memory of a tensor, where the device allows it.
func (w watching) Host(t *engine.Tensor) []float32 { return engine.Values(w.Device, t) }

// MatMul implements [engine.Device].
func (w watching) MatMul(dst, a, b *engine.Tensor, op engine.Transpose, accumulate bool) {
	w.keep(a, b)
	w.Device.MatMul(dst, a, b, op, accumulate)
}

// Linear implements [engine.Device].
func (w watching) Linear(y, x *engine.Tensor, by engine.Weight, bias *engine.Tensor) {
	w.keep(x, by.Tensor)
	w.Device.Linear(y, x, by, bias)
}

// LinearActivate implements [engine.Device].
func (w watching) LinearActivate(y, h, x *engine.Tensor, by engine.Weight, bias *engine.Tensor, a engine.Activation) {
	w.keep(x, by.Tensor)
	w.Device.LinearActivate(y, h, x, by, bias, a)
}

// VocabularyLoss implements [engine.Device].
func (w watching) VocabularyLoss(loss, stats, x *engine.Tensor, by engine.Weight, bias *engine.Tensor, labels []int32, smoothing float32) {
	w.keep(x, by.Tensor)
	w.Device.VocabularyLoss(loss, stats, x, by, bias, labels, smoothing)
}

// keep draws from the rows of x, which is multiplied with a weight: of n rows so far each is kept with the same probability.
func (w watching) keep(x, weight *engine.Tensor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.of[weight]
	if d == nil {
		return
	}
	values := engine.Values(w.Device, x)
	for row := range slices.Chunk(values[:x.Rows*x.Cols], x.Cols) {
		d.seen++
		if len(d.rows) < keptInputs {
			d.rows = append(d.rows, slices.Clone(row))
		} else if i := d.from.IntN(d.seen); i < keptInputs {
			copy(d.rows[i], row)
		}
	}
}
