package cpu

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/engine"
	"github.com/unimo-go/unimo/internal/kernels"
)

// CachedAttention implements [engine.Device].
func (d *Device) CachedAttention(y, q, sk, sv, k, v *engine.Tensor, a engine.CachedAttention) {
	const op = "cached attention"
	if a.Heads < 1 || q.Cols%a.Heads != 0 {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d heads do not divide %d columns", a.Heads, q.Cols)})
	}
	if len(a.Hypotheses) != len(a.Sources) {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("offsets of %d sources with hypotheses and %d with keys", len(a.Hypotheses)-1, len(a.Sources)-1)})
	}
	checkOffsets(op, "hypotheses", a.Hypotheses, q.Rows)
	checkOffsets(op, "sources", a.Sources, sk.Rows)
	engine.CheckShape(op, "y", y, q.Rows, q.Cols)
	engine.CheckShape(op, "sk", sk, sk.Rows, q.Cols)
	engine.CheckShape(op, "sv", sv, sk.Rows, q.Cols)
	engine.CheckShape(op, "k", k, k.Rows, q.Cols)
	engine.CheckShape(op, "v", v, k.Rows, q.Cols)
	if a.Steps < 0 || len(a.Paths) != q.Rows*a.Steps {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("paths of %d rows for %d hypotheses and %d steps", len(a.Paths), q.Rows, a.Steps)})
	}
	engine.CheckIndices(op, a.Paths, k.Rows)
	width := q.Cols / a.Heads
	d.loops.decoding.run((len(a.Sources)-1)*a.Heads, 1, decoding{
		CachedAttention: a,
		y:               data(y), q: data(q), sk: data(sk), sv: data(sv), k: data(k), v: data(v),
		hidden: q.Cols, width: width, scale: float32(1 / math.Sqrt(float64(width))),
	}, (*decoding).heads)
}

// decoding is a step of decoding.
type decoding struct {
	engine.CachedAttention
	y, q, sk, sv, k, v []float32
	hidden, width      int
	scale              float32
}

// heads computes the heads [lo, hi) of all sources, those of a source one after the other.
func (a *decoding) heads(lo, hi int) {
	for i := lo; i < hi; i++ {
		if source := i / a.Heads; a.Hypotheses[source] < a.Hypotheses[source+1] {
			a.head(source, i%a.Heads*a.width)
		}
	}
}

// head computes columns [col, col+D) of the rows of y that belong to a source.
func (a *decoding) head(source, col int) {
	first, rows := int(a.Hypotheses[source]), int(a.Hypotheses[source+1]-a.Hypotheses[source])
	key, keys := int(a.Sources[source]), int(a.Sources[source+1]-a.Sources[source])
	at := func(x []float32, row int) matrix { return matrix{x[row*a.hidden+col:], a.hidden} }
	s := scratches.Get().(*scratch)
	q, y := at(a.q, first), at(a.y, first)
	p := matrix{ld: padded(keys + a.Steps)}
	p.x = grow(&s.scores, rows*p.ld)
	if keys > 0 { // k·qᵀ: the many keys are read as they lie, and only few scores are turned
		qt := matrix{grow(&s.q, padded(rows)*a.width), padded(rows)}
		kernels.Transpose(qt.x, qt.ld, q.x, q.ld, rows, a.width)
		turned := matrix{grow(&s.slopes, padded(rows)*keys), padded(rows)}
		mul(turned, at(a.sk, key), qt, keys, rows, a.width, 0)
		kernels.Transpose(p.x, p.ld, turned.x, turned.ld, keys, rows)
	}
	sums := grow(&s.k, rows)
	for i := range rows {
		row := p.x[i*p.ld:][:keys+a.Steps]
		for step, r := range a.path(first + i) {
			row[keys+step] = kernels.Dot(q.x[i*q.ld:][:a.width], at(a.k, int(r)).x[:a.width])
		}
		_, sums[i] = kernels.Exponentials(row, row, a.scale)
	}
	if keys > 0 {
		mul(y, p, at(a.sv, key), rows, a.width, keys, 0)
	}
	for i := range rows {
		row := y.x[i*y.ld:][:a.width]
		if keys == 0 {
			clear(row)
		}
		for step, r := range a.path(first + i) {
			kernels.Axpy(row, p.x[i*p.ld+keys+step], at(a.v, int(r)).x[:a.width])
		}
		if keys+a.Steps > 0 {
			kernels.Scale(row, 1/sums[i], row)
		}
	}
	scratches.Put(s)
}

// path returns the rows of the pool that a hypothesis sees.
func (a *decoding) path(hypothesis int) []int32 {
	return a.Paths[hypothesis*a.Steps:][:a.Steps]
}
