package xla

import (
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// layout is how attention lays sequences out: beside each other, as [sequences, heads, places, width]. There are room(sequences) of them,
// of which those behind have no rows, and places(the longest) places. It exists inside the operation only.
type layout struct {
	heads, queries, keys int // places of queries and of keys
	drop                 float32
}

// ends sends where sequences end, behind the last zeros. All layers of a batch have the same offsets, which are sent once.
func (d *Device) ends(offsets []int32) operand { return d.ints(offsets[1:]) }

func longest(offsets []int32) (n int) {
	for s, end := range offsets[1:] {
		n = max(n, int(end-offsets[s]))
	}
	return n
}

// attention returns the layout and the inputs that say which rows and random numbers go where; false if no query has a key.
func (d *Device) attention(q, k *engine.Tensor, a engine.Attention) (layout, []operand, bool) {
	if q.Rows == 0 || k.Rows == 0 {
		return layout{}, nil, false
	}
	ins := []operand{d.ends(a.Queries), d.ends(a.Keys), absent, d.dropout(a.Dropout)}
	if a.Prefix != nil {
		ins[2] = d.ints(a.Prefix)
	}
	return layout{a.Heads, d.places(longest(a.Queries)), d.places(longest(a.Keys)), a.Dropout.Prob}, ins, true
}

// Attention implements [engine.Device].
func (d *Device) Attention(y, stats, q, k, v *engine.Tensor, a engine.Attention) {
	const op = "attention"
	a.Check(op, stats, q, k, v, []*engine.Tensor{y}, nil)
	outs := []*engine.Tensor{y, stats}
	l, ins, ok := d.attention(q, k, a)
	if !ok {
		record(d, op, none{}, lowerZeros, outs)
		return
	}
	record(d, op, l, lowerAttention, outs, append(ins, d.tensor(q), d.tensor(k), d.tensor(v))...)
}

// AttentionBackward implements [engine.Device].
func (d *Device) AttentionBackward(dq, dk, dv, dy, stats, q, k, v *engine.Tensor, a engine.Attention) {
	const op = "attention backward"
	a.Check(op, stats, q, k, v, []*engine.Tensor{dq, dy}, []*engine.Tensor{dk, dv})
	outs := []*engine.Tensor{dq, dk, dv}
	l, ins, ok := d.attention(q, k, a)
	if !ok {
		record(d, op, none{}, lowerZeros, outs)
		return
	}
	record(d, op, l, lowerAttentionBackward, outs, append(ins, d.tensor(q), d.tensor(k), d.tensor(v), d.tensor(dy), d.tensor(stats))...)
}

func lowerZeros(*builder, none, []val) []val { return nil }

// sequences are how rows divide into sequences, in vectors of i32.
type sequences struct{ starts, ends, lengths val }

// sequences works them out of ends with zeros behind.
func (b *builder) sequences(ends val) sequences {
	n := ends.dims[0]
	upTo := b.compare("LE", b.iota(pjrt.I32, 1, n, n), b.iota(pjrt.I32, 0, n, n))
	zero := b.integer(pjrt.I32, 0)
	ends = b.reduce("maximum", b.choose(upTo, b.row(ends, n), b.integer(pjrt.I32, 0, n, n)), zero, 1)
	s := sequences{starts: b.pad(b.fit(ends, n-1), zero, []int{1}, []int{0}), ends: ends}
	s.lengths = b.subtract(ends, s.starts)
	return s
}

// rowsOf is the number of rows, a scalar.
func (b *builder) rowsOf(s sequences) val {
	n := s.ends.dims[0]
	return b.reshape(b.slice(s.ends, []int{n - 1}, []int{n}))
}

// split lays rows out, with zeros where there are none.
func (b *builder) split(x val, s sequences, heads, places int) val {
	n, width := s.ends.dims[0], x.dims[1]/heads
	place := b.iota(pjrt.I32, 1, n, places)
	at := b.add(b.column(s.starts, places), place)
	laid := b.reshape(b.take(x, b.reshape(at, n*places)), n, places, heads, width)
	there := b.compare("LT", place, b.column(s.lengths, places))
	laid = b.choose(b.spread(there, laid.dims, 0, 1), laid, b.constant(laid.typ, "0.0", laid.dims...))
	return b.transpose(laid, 0, 2, 1, 3)
}

// join is the opposite of split. Behind the sequences' rows there are zeros.
func (b *builder) join(x val, s sequences, rows int) val {
	n, heads, places, width := x.dims[0], x.dims[1], x.dims[2], x.dims[3]
	laid := b.reshape(b.transpose(x, 0, 2, 1, 3), n*places, heads*width)
	// Of a row that lies behind some sequences, the place is as many further as they leave places free.
	row := b.iota(pjrt.I32, 0, rows, n)
	free := b.subtract(b.integer(pjrt.I32, int64(places), n), s.lengths)
	free = b.choose(b.compare("LE", b.row(s.ends, rows), row), b.row(free, rows), b.integer(pjrt.I32, 0, rows, n))
	at := b.add(b.iota(pjrt.I32, 0, rows), b.reduce("add", free, b.integer(pjrt.I32, 0), 1))
	return b.keep(b.take(laid, at), b.rowsOf(s))
}

// scores are those of all queries for all keys: of keys that a query does not see minus infinity.
type scores struct {
	layout
	queries, keys sequences
	q, k, v       val // laid out
	s             val // [sequences, heads, queries, keys]
	see           val // which queries see a key: [sequences, heads, queries]
	kept          val // which probabilities dropout keeps, like s; not ok: all
}

func (b *builder) scores(l layout, ins []val) scores {
	s := scores{layout: l, queries: b.sequences(ins[0]), keys: b.sequences(ins[1])}
	s.q = b.split(b.factor(ins[4]), s.queries, l.heads, l.queries)
	s.k = b.split(b.factor(ins[5]), s.keys, l.heads, l.keys)
	s.v = b.split(b.factor(ins[6]), s.keys, l.heads, l.keys)
	s.s = b.times(b.product(s.q, s.k, 2, 3, 3), 1/math.Sqrt(float64(s.q.dims[3])))

	n, q := s.q.dims[0], l.queries
	place := b.iota(pjrt.I32, 1, n, q)
	sees := b.column(s.keys.lengths, q)
	if prefix := ins[2]; prefix.ok() {
		aligned := b.add(b.column(b.subtract(s.keys.lengths, s.queries.lengths), q), b.add(place, b.integer(pjrt.I32, 1, n, q)))
		sees = b.minimum(sees, b.maximum(b.column(prefix, q), aligned))
	}
	sees = b.choose(b.compare("LT", place, b.column(s.queries.lengths, q)), sees, b.integer(pjrt.I32, 0, n, q))
	seen := b.compare("LT", b.iota(pjrt.I32, 3, s.s.dims...), b.spread(sees, s.s.dims, 0, 2))
	s.s = b.choose(seen, s.s, b.like(s.s, math.Inf(-1)))
	s.see = b.spread(b.compare("GT", sees, b.integer(pjrt.I32, 0, n, q)), s.s.dims[:3], 0, 2)
	if 0 < l.drop && l.drop < 1 {
		s.kept = b.keptProbabilities(s, ins[3])
	}
	return s
}

// perQuery repeats a number of each query for all keys.
func (b *builder) perQuery(s scores, x val) val { return b.spread(x, s.s.dims, 0, 1, 2) }

// dropped is dropout of probabilities.
func (b *builder) dropped(s scores, p val) val {
	switch s.drop {
	case 0:
		return p
	case 1:
		return b.like(p, 0)
	}
	_, scale := kernels.DropThreshold(s.drop)
	return b.choose(s.kept, b.times(p, float64(scale)), b.like(p, 0))
}

func lowerAttention(b *builder, l layout, ins []val) []val {
	s := b.scores(l, ins)
	top := b.largest(s.s, 3)
	top = b.choose(s.see, top, b.like(top, 0))
	p := b.unary("exponential", b.subtract(s.s, b.perQuery(s, top)))
	sum := b.sum(p, 3)
	sum = b.choose(s.see, sum, b.like(sum, 1))
	y := b.product(b.dropped(s, p), s.v, 2, 3, 2)
	y = b.divide(y, b.spread(sum, y.dims, 0, 1, 2))
	stats := b.add(top, b.unary("log", sum))
	stats = b.reshape(stats, append(stats.dims[:3:3], 1)...)
	rows := ins[4].dims[0]
	return []val{b.join(y, s.queries, rows), b.join(stats, s.queries, rows)}
}

// lowerAttentionBackward computes what the engine for processors does, but for all queries at once: there are the formulas.
// The scores are computed again: those of the forward pass, which the compiler would take instead, would lie in memory for every layer.
func lowerAttentionBackward(b *builder, l layout, ins []val) []val {
	ins = slices.Clone(ins)
	for i := 4; i <= 6; i++ {
		ins[i] = b.after(b.factor(ins[i]), ins[7])
	}
	s := b.scores(l, ins)
	dy := b.split(b.factor(ins[7]), s.queries, l.heads, l.queries)
	stats := b.split(ins[8], s.queries, l.heads, l.queries)
	p := b.unary("exponential", b.subtract(s.s, b.perQuery(s, b.reshape(stats, stats.dims[:3]...))))
	dv := b.product(b.dropped(s, p), dy, 2, 2, 2)
	dp := b.dropped(s, b.product(dy, s.v, 2, 3, 3))
	ds := b.multiply(p, b.subtract(dp, b.perQuery(s, b.sum(b.multiply(p, dp), 3))))
	ds = b.times(ds, 1/math.Sqrt(float64(s.q.dims[3])))
	dq, dk := b.product(ds, s.k, 2, 3, 2), b.product(ds, s.q, 2, 2, 2)
	queries, keys := ins[4].dims[0], ins[5].dims[0]
	return []val{b.join(dq, s.queries, queries), b.join(dk, s.keys, keys), b.join(dv, s.keys, keys)}
}

// keptProbabilities says which elements dropout keeps. Element i·K+j of a head of a sequence with K keys follows those of the heads and
// sequences before. A block of the generator makes the words of four elements that follow each other, so words are computed for blocks:
// of each query the block of its first element and as many after it as it may touch. What is kept of a block is four bits.
func (b *builder) keptProbabilities(s scores, stream val) val {
	const i8, u64 = pjrt.I8, pjrt.U64
	n, heads, q, k := s.s.dims[0], s.heads, s.layout.queries, s.layout.keys
	wide := func(x val, dims ...int) val { return b.spread(b.convert(x, u64), dims, 0) }
	number := func(x int, dims ...int) val { return b.integer(u64, int64(x), dims...) }

	// The first element of each query.
	sizes := b.multiply(b.multiply(wide(s.queries.lengths, n), wide(s.keys.lengths, n)), number(heads, n))
	before := b.compare("LT", b.iota(pjrt.I32, 1, n, n), b.iota(pjrt.I32, 0, n, n))
	first := b.reduce("add", b.choose(before, b.row(sizes, n), number(0, n, n)), number(0), 1)
	row := b.add(b.multiply(b.iota(u64, 1, n, heads, q), wide(s.queries.lengths, n, heads, q)), b.iota(u64, 2, n, heads, q))
	row = b.add(wide(first, n, heads, q), b.multiply(row, wide(s.keys.lengths, n, heads, q)))

	blocks := (k+2)/4 + 1 // the first element may be the last of its block
	dims := []int{n, heads, q, blocks}
	block := b.binary("shift_right_logical", row, number(2, n, heads, q))
	words := b.blocks(stream, b.add(b.spread(block, dims, 0, 1, 2), b.iota(u64, 3, dims...)))
	threshold, _ := kernels.DropThreshold(s.drop)
	bits := b.integer(i8, 0, dims...)
	for i, w := range words {
		bit := b.choose(b.compare("GE", w, b.integer(pjrt.U32, int64(threshold), dims...)), b.integer(i8, 1<<i, dims...), b.integer(i8, 0, dims...))
		bits = b.binary("or", bits, bit)
	}
	bits = b.barrier(bits) // else each element would compute its block

	// Element j has bit (row+j) mod 4 of a block: of one of two that follow each other.
	next := b.slice(b.pad(bits, b.integer(i8, 0), []int{0, 0, 0, 0}, []int{0, 0, 0, 1}), []int{0, 0, 0, 1}, []int{n, heads, q, blocks + 1})
	bits = b.binary("or", bits, b.binary("shift_left", next, b.integer(i8, 4, dims...)))
	dims = []int{n, heads, q, blocks, 4}
	shift := b.convert(b.binary("and", row, number(3, n, heads, q)), i8)
	shift = b.add(b.spread(shift, dims, 0, 1, 2), b.iota(i8, 4, dims...))
	one := b.binary("and", b.binary("shift_right_logical", b.spread(bits, dims, 0, 1, 2, 3), shift), b.integer(i8, 1, dims...))
	one = b.slice(b.reshape(one, n, heads, q, blocks*4), []int{0, 0, 0, 0}, s.s.dims)
	return b.compare("NE", one, b.integer(i8, 0, s.s.dims...))
}
