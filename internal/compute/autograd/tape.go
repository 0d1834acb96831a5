package autograd

import (
	"sync"
	"sync/atomic"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Var is a value and, while a pass goes backwards, its gradient.
type Var struct {
	Value *engine.Tensor
	needs bool
	grad  *engine.Tensor // of an intermediate: nil until something flows back
	param *Gradient      // of a parameter
	fixed bool           // the value never changes
	leaf  bool           // of Leaf

	weights [2]*Weight // made of a fixed one, by their side
}

// Param returns a leaf whose gradient accumulates in g.
func Param(value *engine.Tensor, g *Gradient) *Var { return &Var{Value: value, needs: true, param: g} }

// Leaf returns a variable of the caller's whose gradient accumulates in it, over passes of any tapes.
func Leaf(value *engine.Tensor) *Var { return &Var{Value: value, needs: true, leaf: true} }

// Slopes returns the gradient of a [Leaf], nil if it has none, and leaves it without one. The caller frees it.
func (v *Var) Slopes() *engine.Tensor {
	g := v.grad
	v.grad = nil
	return g
}

// Stop keeps a [Leaf] from getting a gradient from now on.
func (v *Var) Stop() { v.needs = false }

// Const returns a leaf without gradient.
func Const(value *engine.Tensor) *Var { return &Var{Value: value} }

// Fixed returns a leaf whose value never changes, as those of a model that was opened: the weights
// made of it are prepared, see [Weight].
func Fixed(value *engine.Tensor) *Var { return &Var{Value: value, fixed: true} }

// Weight is a variable that rows are multiplied by, and the side it is used from. A table that is also
// looked up has a variable for that and a weight for products.
//
// A weight of a [Fixed] variable is prepared (see [engine.Device]) before its second product, and stays
// so. To prepare all weights of a model takes longer than one answer of it, so a program that gives
// one answer does without, unless the weight is stored in fewer bytes: then nothing else multiplies it fast. Other weights change
// from step to step and are multiplied as they lie. Several tapes may use a weight at once, each on a device of its own.
type Weight struct {
	*Var
	op        engine.Transpose
	used      atomic.Bool
	preparing sync.Mutex
	prepared  atomic.Pointer[engine.Weight] // nil: not yet
}

// NewWeight returns v as the weight of x·v (op NN) or x·vᵀ (NT). Of a [Fixed] variable there is one of each: models that share the
// variable share what is prepared of it.
func NewWeight(v *Var, op engine.Transpose) *Weight {
	if v == nil || !v.fixed {
		return &Weight{Var: v, op: op}
	}
	if v.weights[op] == nil {
		v.weights[op] = &Weight{Var: v, op: op}
	}
	return v.weights[op]
}

// Prepare prepares a weight of a [Fixed] variable now, before any tape uses it. The values as they lie are let go.
func (w *Weight) Prepare(d engine.Device) {
	if !w.fixed {
		panic("autograd: a weight that changes cannot be prepared")
	}
	prepared := d.Prepare(w.Value, w.op)
	w.Value = &engine.Tensor{Rows: w.Value.Rows, Cols: w.Value.Cols} // whoever reads it fails loudly
	prepared.Tensor = w.Value
	w.prepared.Store(&prepared)
}

// PrepareWeights prepares the weights that were made of a [Fixed] variable, for a program that gives many answers: the first ones are as
// quick as those to come.
func (v *Var) PrepareWeights(d engine.Device) {
	for _, w := range v.weights {
		if w != nil {
			w.prepare(d)
		}
	}
}

// prepare returns the prepared weight, which it prepares if nobody has.
func (w *Weight) prepare(d engine.Device) engine.Weight {
	w.preparing.Lock()
	defer w.preparing.Unlock()
	if w.prepared.Load() == nil {
		prepared := d.Prepare(w.Value, w.op)
		w.prepared.Store(&prepared)
	}
	return *w.prepared.Load()
}

// plain is the weight as it lies.
func (w *Weight) plain() engine.Weight { return engine.Plain(w.Value, w.op) }

// read brings the weight up to date and returns it for a product.
func (w *Weight) read(t *Tape) engine.Weight {
	if !w.fixed {
		t.read(w.Var)
		return w.plain()
	}
	if prepared := w.prepared.Load(); prepared != nil {
		return *prepared
	}
	if !w.used.Swap(true) && w.Value.Format == engine.Float32 {
		return w.plain()
	}
	return w.prepare(t.dev)
}

// Gradient returns the gradient of a parameter, nil for any other variable.
func (v *Var) Gradient() *Gradient { return v.param }

// Tape computes operations on one device and, if it records, their gradients.
// After [Tape.Backward] or [Tape.Release] it is empty and serves another pass with the
// memory it has; the variables of the pass before are invalid then. It is not safe for
// concurrent use.
type Tape struct {
	dev       engine.Device
	recording bool
	replays   bool // what is computed now is computed again on the way back, and not recorded yet
	dropping  bool // dropout drops
	finishing bool // in Finish
	only      *Var // of Gradient: nothing else is to get a gradient
	entries   []entry
	loose     []*engine.Tensor // intermediates of a tape that does not record
	unwanted  []*engine.Tensor // gradients nobody needs, which an operation computes with others
	seed      Seed
	drops     uint64    // dropout operations so far
	pending   []pending // gradients that the pass may add to, in the order of their parameters' first use

	// Final, if set before a pass, is called in [Tape.Finish] whenever more gradients of parameters are as they stay: they are
	// not [Gradient.Pending] any more.
	Final func()
	// Recompute says that a recording tape keeps of a [Tape.Layer] little more than its result, and computes the rest again on the way back.
	Recompute bool

	finished int // calls of Finish

	vars slab[Var]
	ops  operations
}

// pending is a gradient that operations add to, the first of them last: that of the entry.
type pending struct {
	g     *Gradient
	entry int
}

// entry is one recorded operation: its result, the tensors it keeps for the
// way back, which the tape frees, and the operation.
type entry struct {
	out   *Var
	saved [2]*engine.Tensor
	op    operation // nil: nothing to pass on
}

// operation passes the gradient of its result to its inputs.
type operation interface {
	backward(t *Tape, dy *engine.Tensor)
}

// Seed determines the dropout masks of a pass. The same seed gives the same masks
// on every device, with any number of threads, in any run.
type Seed struct {
	Key  uint64 // of the run
	Pass uint64 // of the pass: increases with every forward pass of the run
}

// passStreams separates the dropout streams of one pass from those of the next;
// no model has that many dropout operations.
const passStreams = 1 << 16

// NewTape returns a tape that records, for training.
func NewTape(dev engine.Device, seed Seed) *Tape {
	return &Tape{dev: dev, recording: true, dropping: true, seed: seed}
}

// NewPreview returns a tape that computes the values only of a pass that would record, with its dropout.
func NewPreview(dev engine.Device) *Tape { return &Tape{dev: dev, dropping: true} }

// NewInference returns a tape that computes values only, without dropout.
func NewInference(dev engine.Device) *Tape { return &Tape{dev: dev} }

// Reset starts another pass, with dropout masks of its own.
func (t *Tape) Reset(seed Seed) {
	t.Release()
	t.seed = seed
}

// Seed returns that of the pass.
func (t *Tape) Seed() Seed { return t.seed }

// Device returns the device that computes.
func (t *Tape) Device() engine.Device { return t.dev }

// Block runs body and, on a tape that does not record, frees every intermediate
// that body made except its result. Models wrap each layer in it, so that
// inference needs the memory of one layer, and the layers' results. Variables of the body other than
// the result must not be used afterwards.
func (t *Tape) Block(body func() *Var) *Var {
	if t.recording {
		return body()
	}
	start := len(t.loose)
	out := body()
	kept := t.loose[:start]
	for _, x := range t.loose[start:] {
		if x == out.Value {
			kept = append(kept, x)
		} else {
			t.dev.Free(x)
		}
	}
	t.loose = kept
	return out
}

// Layer is Block for a part of a model that other parts follow. On a recording tape with [Tape.Recompute] it keeps the result
// alone, and body is called again on the way back: it must do the same then, and return a variable that it makes. The operations
// pass their gradients back in the order of a tape that keeps them, and dropout drops the same: gradients have the same bits.
func (t *Tape) Layer(body func() *Var) *Var {
	if !t.recording || !t.Recompute {
		return t.Block(body)
	}
	return t.layer(layerOp{body: body})
}

// PostNormLayer is [Tape.Layer] for a body that f follows. With [Tape.Recompute] it keeps what is normed at the end, too, and
// computes nothing again that comes after f's first product.
func (t *Tape) PostNormLayer(body func() *Var, f Feed) *Var {
	if !t.recording || !t.Recompute {
		return t.Block(func() *Var { return t.Feed(body(), f) })
	}
	return t.layer(layerOp{body: body, feed: f, fed: true})
}

// layer computes a layer that is computed again on the way back.
func (t *Tape) layer(l layerOp) *Var {
	op := t.ops.layer.take()
	*op = l
	op.drops, op.at = t.drops, len(t.entries)
	t.recording, t.replays = false, true
	inner := t.Block(func() *Var { return op.compute(t, true) })
	t.recording, t.replays = true, false
	if len(t.loose) != 1 {
		panic("autograd: a layer whose result is not its own")
	}
	t.loose = t.loose[:0] // it is the entry's from here on
	op.out = t.result(inner.Value, inner.needs)
	t.record(op.out, op, op.kept.sum, op.kept.stats)
	return op.out
}

type layerOp struct {
	body  func() *Var
	feed  Feed // behind body, if it is fed
	fed   bool
	kept  keptNorm // of feed
	out   *Var
	drops uint64 // dropout operations before it
	at    int    // its place on the tape
}

// compute returns the layer's result, the second time without the values if they need a feed.
func (op *layerOp) compute(t *Tape, first bool) *Var {
	x := op.body()
	if !op.fed {
		return x
	}
	if first {
		op.kept = keptNorm{t.dev.New(x.Value.Rows, x.Value.Cols), t.dev.New(x.Value.Rows, 2)}
	}
	return t.feed(x, op.feed, op.kept, first)
}

func (op *layerOp) backward(t *Tape, dy *engine.Tensor) {
	start, drops := len(t.entries), t.drops
	if t.finishing {
		t.settle(op.at) // gradients that are the layer's alone are pending from their own operations on, which come now
	}
	t.drops = op.drops
	engine.Repeat(t.dev, dy)
	out := op.compute(t, false)
	engine.Repeated(t.dev)
	t.drops = drops
	out.grad, op.out.grad = op.out.grad, nil
	t.down(start)
}

// Backward sets the gradient of loss (1 x 1) to scale, passes it back through the
// tape to the parameters, and frees the tape's tensors, the loss included.
func (t *Tape) Backward(loss *Var, scale float32) {
	t.start(loss, scale)
	t.down(0)
	t.empty()
}

// Finish is [Tape.Backward] for the last of the passes that add to gradients, and calls [Tape.Final].
func (t *Tape) Finish(loss *Var, scale float32) {
	t.finished++
	t.start(loss, scale)
	t.finishing = true
	t.down(0)
	t.finishing = false
	t.empty()
}

// Finished is how often Finish has been called.
func (t *Tape) Finished() int { return t.finished }

// down passes back the gradients of the operations from the i-th on, the last first, and frees what they have.
func (t *Tape) down(i int) {
	for last := len(t.entries) - 1; last >= i; last-- {
		e := t.entries[last]
		t.pass(e)
		t.freeEntry(e)
		t.entries = t.entries[:last]
		if t.finishing && t.settle(last) {
			t.Final()
		}
	}
}

// settle says whether gradients are as they stay now that operations are passed back down to the i-th.
func (t *Tape) settle(i int) bool {
	left := len(t.pending)
	for left > 0 && t.pending[left-1].entry >= i {
		left--
		t.pending[left].g.pending = false
	}
	some := left < len(t.pending)
	t.pending = t.pending[:left]
	return some
}

// Gradient is Backward for x, a [Leaf], alone: parameters and other leaves get nothing. The tape keeps what it
// has, and Backward may follow. It costs about as much as computing forwards, half of Backward.
func (t *Tape) Gradient(loss *Var, scale float32, x *Var) {
	t.only = x
	t.start(loss, scale)
	for i := len(t.entries) - 1; i >= 0; i-- {
		e := t.entries[i]
		t.pass(e)
		t.dev.Free(e.out.grad)
		e.out.grad = nil
	}
	t.only = nil
}

// start sets the gradient of loss.
func (t *Tape) start(loss *Var, scale float32) {
	if !t.recording {
		panic("autograd: backward on a tape that does not record")
	}
	if loss.grad == nil {
		loss.grad = t.dev.New(1, 1)
	}
	t.dev.LossSlope(loss.grad, loss.Value, scale)
}

// pass passes back the gradient of one operation's result.
func (t *Tape) pass(e entry) {
	if e.op != nil && e.out.grad != nil { // else nothing depends on it
		e.op.backward(t, e.out.grad)
	}
	t.freeUnwanted()
}

// wants says whether v is to get a gradient.
func (t *Tape) wants(v *Var) bool {
	return v.needs && (t.only == nil || v == t.only || v.param == nil && !v.leaf)
}

// Release frees the tape's tensors without a backward pass.
func (t *Tape) Release() {
	for _, e := range t.entries {
		t.freeEntry(e)
	}
	for _, x := range t.loose {
		t.dev.Free(x)
	}
	engine.Fit(t.dev, engine.Size{})
	t.empty()
}

func (t *Tape) freeEntry(e entry) {
	for _, s := range e.saved {
		t.dev.Free(s)
	}
	t.dev.Free(e.out.Value)
	t.dev.Free(e.out.grad)
	e.out.grad = nil
}

func (t *Tape) freeUnwanted() {
	for _, g := range t.unwanted {
		t.dev.Free(g)
	}
	t.unwanted = t.unwanted[:0]
}

func (t *Tape) empty() {
	t.settle(0)
	t.entries, t.loose, t.drops = t.entries[:0], t.loose[:0], 0
	t.vars.reset()
	t.ops.reset()
}

// result makes the variable of an operation's output. It needs a gradient if the tape
// records and needs says that an input does.
func (t *Tape) result(value *engine.Tensor, needs bool) *Var {
	out := t.vars.take()
	*out = Var{Value: value, needs: needs && (t.recording || t.replays)}
	if !t.recording {
		t.loose = append(t.loose, value)
	}
	return out
}

// record remembers an operation and the tensors it keeps.
func (t *Tape) record(out *Var, op operation, saved ...*engine.Tensor) {
	if !t.recording {
		for _, s := range saved {
			t.dev.Free(s)
		}
		return
	}
	e := entry{out: out}
	copy(e.saved[:], saved)
	if out.needs {
		e.op = op
	}
	t.entries = append(t.entries, e)
}

// keep returns a new tensor for the way back; nil on a tape that does not record.
func (t *Tape) keep(rows, cols int) *engine.Tensor {
	if !t.recording {
		return nil
	}
	return t.dev.New(rows, cols)
}

// grad returns the gradient of v, which needs one. If accumulate, it holds a part
// already; else it is undefined and the caller writes all of it.
func (t *Tape) grad(v *Var) (g *engine.Tensor, accumulate bool) {
	if v.param != nil {
		return v.param.all(t.dev)
	}
	if v.grad != nil {
		return v.grad, true
	}
	v.grad = t.dev.New(v.Value.Rows, v.Value.Cols)
	return v.grad, false
}

// onto is grad for an operation that can do without the gradient: nil if v is to get none.
func (t *Tape) onto(v *Var) (g *engine.Tensor, accumulate bool) {
	if !t.wants(v) {
		return nil, false
	}
	return t.grad(v)
}

// into returns a tensor for an operation to write a gradient of v to: the
// gradient itself if it is new, else a temporary that [Tape.merge] adds to it.
func (t *Tape) into(v *Var) *engine.Tensor {
	if t.wants(v) {
		if g, accumulate := t.grad(v); !accumulate {
			return g
		}
	}
	return t.dev.New(v.Value.Rows, v.Value.Cols)
}

// merge takes up what was written to the tensor of into. The gradients of an operation are
// merged in the order of into, after it has written all of them.
func (t *Tape) merge(v *Var, part *engine.Tensor) {
	if t.wants(v) {
		g, _ := t.grad(v)
		if g == part {
			return
		}
		t.dev.Add(g, g, part)
	}
	t.unwanted = append(t.unwanted, part)
}

// dropout returns the next dropout operation of the pass; probability 0 on a tape for inference.
func (t *Tape) dropout(prob float32) engine.Dropout {
	if !t.dropping || prob == 0 {
		return engine.Dropout{}
	}
	t.drops++
	return engine.Dropout{Prob: prob, Key: t.seed.Key, Stream: t.seed.Pass*passStreams + t.drops}
}

// slab hands out values that it takes back all at once, so that a pass allocates
// nothing once there were as many in a pass before. Values stay where they are.
type slab[T any] struct {
	chunks [][]T
	used   int
}

const slabChunk = 64

func (s *slab[T]) take() *T {
	chunk, i := s.used/slabChunk, s.used%slabChunk
	if chunk == len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, slabChunk))
	}
	s.used++
	return &s.chunks[chunk][i]
}

func (s *slab[T]) reset() { s.used = 0 }
