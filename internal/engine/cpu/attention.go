package cpu

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/unimo-go/unimo/internal/engine"
	"github.com/unimo-go/unimo/internal/kernels"
	"github.com/unimo-go/unimo/internal/parallel"
)

// Scores exist for a block of queries at a time and stay in the second-level
// cache; the backward pass computes them again. A block has up to blockQueries
// rows, fewer if its scores would take more than blockScores.
const (
	blockQueries = 64
	blockScores  = 64 << 10 // floats
)

// attention is one call: its operands and its tasks. It is pooled, so that a call
// allocates nothing; for that the methods given to parallel.For are bound once.
type attention struct {
	engine.Attention
	hidden, width int     // H, D
	scale         float32 // 1/sqrt(D)

	y, stats, q, k, v []float32
	dy, dq, dk, dv    []float32

	tasks             []head
	forward, backward func(task int)
}

// head is one head of one sequence. Its matrices are columns [col, col+D) of the
// given rows; its probabilities are those from first on.
type head struct {
	index, col     int
	query, queries int // the first row and how many
	key, keys      int
	first          uint64
}

var attentions = sync.Pool{New: func() any {
	t := &attention{}
	t.forward, t.backward = t.forwardHead, t.backwardHead
	return t
}}

// newAttention checks the shapes of all operands and divides the work.
func newAttention(op string, a engine.Attention, stats, q, k, v *engine.Tensor, likeQ, likeK []*engine.Tensor) *attention {
	if a.Heads < 1 || q.Cols%a.Heads != 0 {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d heads do not divide %d columns", a.Heads, q.Cols)})
	}
	if len(a.Queries) != len(a.Keys) {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("offsets of %d sequences of queries and %d of keys", len(a.Queries)-1, len(a.Keys)-1)})
	}
	checkOffsets(op, "queries", a.Queries, q.Rows)
	checkOffsets(op, "keys", a.Keys, k.Rows)
	engine.CheckShape(op, "k", k, k.Rows, q.Cols)
	engine.CheckShape(op, "v", v, k.Rows, q.Cols)
	for _, t := range likeQ {
		engine.CheckShape(op, "an operand like q", t, q.Rows, q.Cols)
	}
	for _, t := range likeK {
		engine.CheckShape(op, "an operand like k", t, k.Rows, k.Cols)
	}
	if stats != nil {
		engine.CheckShape(op, "stats", stats, q.Rows, a.Heads)
	}

	t := attentions.Get().(*attention)
	t.Attention, t.hidden, t.width = a, q.Cols, q.Cols/a.Heads
	t.scale = float32(1 / math.Sqrt(float64(t.width)))
	t.q, t.k, t.v = data(q), data(k), data(v)
	if stats != nil {
		t.stats = data(stats)
	}
	t.tasks = t.tasks[:0]
	first := uint64(0)
	for s := range len(a.Keys) - 1 {
		h := head{query: int(a.Queries[s]), key: int(a.Keys[s])}
		h.queries, h.keys = int(a.Queries[s+1])-h.query, int(a.Keys[s+1])-h.key
		for h.index = range a.Heads {
			h.col, h.first = h.index*t.width, first
			first += uint64(h.queries) * uint64(h.keys)
			t.tasks = append(t.tasks, h)
		}
	}
	return t
}

func checkOffsets(op, name string, offsets []int32, rows int) {
	if n := len(offsets); n < 1 || offsets[0] != 0 || int(offsets[n-1]) != rows || !slices.IsSorted(offsets) {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("offsets %v do not divide %d rows of %s", offsets, rows, name)})
	}
}

// release puts a call back into the pool, which must not keep its operands alive.
func (t *attention) release() {
	*t = attention{tasks: t.tasks, forward: t.forward, backward: t.backward}
	attentions.Put(t)
}

// Attention implements [engine.Device].
func (d *Device) Attention(y, stats, q, k, v *engine.Tensor, a engine.Attention) {
	t := newAttention("attention", a, stats, q, k, v, []*engine.Tensor{y}, nil)
	t.y = data(y)
	parallel.For(len(t.tasks), t.forward)
	t.release()
}

// AttentionBackward implements [engine.Device].
func (d *Device) AttentionBackward(dq, dk, dv, dy, stats, q, k, v *engine.Tensor, a engine.Attention) {
	t := newAttention("attention backward", a, stats, q, k, v, []*engine.Tensor{dq, dy}, []*engine.Tensor{dk, dv})
	t.dq, t.dk, t.dv, t.dy = data(dq), data(dk), data(dv), data(dy)
	parallel.For(len(t.tasks), t.backward)
	t.release()
}

