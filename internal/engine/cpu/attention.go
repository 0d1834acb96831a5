package cpu

import (
	"fmt"
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/engine"
	"github.com/unimo-go/unimo/internal/kernels"
	"github.com/unimo-go/unimo/internal/parallel"
)

// head is the work of one task: one head of one sequence. Its matrices are
// columns [col, col+D) of rows [row, row+T) of the N x H operands, and its T x T
// probabilities stand at probs in the attention's buffer.
type head struct {
	row, col, tokens, width, probs int
}

// forHeads runs body for every head of every sequence.
func forHeads(a engine.Attention, hidden int, body func(h head)) {
	sequences := len(a.Offsets) - 1
	width := hidden / a.Heads
	// Where each sequence's probabilities begin.
	starts := make([]int, sequences)
	sum := 0
	for s := range sequences {
		starts[s] = sum
		t := int(a.Offsets[s+1] - a.Offsets[s])
		sum += a.Heads * t * t
	}
	parallel.For(sequences*a.Heads, func(task int) {
		s, i := task/a.Heads, task%a.Heads
		t := int(a.Offsets[s+1] - a.Offsets[s])
		if t == 0 {
			return
		}
		body(head{row: int(a.Offsets[s]), col: i * width, tokens: t, width: width, probs: starts[s] + i*t*t})
	})
}

func checkAttention(op string, a engine.Attention, q *engine.Tensor, others ...*engine.Tensor) {
	if a.Heads < 1 || q.Cols%a.Heads != 0 {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d heads do not divide %d columns", a.Heads, q.Cols)})
	}
	if n := len(a.Offsets); n < 1 || a.Offsets[0] != 0 || int(a.Offsets[n-1]) != q.Rows || !slices.IsSorted(a.Offsets) {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("offsets %v do not divide %d rows", a.Offsets, q.Rows)})
	}
	for _, t := range others {
		engine.CheckShape(op, "an operand", t, q.Rows, q.Cols)
	}
}

// Attention implements [engine.Device].
func (d *Device) Attention(y, probs, q, k, v *engine.Tensor, a engine.Attention) {
	checkAttention("attention", a, q, y, k, v)
	keep := probs != nil
	if !keep {
		probs = d.New(1, a.ProbsLen())
		defer d.Free(probs)
	}
	engine.CheckShape("attention", "probs", probs, 1, a.ProbsLen())
	dropped := probs // what multiplies v
	if a.Dropout.Prob > 0 && keep {
		dropped = d.New(1, probs.Cols)
		defer d.Free(dropped)
	}
	ys, qs, ks, vs, ps, ds, hidden := data(y), data(q), data(k), data(v), data(probs), data(dropped), q.Cols
	forHeads(a, hidden, func(h head) {
		t, at := h.tokens, h.row*hidden+h.col
		p, drop := ps[h.probs:h.probs+t*t], ds[h.probs:h.probs+t*t]
		kernels.GemmSerial(p, t, qs[at:], hidden, ks[at:], hidden, t, t, h.width, kernels.TransB)
		scale := float32(1 / math.Sqrt(float64(h.width)))
		for i := range t {
			row := p[i*t : (i+1)*t]
			kernels.Softmax(row, row, scale)
		}
		if a.Dropout.Prob > 0 {
			dropProbs(drop, p, h, a.Dropout)
		}
		kernels.GemmSerial(ys[at:], hidden, drop, t, vs[at:], hidden, t, h.width, t, 0)
	})
}

// AttentionBackward implements [engine.Device]. With P the probabilities and P'
// those after dropout:
//
//	dV += P'ᵀ·dY     dP' = dY·Vᵀ     dP = dropout(dP')
//	dS = P∘(dP - rowsum(P∘dP))/sqrt(D)     dQ += dS·K     dK += dSᵀ·Q
func (d *Device) AttentionBackward(dq, dk, dv, dy, probs, q, k, v *engine.Tensor, a engine.Attention) {
	const op = "attention backward"
	checkAttention(op, a, q, dq, dk, dv, dy, k, v)
	engine.CheckShape(op, "probs", probs, 1, a.ProbsLen())
	dprobs := d.New(1, probs.Cols)
	defer d.Free(dprobs)
	dropped := probs
	if a.Dropout.Prob > 0 {
		dropped = d.New(1, probs.Cols)
		defer d.Free(dropped)
	}
	dqs, dks, dvs, dys := data(dq), data(dk), data(dv), data(dy)
	qs, ks, vs, ps, dps, ds, hidden := data(q), data(k), data(v), data(probs), data(dprobs), data(dropped), q.Cols
	forHeads(a, hidden, func(h head) {
		t, at := h.tokens, h.row*hidden+h.col
		p, dp, drop := ps[h.probs:h.probs+t*t], dps[h.probs:h.probs+t*t], ds[h.probs:h.probs+t*t]
		if a.Dropout.Prob > 0 {
			dropProbs(drop, p, h, a.Dropout)
		}
		kernels.GemmSerial(dvs[at:], hidden, drop, t, dys[at:], hidden, t, h.width, t, kernels.TransA|kernels.Accumulate)
		kernels.GemmSerial(dp, t, dys[at:], hidden, vs[at:], hidden, t, t, h.width, kernels.TransB)
		if a.Dropout.Prob > 0 {
			dropProbs(dp, dp, h, a.Dropout)
		}
		scale := float32(1 / math.Sqrt(float64(h.width)))
		for i := range t {
			row := dp[i*t : (i+1)*t]
			kernels.SoftmaxBackward(row, p[i*t:(i+1)*t], row, scale)
		}
		kernels.GemmSerial(dqs[at:], hidden, dp, t, ks[at:], hidden, t, h.width, t, kernels.Accumulate)
		kernels.GemmSerial(dks[at:], hidden, dp, t, qs[at:], hidden, t, h.width, t, kernels.TransA|kernels.Accumulate)
	})
}

// dropProbs applies the head's part of the attention's dropout mask.
func dropProbs(dst, src []float32, h head, drop engine.Dropout) {
	kernels.Dropout(dst, src, drop.Prob, drop.Key, drop.Stream, uint64(h.probs), false)
}
