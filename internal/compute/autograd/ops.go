package autograd

import (
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// operations are the recorded operations of a pass by kind, in memory that is used again.
type operations struct {
	linear       slab[linearOp]
	feedForward  slab[feedForwardOp]
	add          slab[addOp]
	multiply     slab[multiplyOp]
	scale        slab[scaleOp]
	sigmoid      slab[sigmoidOp]
	normalize    slab[normalizeOp]
	stackRows    slab[stackRowsOp]
	activate     slab[activateOp]
	tanh         slab[tanhOp]
	scaleColumns slab[scaleColumnsOp]
	swiglu       slab[swigluOp]
	slice        slab[sliceOp]
	relu         slab[reluOp]
	drop         slab[dropOp]
	layerNorm    slab[layerNormOp]
	addNorm      slab[addNormOp]
	embed        slab[embedOp]
	attention    slab[attentionOp]
	crossEntropy slab[crossEntropyOp]
	squaredError slab[squaredErrorOp]
	vocabulary   slab[vocabularyLossOp]
	slopes       slab[slopesOp]
	divergence   slab[divergenceOp]
	layer        slab[layerOp]
}

func (o *operations) reset() {
	for _, s := range [...]interface{ reset() }{
		&o.linear, &o.feedForward, &o.add, &o.activate, &o.tanh, &o.scaleColumns, &o.swiglu, &o.slice, &o.relu, &o.drop, &o.layerNorm, &o.addNorm, &o.embed,
		&o.attention, &o.crossEntropy, &o.squaredError, &o.vocabulary,
		&o.multiply, &o.scale, &o.sigmoid, &o.normalize, &o.stackRows, &o.slopes, &o.divergence, &o.layer,
	} {
		s.reset()
	}
}

// read says that the operation that is recorded next reads all of some variables, of which some may be nil.
func (t *Tape) read(vars ...*Var) {
	for _, v := range vars {
		if v != nil {
			t.readRows(v, nil)
		}
	}
}

// readRows says that the operation that is recorded next reads rows of v, nil for all: a parameter is brought up to date, and its
// gradient is pending from here on.
func (t *Tape) readRows(v *Var, rows []int32) {
	g := v.param
	if g == nil {
		return
	}
	if g.Before != nil {
		g.Before(rows)
	}
	if t.Final != nil && (t.recording || t.replays) && !g.pending {
		g.pending = true
		t.pending = append(t.pending, pending{g, len(t.entries)})
	}
}

// needing says whether one of some variables, of which some may be nil, needs a gradient.
func needing(vars ...*Var) bool {
	for _, v := range vars {
		if v != nil && v.needs {
			return true
		}
	}
	return false
}

// value returns that of v, nil of nil.
func value(v *Var) *engine.Tensor {
	if v == nil {
		return nil
	}
	return v.Value
}

// Linear returns x·w + b: [N,I]·[I,O] + [O]. b may be nil.
func (t *Tape) Linear(x *Var, w *Weight, b *Var) *Var {
	weight := w.read(t)
	t.read(x, b)
	y := t.dev.New(x.Value.Rows, weight.Out())
	t.dev.Linear(y, x.Value, weight, value(b))
	out, op := t.result(y, needing(x, w.Var, b)), t.ops.linear.take()
	*op = linearOp{x, w.Var, b, w.op}
	t.record(out, op)
	return out
}

// ProductNT returns x·wᵀ: [N,I]·[O,I]ᵀ.
func (t *Tape) ProductNT(x, w *Var) *Var {
	t.read(x, w)
	y := t.dev.New(x.Value.Rows, w.Value.Rows)
	t.dev.MatMul(y, x.Value, w.Value, engine.NT, false)
	out, op := t.result(y, x.needs || w.needs), t.ops.linear.take()
	*op = linearOp{x, w, nil, engine.NT}
	t.record(out, op)
	return out
}

type linearOp struct {
	x, w, b *Var // b may be nil
	op      engine.Transpose
}

func (op *linearOp) backward(t *Tape, dy *engine.Tensor) {
	t.linearBackward(op.x, op.w, op.b, op.op, op.x.Value, dy)
}

// linearBackward passes back the gradient of a linear map whose input was value.
func (t *Tape) linearBackward(x, w, b *Var, op engine.Transpose, value, dy *engine.Tensor) {
	if t.wants(x) {
		dx, accumulate := t.grad(x)
		t.inputBackward(dx, w, op, dy, accumulate)
	}
	t.weightsBackward(w, b, op, value, dy)
}

// inputBackward computes dx = dy·wᵀ of x·w, or dy·w of x·wᵀ.
func (t *Tape) inputBackward(dx *engine.Tensor, w *Var, op engine.Transpose, dy *engine.Tensor, accumulate bool) {
	if w.Value.Format == engine.Int8 {
		panic("autograd: no gradient passes through weights of int8; open the model with weights of float32")
	}
	if op == engine.NT {
		t.dev.MatMul(dx, dy, w.Value, engine.NN, accumulate)
	} else {
		t.dev.MatMul(dx, dy, w.Value, engine.NT, accumulate)
	}
}

// weightsBackward adds dw = xᵀ·dy of x·w, or dyᵀ·x of x·wᵀ, and the sum of the rows of dy.
func (t *Tape) weightsBackward(w, b *Var, op engine.Transpose, x, dy *engine.Tensor) {
	if t.wants(w) {
		dw, accumulate := t.grad(w)
		if op == engine.NT {
			t.dev.MatMul(dw, dy, x, engine.TN, accumulate)
		} else {
			t.dev.MatMul(dw, x, dy, engine.TN, accumulate)
		}
	}
	if b != nil && t.wants(b) {
		db, accumulate := t.grad(b)
		t.dev.SumRows(db, dy, accumulate)
	}
}

// Input returns a copy of the caller's numbers, rows x cols, without a gradient.
func (t *Tape) Input(rows, cols int, values []float32) *Var {
	x := t.dev.New(rows, cols)
	t.dev.Write(x, values)
	out := t.result(x, false)
	t.record(out, nil)
	return out
}

// Shifted returns the caller's numbers, as many as x has, plus x.
func (t *Tape) Shifted(values []float32, x *Var) *Var {
	t.read(x)
	y := t.dev.New(x.Value.Rows, x.Value.Cols)
	t.dev.Write(y, values)
	t.dev.Add(y, y, x.Value)
	out, op := t.result(y, x.needs), t.ops.add.take()
	*op = addOp{x, t.vars.take()}
	*op.b = Var{}
	t.record(out, op)
	return out
}

// FeedForward returns a(x·w1 + b1)·w2 + b2, for an activation that has a gradient (see [Tape.Activate]). Of the inner values [N,F]
// it keeps one form for the way back; the other is computed again together with the slope.
func (t *Tape) FeedForward(x *Var, w1 *Weight, b1 *Var, w2 *Weight, b2 *Var, a engine.Activation) *Var {
	return t.feedForward(x, w1, b1, w2, b2, a, true)
}

// feedForward is FeedForward, whose result may be left without values.
func (t *Tape) feedForward(x *Var, w1 *Weight, b1 *Var, w2 *Weight, b2 *Var, a engine.Activation, values bool) *Var {
	weight1, weight2 := w1.read(t), w2.read(t)
	t.read(x, b1, b2)
	rows, inner := x.Value.Rows, weight1.Out()
	h := t.dev.New(rows, inner) // before the activation
	y := t.dev.New(rows, weight2.Out())
	if values {
		g := h
		if t.recording {
			g = t.dev.New(rows, inner)
		}
		t.dev.LinearActivate(g, h, x.Value, weight1, b1.Value, a)
		t.dev.Linear(y, g, weight2, b2.Value)
		t.dev.Free(g)
	} else {
		t.dev.Linear(h, x.Value, weight1, b1.Value)
	}
	out, op := t.result(y, x.needs || w1.needs || b1.needs || w2.needs || b2.needs), t.ops.feedForward.take()
	*op = feedForwardOp{x, b1, b2, w1, w2, h, a}
	if t.recording {
		t.record(out, op, h)
	}
	return out
}

type feedForwardOp struct {
	x, b1, b2 *Var
	w1, w2    *Weight
	h         *engine.Tensor
	a         engine.Activation
}

func (op *feedForwardOp) backward(t *Tape, dy *engine.Tensor) {
	dh, g := t.dev.New(op.h.Rows, op.h.Cols), op.h // h becomes a(h), unless it is needed again
	if t.only != nil {
		g = t.dev.New(op.h.Rows, op.h.Cols)
		defer t.dev.Free(g)
	}
	t.inputBackward(dh, op.w2.Var, op.w2.op, dy, false)
	t.dev.ActivateBackward(dh, g, dh, op.h, op.a)
	t.weightsBackward(op.w2.Var, op.b2, op.w2.op, g, dy)
	t.linearBackward(op.x, op.w1.Var, op.b1, op.w1.op, op.x.Value, dh)
	t.dev.Free(dh)
}

// Add returns a + b, elementwise.
func (t *Tape) Add(a, b *Var) *Var {
	t.read(a, b)
	y := t.dev.New(a.Value.Rows, a.Value.Cols)
	t.dev.Add(y, a.Value, b.Value)
	out, op := t.result(y, a.needs || b.needs), t.ops.add.take()
	*op = addOp{a, b}
	t.record(out, op)
	return out
}

type addOp struct{ a, b *Var }

func (op *addOp) backward(t *Tape, dy *engine.Tensor) {
	for _, in := range [...]*Var{op.a, op.b} {
		if !t.wants(in) {
			continue
		}
		if dx, accumulate := t.grad(in); accumulate {
			t.dev.Add(dx, dx, dy)
		} else {
			t.dev.Copy(dx, dy)
		}
	}
}

// Multiply returns a·b, elementwise.
func (t *Tape) Multiply(a, b *Var) *Var {
	t.read(a, b)
	y := t.dev.New(a.Value.Rows, a.Value.Cols)
	t.dev.Multiply(y, a.Value, b.Value)
	out, op := t.result(y, a.needs || b.needs), t.ops.multiply.take()
	*op = multiplyOp{a, b}
	t.record(out, op)
	return out
}

type multiplyOp struct{ a, b *Var }

func (op *multiplyOp) backward(t *Tape, dy *engine.Tensor) {
	da, db := t.into(op.a), t.into(op.b)
	t.dev.Multiply(da, dy, op.b.Value)
	t.dev.Multiply(db, dy, op.a.Value)
	t.merge(op.a, da)
	t.merge(op.b, db)
}

// Scale returns c·x.
func (t *Tape) Scale(x *Var, c float32) *Var {
	t.read(x)
	y := t.dev.New(x.Value.Rows, x.Value.Cols)
	t.dev.Scale(y, x.Value, c)
	out, op := t.result(y, x.needs), t.ops.scale.take()
	*op = scaleOp{x, c}
	t.record(out, op)
	return out
}

// Counted returns x, whose gradient counts c times.
func (t *Tape) Counted(x *Var, c float32) *Var {
	t.read(x)
	y := t.dev.New(x.Value.Rows, x.Value.Cols)
	t.dev.Copy(y, x.Value)
	out, op := t.result(y, x.needs), t.ops.scale.take()
	*op = scaleOp{x, c}
	t.record(out, op)
	return out
}

type scaleOp struct {
	x *Var
	c float32
}

func (op *scaleOp) backward(t *Tape, dy *engine.Tensor) {
	dx := t.into(op.x)
	t.dev.Scale(dx, dy, op.c)
	t.merge(op.x, dx)
}

// Sigmoid returns 1/(1+exp(-x)), elementwise.
func (t *Tape) Sigmoid(x *Var) *Var {
	t.read(x)
	y := t.dev.New(x.Value.Rows, x.Value.Cols)
	t.dev.Sigmoid(y, x.Value)
	out, op := t.result(y, x.needs), t.ops.sigmoid.take()
	*op = sigmoidOp{x, y}
	t.record(out, op)
	return out
}

type sigmoidOp struct {
	x *Var
	y *engine.Tensor
}

func (op *sigmoidOp) backward(t *Tape, dy *engine.Tensor) {
	dx := t.into(op.x)
	t.dev.SigmoidBackward(dx, dy, op.y)
	t.merge(op.x, dx)
}

// Normalize divides each row of x by its length; a row of zeros stays one.
func (t *Tape) Normalize(x *Var) *Var {
	t.read(x)
	y, inverse := t.dev.New(x.Value.Rows, x.Value.Cols), t.dev.New(x.Value.Rows, 1)
	t.dev.Normalize(y, inverse, x.Value)
	out, op := t.result(y, x.needs), t.ops.normalize.take()
	*op = normalizeOp{x, y, inverse}
	t.record(out, op, inverse)
	return out
}

type normalizeOp struct {
	x          *Var
	y, inverse *engine.Tensor
}

func (op *normalizeOp) backward(t *Tape, dy *engine.Tensor) {
	dx := t.into(op.x)
	t.dev.NormalizeBackward(dx, dy, op.y, op.inverse)
	t.merge(op.x, dx)
}

// Activate returns a(x), elementwise, for ReLU, SiLU and the forms of GELU, which have gradients.
func (t *Tape) Activate(x *Var, a engine.Activation) *Var {
	t.read(x)
	y := t.dev.New(x.Value.Rows, x.Value.Cols)
	t.dev.Activate(y, x.Value, engine.Epilogue{Activation: a})
	out, op := t.result(y, x.needs), t.ops.activate.take()
	*op = activateOp{x, y, a}
	t.record(out, op)
	return out
}

type activateOp struct {
	x *Var
	y *engine.Tensor
	a engine.Activation
}

func (op *activateOp) backward(t *Tape, dy *engine.Tensor) {
	dx := t.into(op.x)
	t.dev.ActivateBackward(dx, op.y, dy, op.x.Value, op.a)
	t.merge(op.x, dx)
}

// GELU returns x·Φ(x), elementwise.
func (t *Tape) GELU(x *Var) *Var { return t.Activate(x, engine.GELU) }

// Tanh returns the hyperbolic tangent of x, elementwise.
func (t *Tape) Tanh(x *Var) *Var {
	t.read(x)
	y := t.dev.New(x.Value.Rows, x.Value.Cols)
	t.dev.Tanh(y, x.Value)
	out, op := t.result(y, x.needs), t.ops.tanh.take()
	*op = tanhOp{x, y}
	t.record(out, op)
	return out
}

type tanhOp struct {
	x *Var
	y *engine.Tensor
}

func (op *tanhOp) backward(t *Tape, dy *engine.Tensor) {
	dx := t.into(op.x)
	t.dev.TanhBackward(dx, dy, op.y)
	t.merge(op.x, dx)
}

// ScaleColumns returns each row of x times the row s, elementwise: [N,H]·[H].
func (t *Tape) ScaleColumns(x, s *Var) *Var {
	t.read(x, s)
	y := t.dev.New(x.Value.Rows, x.Value.Cols)
	t.dev.ScaleColumns(y, x.Value, s.Value)
	out, op := t.result(y, x.needs || s.needs), t.ops.scaleColumns.take()
	*op = scaleColumnsOp{x, s}
	t.record(out, op)
	return out
}

type scaleColumnsOp struct{ x, s *Var }

func (op *scaleColumnsOp) backward(t *Tape, dy *engine.Tensor) {
	if t.wants(op.s) {
		slopes := t.dev.New(dy.Rows, dy.Cols)
		t.dev.Multiply(slopes, dy, op.x.Value)
		ds, accumulate := t.grad(op.s)
		t.dev.SumRows(ds, slopes, accumulate)
		t.dev.Free(slopes)
	}
	dx := t.into(op.x)
	t.dev.ScaleColumns(dx, dy, op.s.Value)
	t.merge(op.x, dx)
}

// SwiGLU returns SiLU(a)·b, elementwise, where a and b are the halves of each row of h: [N,2F] becomes [N,F].
func (t *Tape) SwiGLU(h *Var) *Var {
	t.read(h)
	y := t.dev.New(h.Value.Rows, h.Value.Cols/2)
	t.dev.SwiGLU(y, h.Value)
	out, op := t.result(y, h.needs), t.ops.swiglu.take()
	*op = swigluOp{h}
	t.record(out, op)
	return out
}

type swigluOp struct{ h *Var }

func (op *swigluOp) backward(t *Tape, dy *engine.Tensor) {
	dh := t.into(op.h)
	t.dev.SwiGLUBackward(dh, dy, op.h.Value)
	t.merge(op.h, dh)
}

// ReLU returns max(x, 0), elementwise.
func (t *Tape) ReLU(x *Var) *Var {
	t.read(x)
	y := t.dev.New(x.Value.Rows, x.Value.Cols)
	t.dev.ReLU(y, x.Value)
	out, op := t.result(y, x.needs), t.ops.relu.take()
	*op = reluOp{x, y}
	t.record(out, op)
	return out
}

type reluOp struct {
	x *Var
	y *engine.Tensor
}

func (op *reluOp) backward(t *Tape, dy *engine.Tensor) {
	dx := t.into(op.x)
	t.dev.ReLUBackward(dx, dy, op.y)
	t.merge(op.x, dx)
}

// Dropout zeroes each element with probability prob and scales the others by
// 1/(1-prob); on a tape that does not record it returns x itself.
func (t *Tape) Dropout(x *Var, prob float32) *Var {
	d := t.dropout(prob)
	if d.Prob == 0 {
		return x
	}
	t.read(x)
	y := t.dev.New(x.Value.Rows, x.Value.Cols)
	t.dev.Dropout(y, x.Value, d)
	out, op := t.result(y, x.needs), t.ops.drop.take()
	*op = dropOp{x, d}
	t.record(out, op)
	return out
}

type dropOp struct {
	x *Var
	d engine.Dropout
}

func (op *dropOp) backward(t *Tape, dy *engine.Tensor) {
	dx := t.into(op.x)
	t.dev.Dropout(dx, dy, op.d)
	t.merge(op.x, dx)
}

// LayerNorm normalises each row of x and applies scale and bias; eps is added to the variance.
func (t *Tape) LayerNorm(x, scale, bias *Var, eps float32) *Var {
	t.read(x, scale, bias)
	y, stats := t.dev.New(x.Value.Rows, x.Value.Cols), t.dev.New(x.Value.Rows, 2)
	t.dev.LayerNorm(y, stats, x.Value, scale.Value, bias.Value, eps)
	out, op := t.result(y, x.needs || scale.needs || bias.needs), t.ops.layerNorm.take()
	*op = layerNormOp{x, scale, bias, stats}
	t.record(out, op, stats)
	return out
}

type layerNormOp struct {
	x, scale, bias *Var
	stats          *engine.Tensor
}

func (op *layerNormOp) backward(t *Tape, dy *engine.Tensor) {
	dx, dscale, dbias := t.into(op.x), t.into(op.scale), t.into(op.bias)
	t.dev.LayerNormBackward(dx, dscale, dbias, dy, op.x.Value, op.scale.Value, op.stats)
	t.merge(op.x, dx)
	t.merge(op.scale, dscale)
	t.merge(op.bias, dbias)
}

// AddNorm returns the layer norm of x + dropout(a): what follows each part of a layer.
func (t *Tape) AddNorm(x, a, scale, bias *Var, eps, prob float32) *Var {
	k := keptNorm{t.keep(x.Value.Rows, x.Value.Cols), t.keep(x.Value.Rows, 2)}
	return t.addNorm(x, a, scale, bias, eps, prob, k, true, k.sum, k.stats)
}

// keptNorm is what the norm of a sum keeps for the way back.
type keptNorm struct{ sum, stats *engine.Tensor }

// addNorm is AddNorm that keeps k, of which the tape is to free what is saved. Without values k is known, and the result is left without any.
func (t *Tape) addNorm(x, a, scale, bias *Var, eps, prob float32, k keptNorm, values bool, saved ...*engine.Tensor) *Var {
	t.read(x, a, scale, bias)
	y, d := t.dev.New(x.Value.Rows, x.Value.Cols), t.dropout(prob)
	if values {
		t.dev.AddNorm(y, k.sum, k.stats, x.Value, a.Value, scale.Value, bias.Value, eps, d)
	}
	out, op := t.result(y, x.needs || a.needs || scale.needs || bias.needs), t.ops.addNorm.take()
	*op = addNormOp{x, a, scale, bias, k, d}
	t.record(out, op, saved...)
	return out
}

// Feed is the last part of a post-norm layer: LN(x + dropout(a(x·w1 + b1)·w2 + b2)).
type Feed struct {
	W1, W2           *Weight
	B1, B2           *Var
	Activation       engine.Activation
	Scale, Bias      *Var // of the norm
	Epsilon, Dropout float32
}

// Feed returns the last part of a layer.
func (t *Tape) Feed(x *Var, f Feed) *Var {
	return t.AddNorm(x, t.FeedForward(x, f.W1, f.B1, f.W2, f.B2, f.Activation), f.Scale, f.Bias, f.Epsilon, f.Dropout)
}

// feed is Feed that keeps k; see addNorm.
func (t *Tape) feed(x *Var, f Feed, k keptNorm, values bool) *Var {
	return t.addNorm(x, t.feedForward(x, f.W1, f.B1, f.W2, f.B2, f.Activation, values), f.Scale, f.Bias, f.Epsilon, f.Dropout, k, values)
}

type addNormOp struct {
	x, a, scale, bias *Var
	keptNorm
	d engine.Dropout
}

func (op *addNormOp) backward(t *Tape, dy *engine.Tensor) {
	dx, da, dscale, dbias := t.into(op.x), t.into(op.a), t.into(op.scale), t.into(op.bias)
	t.dev.AddNormBackward(dx, da, dscale, dbias, dy, op.sum, op.scale.Value, op.stats, op.d)
	t.merge(op.x, dx)
	t.merge(op.a, da)
	t.merge(op.scale, dscale)
	t.merge(op.bias, dbias)
}

// Lookup is one table of an embedding and the row of it that each token takes.
type Lookup struct {
	Table *Var
	IDs   []int32
}

// maxLookups is the most tables of an embedding: words, positions, roles, turns, types.
const maxLookups = 5

// Embed returns, for each token, the sum of its rows of all tables, of which there are one to five.
func (t *Tape) Embed(lookups ...Lookup) *Var {
	if len(lookups) > maxLookups {
		panic("autograd: more than five tables of an embedding")
	}
	op := t.ops.embed.take()
	*op = embedOp{count: len(lookups)}
	copy(op.lookups[:], lookups)
	y := t.dev.New(len(lookups[0].IDs), lookups[0].Table.Value.Cols)
	needs := false
	for i, l := range lookups {
		t.readRows(l.Table, l.IDs)
		t.dev.Gather(y, l.Table.Value, l.IDs, i > 0)
		needs = needs || l.Table.needs
	}
	out := t.result(y, needs)
	t.record(out, op)
	return out
}

type embedOp struct {
	lookups [maxLookups]Lookup
	count   int
}

func (op *embedOp) backward(t *Tape, dy *engine.Tensor) {
	for _, l := range op.lookups[:op.count] {
		switch {
		case !t.wants(l.Table):
		case l.Table.param != nil:
			l.Table.param.scatter(t.dev, l.IDs, dy)
		default:
			dx, accumulate := t.grad(l.Table)
			if !accumulate {
				t.dev.Zero(dx)
			}
			t.dev.ScatterAdd(dx, l.IDs, dy, nil)
		}
	}
}

// Rows returns the rows of x with the given indices.
func (t *Tape) Rows(x *Var, rows []int32) *Var { return t.Embed(Lookup{x, rows}) }

// StackRows returns the rows with the given indices of a matrix whose first rows are a's and whose
// others are b's.
func (t *Tape) StackRows(a, b *Var, rows []int32) *Var {
	t.read(a, b)
	y := t.dev.New(len(rows), a.Value.Cols)
	t.dev.GatherStack(y, a.Value, b.Value, rows)
	out, op := t.result(y, a.needs || b.needs), t.ops.stackRows.take()
	*op = stackRowsOp{a, b, rows}
	t.record(out, op)
	return out
}

type stackRowsOp struct {
	a, b *Var
	rows []int32
}

func (op *stackRowsOp) backward(t *Tape, dy *engine.Tensor) {
	da, db := t.into(op.a), t.into(op.b)
	t.dev.GatherStackBackward(da, db, op.rows, dy)
	t.merge(op.a, da)
	t.merge(op.b, db)
}

// Slice returns so many columns of x, from first on.
func (t *Tape) Slice(x *Var, first, cols int) *Var {
	t.read(x)
	y := t.dev.New(x.Value.Rows, cols)
	t.dev.Slice(y, x.Value, first)
	out, op := t.result(y, x.needs), t.ops.slice.take()
	*op = sliceOp{x, first}
	t.record(out, op)
	return out
}

type sliceOp struct {
	x     *Var
	first int
}

func (op *sliceOp) backward(t *Tape, dy *engine.Tensor) {
	dx := t.into(op.x)
	left, right := t.dev.New(dy.Rows, op.first), t.dev.New(dy.Rows, dx.Cols-dy.Cols-op.first)
	t.dev.Zero(left)
	t.dev.Zero(right)
	t.dev.Concatenate(dx, left, dy, right)
	t.dev.Free(left)
	t.dev.Free(right)
	t.merge(op.x, dx)
}

// Attention returns multi-head attention of packed sequences; a.Dropout's
// probability is taken, its key and stream come from the tape.
func (t *Tape) Attention(q, k, v *Var, a engine.Attention) *Var {
	t.read(q, k, v)
	a.Dropout = t.dropout(a.Dropout.Prob)
	y, stats := t.dev.New(q.Value.Rows, q.Value.Cols), t.keep(q.Value.Rows, a.Heads)
	t.dev.Attention(y, stats, q.Value, k.Value, v.Value, a)
	out, op := t.result(y, q.needs || k.needs || v.needs), t.ops.attention.take()
	*op = attentionOp{q, k, v, stats, a}
	t.record(out, op, stats)
	return out
}

type attentionOp struct {
	q, k, v *Var
	stats   *engine.Tensor
	a       engine.Attention
}

func (op *attentionOp) backward(t *Tape, dy *engine.Tensor) {
	dq, dk, dv := t.into(op.q), t.into(op.k), t.into(op.v)
	t.dev.AttentionBackward(dq, dk, dv, dy, op.stats, op.q.Value, op.k.Value, op.v.Value, op.a)
	t.merge(op.q, dq)
	t.merge(op.k, dk)
	t.merge(op.v, dv)
}

// CachedAttention returns one step of decoding; see [engine.CachedAttention]. It has no
// gradient and panics on a tape that records.
func (t *Tape) CachedAttention(q, sk, sv, k, v *Var, a engine.CachedAttention) *Var {
	if t.recording {
		panic("autograd: cached attention on a tape that records")
	}
	t.read(q, sk, sv, k, v)
	y := t.dev.New(q.Value.Rows, q.Value.Cols)
	t.dev.CachedAttention(y, q.Value, sk.Value, sv.Value, k.Value, v.Value, a)
	return t.result(y, false)
}

// CrossEntropy returns the mean over the rows of the cross entropy of softmax(logits), with label smoothing; see
// [engine.Device].
func (t *Tape) CrossEntropy(logits *Var, classes []int32, smoothing float32) *Var {
	t.read(logits)
	loss := t.dev.New(1, 1)
	t.dev.CrossEntropy(loss, logits.Value, classes, smoothing)
	out, op := t.result(loss, logits.needs), t.ops.crossEntropy.take()
	*op = crossEntropyOp{logits, classes, smoothing}
	t.record(out, op)
	return out
}

type crossEntropyOp struct {
	logits    *Var
	classes   []int32
	smoothing float32
}

func (op *crossEntropyOp) backward(t *Tape, dloss *engine.Tensor) {
	if dlogits, add := t.onto(op.logits); dlogits != nil {
		t.dev.CrossEntropyBackward(dlogits, dloss, op.logits.Value, op.classes, op.smoothing, add)
	}
}

// SquaredError returns the mean of (pred - target)² over all elements of pred.
func (t *Tape) SquaredError(pred *Var, targets []float32) *Var {
	t.read(pred)
	loss := t.dev.New(1, 1)
	t.dev.SquaredError(loss, pred.Value, targets)
	out, op := t.result(loss, pred.needs), t.ops.squaredError.take()
	*op = squaredErrorOp{pred, targets}
	t.record(out, op)
	return out
}

type squaredErrorOp struct {
	pred    *Var
	targets []float32
}

func (op *squaredErrorOp) backward(t *Tape, dloss *engine.Tensor) {
	dpred := t.into(op.pred)
	t.dev.SquaredErrorBackward(dpred, dloss, op.pred.Value, op.targets)
	t.merge(op.pred, dpred)
}

// VocabularyLoss returns the mean cross entropy, with label smoothing, of the logits x·w + bias;
// see [engine.Device]. The variable of w may be a table that is looked up as well.
func (t *Tape) VocabularyLoss(x *Var, w *Weight, bias *Var, labels []int32, smoothing float32) *Var {
	t.read(x, w.Var, bias)
	loss, stats := t.dev.New(1, 1), t.dev.New(x.Value.Rows, 1)
	t.dev.VocabularyLoss(loss, stats, x.Value, w.plain(), bias.Value, labels, smoothing)
	out, op := t.result(loss, x.needs || w.needs || bias.needs), t.ops.vocabulary.take()
	*op = vocabularyLossOp{x, bias, w, stats, labels, smoothing}
	t.record(out, op, stats)
	return out
}

type vocabularyLossOp struct {
	x, bias   *Var
	w         *Weight
	stats     *engine.Tensor
	labels    []int32
	smoothing float32
}

func (op *vocabularyLossOp) backward(t *Tape, dloss *engine.Tensor) {
	dw, addW := t.onto(op.w.Var)
	db, addB := t.onto(op.bias)
	dx := t.into(op.x)
	t.dev.VocabularyLossBackward(dx, dw, db, dloss, op.stats, op.x.Value, op.w.plain(), op.bias.Value, op.labels, op.smoothing, addW, addB)
	t.merge(op.x, dx)
}

// MeanSum returns the mean over rows of the sum of their elements.
func (t *Tape) MeanSum(x *Var) *Var {
	return t.sloped(x, func(loss, slopes *engine.Tensor) { t.dev.MeanSum(loss, slopes, x.Value) })
}

// KLDivergence returns the mean over rows of the divergence of softmax(logits) from the targets'
// distributions; see [engine.Device].
func (t *Tape) KLDivergence(logits *Var, targets []float32) *Var {
	return t.sloped(logits, func(loss, slopes *engine.Tensor) { t.dev.KLDivergence(loss, slopes, logits.Value, targets) })
}

// BinaryCrossEntropy returns the mean over rows of the sum over classes of the cross entropy of sigmoid(logits)
// with the targets, which are as many; see [engine.Device].
func (t *Tape) BinaryCrossEntropy(logits *Var, targets []float32) *Var {
	return t.sloped(logits, func(loss, slopes *engine.Tensor) { t.dev.BinaryCrossEntropy(loss, slopes, logits.Value, targets) })
}

// SymmetricDivergence returns the mean over rows of how far the distributions of a and b, logits both, are from each
// other; see [engine.Device].
func (t *Tape) SymmetricDivergence(a, b *Var) *Var {
	t.read(a, b)
	loss := t.dev.New(1, 1)
	t.dev.SymmetricDivergence(loss, a.Value, b.Value)
	out, op := t.result(loss, a.needs || b.needs), t.ops.divergence.take()
	*op = divergenceOp{a, b}
	t.record(out, op)
	return out
}

type divergenceOp struct{ a, b *Var }

func (op *divergenceOp) backward(t *Tape, dloss *engine.Tensor) {
	da, addA := t.onto(op.a)
	db, addB := t.onto(op.b)
	t.dev.SymmetricDivergenceBackward(da, db, dloss, op.a.Value, op.b.Value, addA, addB)
}

// Given returns a loss of zero whose derivatives by x are slopes: those of a loss that was computed elsewhere. The tape
// frees them.
func (t *Tape) Given(x *Var, slopes *engine.Tensor) *Var {
	t.read(x)
	loss := t.dev.New(1, 1)
	t.dev.Zero(loss)
	return t.withSlopes(x, loss, slopes)
}

// sloped returns a loss of x whose derivatives are computed with it.
func (t *Tape) sloped(x *Var, compute func(loss, slopes *engine.Tensor)) *Var {
	t.read(x)
	loss, slopes := t.dev.New(1, 1), t.dev.New(x.Value.Rows, x.Value.Cols)
	compute(loss, slopes)
	return t.withSlopes(x, loss, slopes)
}

func (t *Tape) withSlopes(x *Var, loss, slopes *engine.Tensor) *Var {
	out, op := t.result(loss, x.needs), t.ops.slopes.take()
	*op = slopesOp{x, slopes}
	t.record(out, op, slopes)
	return out
}

type slopesOp struct {
	x      *Var
	slopes *engine.Tensor
}

func (op *slopesOp) backward(t *Tape, dloss *engine.Tensor) {
	dx := t.into(op.x)
	t.dev.ScaleBy(dx, op.slopes, dloss)
	t.merge(op.x, dx)
}
