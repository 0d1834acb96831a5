package autograd

import "github.com/unimo-go/unimo/internal/compute/engine"

// divergenceBlock is how many logits exist at a time (16 MiB).
const divergenceBlock = 4 << 20

// VocabularyDivergence is SymmetricDivergence of the logits x·w + bias, x being 2N x H. They exist for a block of
// pairs at a time, and are computed again on the way back.
func (t *Tape) VocabularyDivergence(x *Var, w *Weight, bias *Var) *Var {
	read(x, w.Var, bias)
	op := t.ops.divergence.take()
	*op = vocabularyDivergenceOp{x: x, w: w, bias: bias}
	loss := t.dev.New(1, 1)
	t.dev.Zero(loss)
	op.blocks(t, func(_ []int32, _, _, part *engine.Tensor) { t.dev.Add(loss, loss, part) })
	out := t.result(loss, x.needs || w.needs || bias.needs)
	t.record(out, op)
	return out
}

type vocabularyDivergenceOp struct {
	x, bias *Var
	w       *Weight
	rows    []int32
	first   []bool
}

func (op *vocabularyDivergenceOp) backward(t *Tape, dloss *engine.Tensor) {
	dx := t.into(op.x)
	op.blocks(t, func(rows []int32, x, slopes, _ *engine.Tensor) {
		t.dev.ScaleBy(slopes, slopes, dloss)
		part := t.dev.New(x.Rows, x.Cols)
		t.inputBackward(part, op.w.Var, op.w.op, slopes, false)
		t.dev.ScatterAdd(dx, rows, part, op.first[:len(rows)])
		t.dev.Free(part)
		t.weightsBackward(op.w.Var, op.bias, op.w.op, x, slopes)
	})
	t.merge(op.x, dx)
}

// blocks calls do for every block of pairs: with the rows of x it has, these, the derivatives by their logits, and
// its share of the loss.
func (op *vocabularyDivergenceOp) blocks(t *Tape, do func(rows []int32, x, slopes, part *engine.Tensor)) {
	weight, pairs := op.w.plain(), op.x.Value.Rows/2
	part := t.dev.New(1, 1)
	size := min(pairs, max(1, divergenceBlock/(2*weight.Out())))
	for lo := 0; lo < pairs; lo += size {
		n := min(size, pairs-lo)
		op.rows, op.first = op.rows[:0], op.first[:0]
		for i := range 2 * n {
			op.rows, op.first = append(op.rows, int32(lo+i%n+i/n*pairs)), append(op.first, true)
		}
		x, logits := t.dev.New(2*n, op.x.Value.Cols), t.dev.New(2*n, weight.Out())
		t.dev.Gather(x, op.x.Value, op.rows, false)
		t.dev.Linear(logits, x, weight, op.bias.Value)
		t.dev.SymmetricDivergence(part, logits, logits)
		share := float32(n) / float32(pairs) // the mean over a block is not that over all
		t.dev.Scale(part, part, share)
		t.dev.Scale(logits, logits, share)
		do(op.rows, x, logits, part)
		t.dev.Free(x)
		t.dev.Free(logits)
	}
	t.dev.Free(part)
}
