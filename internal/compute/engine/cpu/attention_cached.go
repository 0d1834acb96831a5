package cpu

import (
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// CachedAttention implements [engine.Device].
func (d *Device) CachedAttention(y, q, sk, sv, k, v *engine.Tensor, a engine.CachedAttention) {
	a.Check("cached attention", y, q, sk, sv, k, v)
	width := q.Cols / a.Heads
	sources := len(a.Sources) - 1
	// Heads of one task share what is read of the past. Enough tasks for the threads to end at about the same time.
	together := max(1, a.Heads*sources/(8*d.limit.Threads()))
	parts := (a.Heads-1)/together + 1
	d.loops.decoding.run(d.limit, sources*parts, 1, decoding{
		CachedAttention: a, parts: parts, together: together,
		y: data(y), q: data(q), sk: data(sk), sv: data(sv), k: data(k), v: data(v),
		hidden: q.Cols, width: width, scale: float32(1 / math.Sqrt(float64(width))),
	}, (*decoding).part)
}

// decoding is a step of decoding.
type decoding struct {
	engine.CachedAttention
	parts, together    int // tasks of a source, and heads of a task
	y, q, sk, sv, k, v []float32
	hidden, width      int
	scale              float32
}

// beam is the most hypotheses of a source that are multiplied by the same keys. Hypotheses of a beam
// share most of their past, so each row of it is read once. A score that a hypothesis does not see is
// computed too, and hidden.
const beam = 16

// part computes some heads of a source; a task is one part.
func (a *decoding) part(task, _ int) {
	source, head := task/a.parts, task%a.parts*a.together
	heads := min(a.together, a.Heads-head)
	s := scratches.Get().(*scratch)
	for first, end := int(a.Hypotheses[source]), int(a.Hypotheses[source+1]); first < end; first += beam {
		rows := min(beam, end-first)
		past, ends := a.past(s, first, rows)
		k, v := a.collect(&s.k, past, a.k, head, heads), a.collect(&s.v, past, a.v, head, heads)
		for i := range heads {
			a.head(s, source, head+i, first, rows, k.from(i*a.width), v.from(i*a.width), past, ends)
		}
	}
	scratches.Put(s)
}

// head computes a head of rows of y from row first on, which see keys and values k, v of the past.
func (a *decoding) head(s *scratch, source, head, first, rows int, k, v matrix, past, ends []int32) {
	at := func(x []float32, row int32) matrix { return matrix{x, a.hidden}.from(int(row)*a.hidden + head*a.width) }
	key := a.Sources[source]
	keys := int(a.Sources[source+1] - key)
	q, y := at(a.q, int32(first)), at(a.y, int32(first))
	p := matrix{ld: padded(keys + len(past))}
	p.x = grow(&s.scores, rows*p.ld)
	behind := p.from(keys) // the scores of the past
	mul(p, q, at(a.sk, key), rows, keys, a.width, kernels.TransB)
	mul(behind, q, k, rows, len(past), a.width, kernels.TransB)
	a.hide(behind, past, ends, first, rows)
	var sums [beam]float32
	for i := range rows {
		row := p.x[i*p.ld:][:keys+len(past)]
		_, sums[i] = kernels.Exponentials(row, row, a.scale)
	}
	mul(y, p, at(a.sv, key), rows, a.width, keys, 0)
	mul(y, behind, v, rows, a.width, len(past), kernels.Accumulate)
	for i := range rows {
		if row := y.x[i*y.ld:][:a.width]; keys+len(past) > 0 {
			kernels.Scale(row, 1/sums[i], row)
		}
	}
}

// past returns the rows of the pool that hypotheses see, step by step, each row of a step once, and
// where the rows of each step end.
func (a *decoding) past(s *scratch, first, rows int) (past, ends []int32) {
	past, ends = grow(&s.past, rows*a.Steps)[:0], grow(&s.ends, a.Steps)
	for step := range ends {
		from := len(past)
		for i := range rows {
			if r := a.Paths[(first+i)*a.Steps+step]; !slices.Contains(past[from:], r) {
				past = append(past, r)
			}
		}
		ends[step] = int32(len(past))
	}
	return past, ends
}

// collect copies heads of rows of the pool together.
func (a *decoding) collect(buffer *[]float32, rows []int32, x []float32, head, heads int) matrix {
	cols := heads * a.width
	y := matrix{grow(buffer, len(rows)*cols), cols}
	for i, r := range rows {
		copy(y.x[i*cols:(i+1)*cols], x[int(r)*a.hidden+head*a.width:])
	}
	return y
}

// hide sets the scores of rows that a hypothesis does not see to minus infinity.
func (a *decoding) hide(scores matrix, past, ends []int32, first, rows int) {
	from := 0
	for step, end := range ends {
		for i := range rows {
			if int(end)-from == 1 {
				break // all see it
			}
			for j := from; j < int(end); j++ {
				if past[j] != a.Paths[(first+i)*a.Steps+step] {
					scores.x[i*scores.ld+j] = float32(math.Inf(-1))
				}
			}
		}
		from = int(end)
	}
}
