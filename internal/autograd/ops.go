package autograd

import "github.com/unimo-go/unimo/internal/engine"

// Linear returns x·w + b: [N,I]·[I,O] + [O].
func (t *Tape) Linear(x, w, b *Var) *Var {
	d := t.dev
	y := d.New(x.Value.Rows, w.Value.Cols)
	d.MatMul(y, x.Value, w.Value, engine.NN, false)
	d.AddBias(y, b.Value)
	out := t.result(y, x, w, b)
	t.record(out, nil, func() {
		if x.needs { // dx += dy·wᵀ
			fresh := x.Grad == nil
			if fresh {
				x.Grad = d.New(x.Value.Rows, x.Value.Cols)
			}
			d.MatMul(x.Grad, out.Grad, w.Value, engine.NT, !fresh)
		}
		if w.needs { // dw += xᵀ·dy
			d.MatMul(t.grad(w), x.Value, out.Grad, engine.TN, true)
		}
		if b.needs {
			d.SumRows(t.grad(b), out.Grad)
		}
	})
	return out
}

// Add returns a + b, elementwise.
func (t *Tape) Add(a, b *Var) *Var {
	d := t.dev
	y := d.New(a.Value.Rows, a.Value.Cols)
	d.Add(y, a.Value, b.Value)
	out := t.result(y, a, b)
	t.record(out, nil, func() {
		for _, in := range [...]*Var{a, b} {
			if in.needs {
				d.Accumulate(t.grad(in), out.Grad)
			}
		}
	})
	return out
}

// GELU returns x·Φ(x), elementwise.
func (t *Tape) GELU(x *Var) *Var {
	d := t.dev
	y := d.New(x.Value.Rows, x.Value.Cols)
	d.GELU(y, x.Value)
	out := t.result(y, x)
	t.record(out, nil, func() { d.GELUBackward(t.grad(x), out.Grad, x.Value) })
	return out
}

// ReLU returns max(x, 0), elementwise.
func (t *Tape) ReLU(x *Var) *Var {
	d := t.dev
	y := d.New(x.Value.Rows, x.Value.Cols)
	d.ReLU(y, x.Value)
	out := t.result(y, x)
	t.record(out, nil, func() { d.ReLUBackward(t.grad(x), out.Grad, y) })
	return out
}

// Dropout zeroes each element with probability prob and scales the others by
// 1/(1-prob); on a tape that does not record it returns x itself.
func (t *Tape) Dropout(x *Var, prob float32) *Var {
	drop := t.dropout(prob)
	if drop.Prob == 0 {
		return x
	}
	d := t.dev
	y := d.New(x.Value.Rows, x.Value.Cols)
	d.Dropout(y, x.Value, drop)
	out := t.result(y, x)
	t.record(out, nil, func() { d.DropoutBackward(t.grad(x), out.Grad, drop) })
	return out
}

// LayerNorm normalises each row of x and applies scale and bias.
func (t *Tape) LayerNorm(x, scale, bias *Var) *Var {
	d := t.dev
	y, stats := d.New(x.Value.Rows, x.Value.Cols), d.New(x.Value.Rows, 2)
	d.LayerNorm(y, stats, x.Value, scale.Value, bias.Value)
	out := t.result(y, x, scale, bias)
	t.record(out, stats, func() {
		d.LayerNormBackward(t.grad(x), t.grad(scale), t.grad(bias), out.Grad, x.Value, scale.Value, stats)
	})
	return out
}

// Lookup is one table of an embedding and the row of it that each token takes.
type Lookup struct {
	Table *Var
	IDs   []int32
}

// Embed returns, for each token, the sum of its rows of all tables.
func (t *Tape) Embed(lookups ...Lookup) *Var {
	d := t.dev
	y := d.New(len(lookups[0].IDs), lookups[0].Table.Value.Cols)
	tables := make([]*Var, len(lookups))
	for i, l := range lookups {
		d.Gather(y, l.Table.Value, l.IDs, i > 0)
		tables[i] = l.Table
	}
	out := t.result(y, tables...)
	t.record(out, nil, func() {
		for _, l := range lookups {
			if l.Table.needs {
				d.ScatterAdd(t.grad(l.Table), l.IDs, out.Grad)
			}
		}
	})
	return out
}

// Rows returns the rows of x with the given indices.
func (t *Tape) Rows(x *Var, rows []int32) *Var { return t.Embed(Lookup{x, rows}) }

// Attention returns multi-head attention of packed sequences; a.Dropout's
// probability is taken, its key and stream come from the tape.
func (t *Tape) Attention(q, k, v *Var, a engine.Attention) *Var {
	d := t.dev
	a.Dropout = t.dropout(a.Dropout.Prob)
	y := d.New(q.Value.Rows, q.Value.Cols)
	var stats *engine.Tensor
	if t.recording {
		stats = d.New(q.Value.Rows, a.Heads)
	}
	d.Attention(y, stats, q.Value, k.Value, v.Value, a)
	out := t.result(y, q, k, v)
	t.record(out, stats, func() {
		inputs := [...]*Var{q, k, v}
		var fresh [3]*engine.Tensor
		for i, in := range inputs {
			fresh[i] = d.New(in.Value.Rows, in.Value.Cols)
		}
		d.AttentionBackward(fresh[0], fresh[1], fresh[2], out.Grad, stats, q.Value, k.Value, v.Value, a)
		for i, in := range inputs {
			switch {
			case in.needs && in.Grad == nil:
				in.Grad = fresh[i]
				continue
			case in.needs:
				d.Accumulate(in.Grad, fresh[i])
			}
			d.Free(fresh[i])
		}
	})
	return out
}

// CrossEntropy returns the mean of -log softmax(logits)[class] over the rows.
func (t *Tape) CrossEntropy(logits *Var, classes []int32) *Var {
	d := t.dev
	loss, probs := d.New(1, 1), d.New(logits.Value.Rows, logits.Value.Cols)
	d.CrossEntropy(loss, probs, logits.Value, classes)
	out := t.result(loss, logits)
	t.record(out, probs, func() { d.CrossEntropyBackward(t.grad(logits), out.Grad, probs, classes) })
	return out
}

// SquaredError returns the mean of (pred - target)² over the rows of pred [B,1].
func (t *Tape) SquaredError(pred *Var, targets []float32) *Var {
	d := t.dev
	loss := d.New(1, 1)
	d.SquaredError(loss, pred.Value, targets)
	out := t.result(loss, pred)
	t.record(out, nil, func() { d.SquaredErrorBackward(t.grad(pred), out.Grad, pred.Value, targets) })
	return out
}
