package autograd

import "github.com/unimo-go/unimo/internal/compute/engine"

// divergenceBlock is how many logits exist at a time (32 MiB).
var divergenceBlock = 8 << 20

// VocabularyDivergence is SymmetricDivergence of the logits x·w + bias, x being 2N x H. They exist for a block of
// pairs at a time, and are computed again on the way back, unless one block has them all.
func (t *Tape) VocabularyDivergence(x *Var, w *Weight, bias *Var) *Var {
	read(x, w.Var, bias)
	op := t.ops.divergence.take()
	*op = vocabularyDivergenceOp{x: x, w: w, bias: bias, rows: op.rows, first: op.first}
	loss := t.dev.New(1, 1)
	t.dev.Zero(loss)
	out := t.result(loss, x.needs || w.needs || bias.needs)
	op.blocks(t, func(b divergenceOfBlock) bool {
		t.dev.Add(loss, loss, b.part)
		if keep := out.needs && 2*b.pairs == x.Value.Rows; keep {
			op.all = b
		}
		return op.all.x != nil
	})
	t.record(out, op, op.all.x, op.all.slopes)
	return out
}

type vocabularyDivergenceOp struct {
	x, bias *Var
	w       *Weight
	rows    []int32
	first   []bool
	all     divergenceOfBlock // if it is the only one
}

// divergenceOfBlock is a block of pairs: its rows of x, the derivatives by their logits, and its share of the loss.
type divergenceOfBlock struct {
	pairs           int
	x, slopes, part *engine.Tensor
}

func (op *vocabularyDivergenceOp) backward(t *Tape, dloss *engine.Tensor) {
	dx := t.into(op.x)
	back := func(b divergenceOfBlock) bool {
		part := t.dev.New(b.x.Rows, b.x.Cols)
		t.inputBackward(part, op.w.Var, op.w.op, b.slopes, false)
		t.dev.ScaleBy(part, part, dloss)
		t.dev.ScatterAdd(dx, op.rows, part, op.first)
		t.dev.Free(part)
		if t.only == nil { // else the slopes are needed again
			t.dev.ScaleBy(b.slopes, b.slopes, dloss)
		}
		t.weightsBackward(op.w.Var, op.bias, op.w.op, b.x, b.slopes)
		return false
	}
	if op.all.x != nil {
		back(op.all)
	} else {
		op.blocks(t, back)
	}
	t.merge(op.x, dx)
}

// blocks calls do for every block of pairs; it returns whether the block is kept.
func (op *vocabularyDivergenceOp) blocks(t *Tape, do func(b divergenceOfBlock) bool) {
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
		if share := float32(n) / float32(pairs); share != 1 { // the mean over a block is not that over all
			t.dev.Scale(part, part, share)
			t.dev.Scale(logits, logits, share)
		}
		if !do(divergenceOfBlock{n, x, logits, part}) {
			t.dev.Free(x)
			t.dev.Free(logits)
		}
	}
	t.dev.Free(part)
}
