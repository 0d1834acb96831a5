package xla

import (
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// decoding is how a step of decoding is laid out: places of hypotheses and of keys for each source, and steps for each hypothesis. These are
// few: a loop that writes word by word meets a new program only where the number of steps passes a power of two.
type decoding struct{ heads, hypotheses, keys, steps int }

// leastSteps is the fewest steps that are laid out.
const leastSteps = 16

// CachedAttention implements [engine.Device].
func (d *Device) CachedAttention(y, q, sk, sv, k, v *engine.Tensor, a engine.CachedAttention) {
	const op = "cached attention"
	a.Check(op, y, q, sk, sv, k, v)
	if q.Rows == 0 || sk.Rows == 0 && k.Rows == 0 {
		record(d, op, none{}, lowerZeros, []*engine.Tensor{y})
		return
	}
	l, ends := decoding{a.Heads, long(longest(a.Hypotheses)), long(longest(a.Sources)), 0}, d.room(len(a.Sources)-1)
	times, most := 2, math.MaxInt
	if to := d.batch.becomes; d.batch.parts && to.Rows >= q.Rows { // a step that is filled up
		l.hypotheses, l.keys, ends = long((to.Rows+to.Sequences-1)/to.Sequences), to.Longest, to.Sequences
		times, most = 4, k.Rows/to.Rows
	}
	sources := host(pjrt.I32, a.Sources[1:], ends)
	ins := []operand{host(pjrt.I32, a.Hypotheses[1:], ends), sources, absent, absent, d.tensor(q), absent, absent, absent, absent}
	if sk.Rows > 0 {
		ins[5], ins[6] = d.tensor(sk), d.tensor(sv)
	}
	if k.Rows > 0 {
		for l.steps = leastSteps; l.steps < a.Steps; l.steps *= times {
		}
		l.steps = min(l.steps, most)
		ins[2], ins[3] = host(pjrt.I32, a.Paths, of(q).room*l.steps), d.count(a.Steps)
		ins[7], ins[8] = d.tensor(k), d.tensor(v)
	}
	record(d, op, l, lowerCachedAttention, []*engine.Tensor{y}, ins...)
}

// share is what some of the keys contribute to attention: for each row and head the largest score, the sum of the powers of e to the
// others' distance from it, and the sum of the values times these powers. Of no keys the largest is the least number, and the sums are 0.
type share struct{ top, sum, values val }

// shareOf is that of scores [.., keys] for values that lie like them.
func (b *builder) shareOf(scores, seen, values val) share {
	scores = b.choose(seen, scores, b.like(scores, math.Inf(-1)))
	last := len(scores.dims) - 1
	var s share
	s.top = b.largest(scores, last)
	s.top = b.maximum(s.top, b.like(s.top, -math.MaxFloat32))
	p := b.unary("exponential", b.subtract(scores, b.spread(s.top, scores.dims, 0, 1, 2)))
	s.sum, s.values = b.sum(p, last), b.product(p, values, 2, 3, 2)
	return s
}

// joined is a share of rows that lie packed.
func (b *builder) joined(s share, hypotheses sequences, rows int) share {
	one := func(x val) val { return b.join(b.reshape(x, append(x.dims[:3:3], 1)...), hypotheses, rows) }
	return share{one(s.top), one(s.sum), b.join(s.values, hypotheses, rows)}
}

// perHead repeats a number of each row and head for the columns of the head.
func (b *builder) perHead(x val, hidden int) val {
	rows, heads := x.dims[0], x.dims[1]
	return b.reshape(b.spread(x, []int{rows, heads, hidden / heads}, 0, 1), rows, hidden)
}

// together is the share of both's keys.
func (b *builder) together(x, y share) share {
	hidden := x.values.dims[1]
	top := b.maximum(x.top, y.top)
	fx, fy := b.unary("exponential", b.subtract(x.top, top)), b.unary("exponential", b.subtract(y.top, top))
	return share{
		top, b.add(b.multiply(fx, x.sum), b.multiply(fy, y.sum)),
		b.add(b.multiply(b.perHead(fx, hidden), x.values), b.multiply(b.perHead(fy, hidden), y.values)),
	}
}

func lowerCachedAttention(b *builder, l decoding, ins []val) []val {
	hypotheses, q := b.sequences(ins[0]), ins[4]
	rows, hidden := q.dims[0], q.dims[1]
	var s share
	if ins[5].ok() {
		s = b.joined(b.ofSources(l, hypotheses, b.sequences(ins[1]), q, ins[5], ins[6]), hypotheses, rows)
	}
	if ins[7].ok() {
		past := b.ofPast(l, q, ins[2], ins[3], ins[7], ins[8])
		if s.top.ok() {
			past = b.together(s, past)
		}
		s = past
	}
	sum := b.choose(b.compare("EQ", s.sum, b.like(s.sum, 0)), b.like(s.sum, 1), s.sum)
	return []val{b.keep(b.divide(s.values, b.perHead(sum, hidden)), b.rowsOf(hypotheses))}
}

// ofSources is the share of the keys of sources. All hypotheses of a source are multiplied by the same.
func (b *builder) ofSources(l decoding, hypotheses, sources sequences, q, k, v val) share {
	q, k, v = b.split(q, hypotheses, l.heads, l.hypotheses), b.split(k, sources, l.heads, l.keys), b.split(v, sources, l.heads, l.keys)
	scores := b.times(b.product(q, k, 2, 3, 3), 1/math.Sqrt(float64(q.dims[3])))
	seen := b.compare("LT", b.iota(pjrt.I32, 3, scores.dims...), b.spread(sources.lengths, scores.dims, 0))
	return b.shareOf(scores, seen, v)
}

// ofPast is the share of the keys in the pool: those of each hypothesis are taken out of it.
func (b *builder) ofPast(l decoding, q, paths, steps, k, v val) share {
	rows, hidden := q.dims[0], q.dims[1]
	width := hidden / l.heads
	step := b.iota(pjrt.I32, 1, rows, l.steps)
	at := b.add(b.multiply(b.iota(pjrt.I32, 0, rows, l.steps), b.fill(steps, rows, l.steps)), step)
	at = b.reshape(b.take(b.reshape(paths, rows*l.steps, 1), b.reshape(at, rows*l.steps)), rows*l.steps)
	there := b.below(steps, 1, rows, l.steps)
	take := func(pool val) val { // [rows, heads, steps, width]
		x := b.reshape(b.take(pool, at), rows, l.steps, l.heads, width)
		x = b.choose(b.spread(there, x.dims, 0, 1), x, b.like(x, 0))
		return b.transpose(x, 0, 2, 1, 3)
	}
	scores := b.times(b.product(b.reshape(q, rows, l.heads, 1, width), take(k), 2, 3, 3), 1/math.Sqrt(float64(width)))
	s := b.shareOf(scores, b.spread(there, scores.dims, 0, 3), take(v))
	return share{b.reshape(s.top, rows, l.heads), b.reshape(s.sum, rows, l.heads), b.reshape(s.values, rows, hidden)}
}
