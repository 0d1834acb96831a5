package cpu

import (
	"math"
	"sync"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// Scores exist for a block of queries at a time and stay in the second-level
// cache; the backward pass computes them again. A block has up to blockQueries
// rows, whole tiles of every instruction set (60 were up to 6 % slower backward, 120 the same),
// and fewer if its scores would take more than blockScores.
const (
	blockQueries = 96
	blockScores  = 64 << 10 // floats
)

// A head's rows lie H apart. More of them than this no longer fit into the
// first-level cache, for so few of its sets are used, and are copied together first.
const scatteredRows = 32

// blockWords is how many random words are made at a time; they stay in the first-level cache.
const blockWords = 4096

// attention is one call: its operands and its tasks. Calls are pooled and bind the methods that
// loops run only once, so a call allocates nothing.
type attention struct {
	engine.Attention
	hidden, width int     // H, D
	scale         float32 // 1/sqrt(D)

	y, stats, q, k, v []float32
	dy, dq, dk, dv    []float32

	tasks             []head
	forward, backward func(task int)
}

// head is one head of one sequence, or some of its queries. Its matrices are columns [col, col+D)
// of the given rows. Query i sees the first max(prefix, place+i+1) of its keys: all of them, if the
// prefix is all. Its random numbers begin with number first.
type head struct {
	index, col     int
	query, queries int // the first row and how many
	key, keys      int
	prefix, place  int
	first          uint64
}

// sees returns how many keys query i sees.
func (h *head) sees(i int) int { return max(h.prefix, h.place+i+1) }

var attentions = sync.Pool{New: func() any {
	t := &attention{}
	t.forward, t.backward = t.forwardHead, t.backwardHead
	return t
}}

// newAttention checks the shapes of all operands and divides the work.
func newAttention(op string, a engine.Attention, stats, q, k, v *engine.Tensor, likeQ, likeK []*engine.Tensor) *attention {
	a.Check(op, stats, q, k, v, likeQ, likeK)
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
		h.prefix, h.place = h.keys, h.keys-h.queries
		if a.Prefix != nil {
			h.prefix = int(a.Prefix[s])
		}
		for h.index = range a.Heads {
			h.col, h.first = h.index*t.width, first
			first += uint64(h.queries) * uint64(h.keys)
			t.tasks = append(t.tasks, h)
		}
	}
	return t
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
	t.divide()
	d.limit.For(len(t.tasks), t.forward)
	t.release()
}

// AttentionBackward implements [engine.Device].
func (d *Device) AttentionBackward(dq, dk, dv, dy, stats, q, k, v *engine.Tensor, a engine.Attention) {
	t := newAttention("attention backward", a, stats, q, k, v, []*engine.Tensor{dq, dy}, []*engine.Tensor{dk, dv})
	t.dq, t.dk, t.dv, t.dy = data(dq), data(dk), data(dv), data(dy)
	d.limit.For(len(t.tasks), t.backward)
	t.release()
}

// divide cuts the queries of a few heads into about enoughTasks tasks, so that every thread has one.
// Each task packs the keys and values again, so many heads are left whole. The cuts are where the
// blocks of a whole head are cut: the results keep their bits.
func (t *attention) divide() {
	const enoughTasks = 8
	heads := len(t.tasks)
	if heads == 0 || heads > enoughTasks/2 {
		return
	}
	var whole [enoughTasks / 2]head
	copy(whole[:], t.tasks)
	t.tasks = t.tasks[:0]
	for _, h := range whole[:heads] {
		block := h.block()
		blocks := (h.queries-1)/block + 1
		for h.queries > 0 {
			part := h
			part.queries = 0
			for range max(1, blocks*heads/enoughTasks) {
				if part.queries < h.queries {
					rows, _ := h.cut(part.queries, block)
					part.queries += rows
				}
			}
			t.tasks = append(t.tasks, part)
			h.query += part.queries
			h.queries -= part.queries
			h.place += part.queries
			h.first += uint64(part.queries) * uint64(h.keys)
		}
	}
}