// scratch is the memory of one task.
type scratch struct {
	scores, gradients []float32
	words             []uint32
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// block returns the number of queries of a block of h.
func (h head) block() int { return min(h.queries, blockQueries, max(1, blockScores/max(1, h.keys))) }

// at returns where row i of the head is in a matrix H wide.
func (t *attention) at(h head, i int) int { return i*t.hidden + h.col }

// clearRows sets the head's columns of rows to zero.
func (t *attention) clearRows(x []float32, h head, row, rows int) {
	for i := range rows {
		at := t.at(h, row+i)
		clear(x[at : at+t.width])
	}
}

func (t *attention) forwardHead(task int) {
	h := t.tasks[task]
	if h.keys == 0 {
		t.clearRows(t.y, h, h.query, h.queries)
		for i := range h.queries {
			if t.stats != nil {
				t.stats[(h.query+i)*t.Heads+h.index] = 0
			}
		}
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	k, v := t.k[t.at(h, h.key):], t.v[t.at(h, h.key):]
	for lo := 0; lo < h.queries; lo += h.block() {
		rows := min(h.block(), h.queries-lo)
		query := h.query + lo
		y := t.y[t.at(h, query):]
		p := grow(&s.scores, rows*h.keys)
		kernels.GemmSerial(p, h.keys, t.q[t.at(h, query):], t.hidden, k, t.hidden, rows, h.keys, t.width, kernels.TransB)
		sums := [blockQueries]float32{}
		for i := range rows {
			row := p[i*h.keys : (i+1)*h.keys]
			largest, sum := kernels.Exponentials(row, row, t.scale)
			sums[i] = sum
			if t.stats != nil {
				t.stats[(query+i)*t.Heads+h.index] = float32(float64(largest) + math.Log(float64(sum)))
			}
		}
		if t.Dropout.Prob > 0 {
			kernels.Dropout(p, p, t.Dropout.Prob, t.Dropout.Key, t.Dropout.Stream, h.first+uint64(lo*h.keys), false)
		}
		kernels.GemmSerial(y, t.hidden, p, h.keys, v, t.hidden, rows, t.width, h.keys, 0)
		for i := range rows {
			row := y[i*t.hidden : i*t.hidden+t.width]
			kernels.Scale(row, 1/sums[i], row)
		}
	}
}

// backwardHead computes, with P the probabilities and P' those after dropout, block of
// queries by block:
//
//	dV += P'ᵀ·dY     dP' = dY·Vᵀ     dP = dropout(dP')
//	dS = P∘(dP - rowsum(P∘dP))/sqrt(D)     dQ = dS·K     dK += dSᵀ·Q
func (t *attention) backwardHead(task int) {
	h := t.tasks[task]
	if h.keys == 0 || h.queries == 0 {
		t.clearRows(t.dq, h, h.query, h.queries)
		t.clearRows(t.dk, h, h.key, h.keys)
		t.clearRows(t.dv, h, h.key, h.keys)
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	keys := t.at(h, h.key)
	k, v, dk, dv := t.k[keys:], t.v[keys:], t.dk[keys:], t.dv[keys:]
	add := kernels.GemmFlags(0)
	for lo := 0; lo < h.queries; lo += h.block() {
		rows := min(h.block(), h.queries-lo)
		queries := t.at(h, h.query+lo)
		q, dy := t.q[queries:], t.dy[queries:]
		p, dp := grow(&s.scores, rows*h.keys), grow(&s.gradients, rows*h.keys)
		kernels.GemmSerial(p, h.keys, q, t.hidden, k, t.hidden, rows, h.keys, t.width, kernels.TransB)
		kernels.GemmSerial(dp, h.keys, dy, t.hidden, v, t.hidden, rows, h.keys, t.width, kernels.TransB)
		var words []uint32
		if t.Dropout.Prob > 0 {
			words = kernels.Words(&s.words, len(p), t.Dropout.Key, t.Dropout.Stream, h.first+uint64(lo*h.keys))
		}
		for i := range rows {
			from, to := i*h.keys, (i+1)*h.keys
			var w []uint32
			if words != nil {
				w = words[from:to]
			}
			kernels.SoftmaxBackward(p[from:to], dp[from:to], t.scale, t.stats[(h.query+lo+i)*t.Heads+h.index], w, t.Dropout.Prob)
		}
		kernels.GemmSerial(dv, t.hidden, p, h.keys, dy, t.hidden, h.keys, t.width, rows, kernels.TransA|add)
		kernels.GemmSerial(t.dq[queries:], t.hidden, dp, h.keys, k, t.hidden, rows, t.width, h.keys, 0)
		kernels.GemmSerial(dk, t.hidden, dp, h.keys, q, t.hidden, h.keys, t.width, rows, kernels.TransA|add)
		add = kernels.Accumulate
	}
}

// grow returns n elements of a buffer that is made larger if need be. Their
// content does not matter.
func grow(buffer *[]float32, n int) []float32 {
	if cap(*buffer) < n {
		*buffer = make([]float32, n)
	}
	return (*buffer)[:n]
}
