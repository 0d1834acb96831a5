package autograd

import "github.com/unimo-go/unimo/internal/engine"

// Var is a value and, while needed, its gradient.
type Var struct {
	Value *engine.Tensor
	Grad  *engine.Tensor // nil until something flows back (parameters: always there)
	needs bool
}

// Param returns a leaf whose gradient accumulates in grad.
func Param(value, grad *engine.Tensor) *Var { return &Var{Value: value, Grad: grad, needs: true} }

// Const returns a leaf without gradient.
func Const(value *engine.Tensor) *Var { return &Var{Value: value} }

// Tape computes operations on one device and, if it records, their gradients.
// A tape serves one pass; it is not safe for concurrent use.
type Tape struct {
	dev       engine.Device
	recording bool
	entries   []entry
	loose     []*engine.Tensor // intermediates of a tape that does not record
	unwanted  []*Var           // constants that the operation going backwards gave a gradient
	seed      Seed
	drops     uint64 // dropout operations so far
}

// entry is one recorded operation: its result, what it saved, and its gradient.
type entry struct {
	out   *Var
	saved *engine.Tensor // freed after backward; may be nil
	back  func()
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
	return &Tape{dev: dev, recording: true, seed: seed}
}

// NewInference returns a tape that computes values only, without dropout.
func NewInference(dev engine.Device) *Tape { return &Tape{dev: dev} }

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

// Backward sets the gradient of loss (1 x 1) to scale, passes it back through the
// tape to the parameters, and frees the tape's tensors, the loss included.
func (t *Tape) Backward(loss *Var, scale float32) {
	if !t.recording {
		panic("autograd: backward on a tape that does not record")
	}
	t.dev.Write(t.grad(loss), []float32{scale})
	for i := len(t.entries) - 1; i >= 0; i-- {
		e := t.entries[i]
		if e.out.Grad != nil { // else nothing depends on it
			e.back()
		}
		t.freeUnwanted()
		t.freeEntry(e)
	}
	t.entries = t.entries[:0]
}

// Release frees the tape's tensors without a backward pass.
func (t *Tape) Release() {
	for _, e := range t.entries {
		t.freeEntry(e)
	}
	t.entries = t.entries[:0]
	for _, x := range t.loose {
		t.dev.Free(x)
	}
	t.loose = t.loose[:0]
}

func (t *Tape) freeEntry(e entry) {
	t.dev.Free(e.saved)
	t.dev.Free(e.out.Value)
	t.dev.Free(e.out.Grad)
	e.out.Grad = nil
}

// freeUnwanted frees the gradients of constants: operations with several inputs
// compute the gradients of all if one needs it.
func (t *Tape) freeUnwanted() {
	for _, v := range t.unwanted {
		t.dev.Free(v.Grad)
		v.Grad = nil
	}
	t.unwanted = t.unwanted[:0]
}

// result makes the variable of an operation's output. The output needs a
// gradient if the tape records and any input does.
func (t *Tape) result(value *engine.Tensor, inputs ...*Var) *Var {
	out := &Var{Value: value}
	if !t.recording {
		t.loose = append(t.loose, value)
		return out
	}
	for _, in := range inputs {
		out.needs = out.needs || in.needs
	}
	return out
}

// record remembers an operation. saved is an extra tensor that back needs; the
// tape frees it.
func (t *Tape) record(out *Var, saved *engine.Tensor, back func()) {
	if !t.recording {
		t.dev.Free(saved)
		return
	}
	if !out.needs {
		back = func() {}
	}
	t.entries = append(t.entries, entry{out, saved, back})
}

// grad returns the gradient of v to accumulate into, zeroed when new.
func (t *Tape) grad(v *Var) *engine.Tensor {
	if v.Grad == nil {
		v.Grad = t.dev.New(v.Value.Rows, v.Value.Cols)
		t.dev.Zero(v.Grad)
		if !v.needs {
			t.unwanted = append(t.unwanted, v)
		}
	}
	return v.Grad
}

// dropout returns the next dropout operation of the pass; probability 0 when the
// tape does not record.
func (t *Tape) dropout(prob float32) engine.Dropout {
	if !t.recording || prob == 0 {
		return engine.Dropout{}
	}
	t.drops++
	return engine.Dropout{Prob: prob, Key: t.seed.Key, Stream: t.seed.Pass*passStreams + t.drops}
}