// scratch is the memory of one task.
type scratch struct {
	scores, slopes []float32 // of a block of queries
	q, k, v, dy    []float32 // rows of the head, copied together
	kt, vt         []float32 // kᵀ and vᵀ
	words          []uint32
	past, ends     []int32 // of decoding
	pieces         []piece // of a row
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// block returns the number of queries of a block of h.
func (h *head) block() int {
	return max(1, min(h.queries, blockQueries, blockScores/max(1, h.stride())))
}

// cut returns how many queries from lo on make a block of at most size, and how many keys the last
// of them sees. Queries that see the prefix alone make blocks of their own: those after them see more.
func (h *head) cut(lo, size int) (rows, keys int) {
	hi := min(lo+size, h.queries)
	if alike := h.prefix - h.place; lo < alike {
		hi = min(hi, alike)
	}
	return hi - lo, h.sees(hi - 1)
}

// stride is the distance between rows of scores. Each row begins at a vector of its own: a load
// that overlaps the store of the row before would have to wait for it.
func (h *head) stride() int { return padded(h.keys) }

// padded rounds n up to whole vectors, to which [kernels.Transpose] writes.
func padded(n int) int {
	return (n + kernels.TransposeWidth - 1) / kernels.TransposeWidth * kernels.TransposeWidth
}

// matrix is rows of numbers that are ld apart.
type matrix struct {
	x  []float32
	ld int
}

// from returns the matrix that begins at element i; behind the last there is nothing.
func (m matrix) from(i int) matrix { return matrix{m.x[min(i, len(m.x)):], m.ld} }

// rows returns the head's columns of x from a row on.
func (t *attention) rows(h head, x []float32, row int) matrix {
	return matrix{x[row*t.hidden+h.col:], t.hidden}
}

// near returns rows of the head where products read them fast.
func (t *attention) near(buffer *[]float32, m matrix, rows int) matrix {
	if rows <= scatteredRows {
		return m
	}
	x := grow(buffer, rows*t.width)
	for i := range rows {
		copy(x[i*t.width:(i+1)*t.width], m.x[i*m.ld:])
	}
	return matrix{x, t.width}
}

// transposed returns the transpose of rows of the head. Its rows are not a multiple of 4 KiB
// apart, so that they do not compete for one set of the cache.
func (t *attention) transposed(buffer *[]float32, m matrix, rows int) matrix {
	ld := padded(rows) + 16
	x := grow(buffer, ld*t.width)
	kernels.Transpose(x, ld, m.x, m.ld, rows, t.width)
	return matrix{x, ld}
}

// clear sets rows of the head to zero.
func (t *attention) clear(h head, x []float32, row, rows int) {
	for i := row; i < row+rows; i++ {
		clear(x[i*t.hidden+h.col:][:t.width])
	}
}

// mul computes c = op(a)·b, or adds it; op(a) is m x k and b k x n.
func mul(c, a, b matrix, m, n, k int, flags kernels.GemmFlags) {
	kernels.GemmSerial(c.x, c.ld, a.x, a.ld, b.x, b.ld, m, n, k, flags)
}

// eachRow calls body for the head's queries from lo on, with the random words of
// the query's probabilities if there is dropout.
func (t *attention) eachRow(s *scratch, h head, lo, rows int, body func(i int, words []uint32)) {
	if t.Dropout.Prob == 0 {
		for i := range rows {
			body(i, nil)
		}
		return
	}
	group := max(1, blockWords/h.keys)
	for from := 0; from < rows; from += group {
		n := min(group, rows-from)
		words := kernels.Words(&s.words, n*h.keys, t.Dropout.Key, t.Dropout.Stream, h.first+uint64((lo+from)*h.keys))
		for i := range n {
			body(from+i, words[i*h.keys:(i+1)*h.keys])
		}
	}
}

func (t *attention) forwardHead(task int) {
	h := t.tasks[task]
	if h.keys == 0 {
		t.clear(h, t.y, h.query, h.queries)
		for i := h.query; t.stats != nil && i < h.query+h.queries; i++ {
			t.stats[i*t.Heads+h.index] = 0
		}
		return
	}
	s := scratches.Get().(*scratch)
	kt := t.transposed(&s.kt, t.rows(h, t.k, h.key), h.keys)
	v := t.near(&s.v, t.rows(h, t.v, h.key), h.keys)
	for lo, block, rows := 0, h.block(), 0; lo < h.queries; lo += rows {
		var keys int
		rows, keys = h.cut(lo, block)
		p := matrix{grow(&s.scores, rows*h.stride()), h.stride()}
		q := t.near(&s.q, t.rows(h, t.q, h.query+lo), rows)
		mul(p, q, kt, rows, keys, t.width, 0)
		var sums [blockQueries]float32
		t.eachRow(s, h, lo, rows, func(i int, words []uint32) {
			row, sees := p.x[i*p.ld:], h.sees(lo+i)
			clear(row[sees:keys])
			row = row[:sees]
			largest, sum := kernels.Exponentials(row, row, t.scale)
			sums[i] = sum
			if t.stats != nil {
				t.stats[(h.query+lo+i)*t.Heads+h.index] = float32(float64(largest) + math.Log(float64(sum)))
			}
			if words != nil {
				kernels.DropWords(row, row, words[:sees], t.Dropout.Prob)
			}
		})
		y := t.rows(h, t.y, h.query+lo)
		mul(y, p, v, rows, t.width, keys, 0)
		for i := range rows {
			row := y.x[i*y.ld:][:t.width]
			kernels.Scale(row, 1/sums[i], row)
		}
	}
	scratches.Put(s)
}

// backwardHead computes, with P the probabilities and P' those after dropout, block of
// queries by block:
//
//	dV += P'ᵀ·dY     dP' = dY·Vᵀ     dP = dropout(dP')
//	dS = P∘(dP - rowsum(P∘dP))/sqrt(D)     dQ = dS·K     dK += dSᵀ·Q
func (t *attention) backwardHead(task int) {
	h := t.tasks[task]
	if h.keys == 0 || h.queries == 0 {
		t.clear(h, t.dq, h.query, h.queries)
		t.clear(h, t.dk, h.key, h.keys)
		t.clear(h, t.dv, h.key, h.keys)
		return
	}
	s := scratches.Get().(*scratch)
	k, v := t.rows(h, t.k, h.key), t.rows(h, t.v, h.key)
	kt, vt := t.transposed(&s.kt, k, h.keys), t.transposed(&s.vt, v, h.keys)
	k = t.near(&s.k, k, h.keys)
	dk, dv := t.rows(h, t.dk, h.key), t.rows(h, t.dv, h.key)
	add := kernels.GemmFlags(0)
	for lo, block, rows := 0, h.block(), 0; lo < h.queries; lo += rows {
		var keys int
		rows, keys = h.cut(lo, block)
		p := matrix{grow(&s.scores, rows*h.stride()), h.stride()}
		dp := matrix{grow(&s.slopes, rows*h.stride()), h.stride()}
		q := t.near(&s.q, t.rows(h, t.q, h.query+lo), rows)
		dy := t.near(&s.dy, t.rows(h, t.dy, h.query+lo), rows)
		mul(p, q, kt, rows, keys, t.width, 0)
		mul(dp, dy, vt, rows, keys, t.width, 0)
		t.eachRow(s, h, lo, rows, func(i int, words []uint32) {
			logSum, sees := t.stats[(h.query+lo+i)*t.Heads+h.index], h.sees(lo+i)
			p, dp := p.x[i*p.ld:], dp.x[i*dp.ld:]
			clear(p[sees:keys])
			clear(dp[sees:keys])
			if words != nil {
				words = words[:sees]
			}
			kernels.SoftmaxBackward(p[:sees], dp[:sees], t.scale, logSum, words, t.Dropout.Prob)
		})
		mul(dv, p, dy, keys, t.width, rows, kernels.TransA|add)
		mul(t.rows(h, t.dq, h.query+lo), dp, k, rows, t.width, keys, 0)
		mul(dk, dp, q, keys, t.width, rows, kernels.TransA|add)
		if add == 0 { // no block before has written the keys behind
			t.clear(h, t.dk, h.key+keys, h.keys-keys)
			t.clear(h, t.dv, h.key+keys, h.keys-keys)
		}
		add = kernels.Accumulate
	}
	scratches.Put(s)
}

// grow returns n elements of a buffer that is made larger if need be. Their
// content does not matter.
func grow[T any](buffer *[]T, n int) []T {
	if cap(*buffer) < n {
		*buffer = make([]T, n)
	}
	return (*buffer)[:n]
}
