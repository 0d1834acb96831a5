package xla

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// lossElements is how many logits of a vocabulary loss exist at a time: 128 MiB of them, about 1,100 rows of BERT's vocabulary.
var lossElements = 32 << 20

// vocabulary is what the loss of x·w + bias depends on besides numbers.
type vocabulary struct {
	linear
	block     int // rows at a time
	smoothing float32
	dw, db    bool // wanted
}

// vocabulary checks the operands.
func (d *Device) vocabulary(op string, stats, x *engine.Tensor, w engine.Weight, bias *engine.Tensor, labels []int32, smoothing float32) vocabulary {
	engine.CheckShape(op, "x", x, len(labels), w.In())
	engine.CheckShape(op, "stats", stats, len(labels), 1)
	engine.CheckShape(op, "bias", bias, 1, w.Out())
	engine.CheckIndices(op, labels, w.Out())
	v := vocabulary{linear: linearOf(w), smoothing: smoothing}
	// Blocks are equal, so that the last is no emptier than the others.
	rows := of(x).room
	if blocks := (rows*v.out-1)/lossElements + 1; blocks > 1 {
		v.block = ((rows-1)/blocks/8 + 1) * 8
	} else {
		v.block = rows
	}
	return v
}

// VocabularyLoss implements [engine.Device].
func (d *Device) VocabularyLoss(loss, stats, x *engine.Tensor, w engine.Weight, bias *engine.Tensor, labels []int32, smoothing float32) {
	const op = "vocabulary loss"
	v := d.vocabulary(op, stats, x, w, bias, labels, smoothing)
	engine.CheckShape(op, "loss", loss, 1, 1)
	if x.Rows == 0 {
		d.noLoss(loss)
		return
	}
	record(d, op, v, lowerVocabularyLoss, []*engine.Tensor{loss, stats}, d.tensor(x), d.weight(w), d.tensor(bias), d.ints(labels), d.count(x.Rows))
}

// VocabularyLossBackward implements [engine.Device].
func (d *Device) VocabularyLossBackward(dx, dw, db, dloss, stats, x *engine.Tensor, w engine.Weight, bias *engine.Tensor, labels []int32, smoothing float32, addW, addB bool) {
	const op = "vocabulary loss backward"
	v := d.vocabulary(op, stats, x, w, bias, labels, smoothing)
	engine.CheckShape(op, "dloss", dloss, 1, 1)
	engine.CheckShape(op, "dx", dx, x.Rows, x.Cols)
	if dw != nil {
		engine.CheckShape(op, "dw", dw, w.Tensor.Rows, w.Tensor.Cols)
	}
	if db != nil {
		engine.CheckShape(op, "db", db, 1, v.out)
	}
	if w.Tensor.Format != engine.Float32 {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("no gradient passes through weights of %v", w.Tensor.Format)})
	}
	if x.Rows == 0 {
		if dw != nil && !addW {
			d.Zero(dw)
		}
		if db != nil && !addB {
			d.Zero(db)
		}
		return
	}
	v.dw, v.db = dw != nil, db != nil
	record(d, op, v, lowerVocabularyLossBackward, []*engine.Tensor{dx, dw, db},
		d.tensor(x), d.weight(w), d.tensor(bias), d.ints(labels), d.count(x.Rows), d.tensor(stats), d.tensor(dloss),
		d.before(dw, v.dw && addW), d.before(db, v.db && addB))
}

// logits are x·w + bias. Of weights that lie as rows all of the device's rows are multiplied, so that no product has an odd size: what is not
// of the vocabulary is minus infinity.
func (b *builder) logits(v vocabulary, x, w, bias val) val {
	l := v.linear
	if v.op == engine.NT {
		l.out = w.dims[0]
	}
	y := b.linear(l, x, w, b.pad(bias, b.number(0), []int{0, 0}, []int{0, l.out - v.out}))
	if l.out == v.out {
		return y
	}
	return b.choose(b.below(b.integer(pjrt.I32, int64(v.out)), 1, y.dims...), y, b.like(y, math.Inf(-1)))
}

// pass is one over rows, block by block.
type pass struct {
	block int   // rows
	count val   // how many rows count, of a block those of the block
	xs    []val // values of which each block has its rows
	whole []val // values that all blocks have whole
	cols  []int // of the results that each block has rows of
	sums  []val // what each block adds to
}

// over makes a pass. body returns a block's rows of results, and the sums as they are then; so does over, of all rows.
func (b *builder) over(p pass, body func(p pass) []val) []val {
	n := p.xs[0].dims[0]
	if p.block >= n {
		return body(p)
	}
	turns := (n + p.block - 1) / p.block
	state := []val{p.count}
	for _, x := range p.xs {
		state = append(state, b.fit(x, turns*p.block))
	}
	state = append(state, p.whole...)
	fixed := len(state)
	for _, cols := range p.cols {
		state = append(state, b.number(0, turns*p.block, cols))
	}
	results := b.loop(turns, append(state, p.sums...), func(turn val, state []val) []val {
		first := b.multiply(turn, b.integer(pjrt.I32, int64(p.block)))
		part := pass{block: p.block, count: b.subtract(state[0], first), xs: make([]val, len(p.xs)), whole: state[1+len(p.xs) : fixed], sums: state[fixed+len(p.cols):]}
		for i := range p.xs {
			part.xs[i] = b.cut(state[1+i], first, p.block)
		}
		made := body(part)
		for i := range p.cols {
			made[i] = b.replace(state[fixed+i], made[i], first)
		}
		return append(state[:fixed:fixed], made...)
	})[fixed:]
	for i := range p.cols {
		results[i] = b.fit(results[i], n)
	}
	return results
}

func lowerVocabularyLoss(b *builder, v vocabulary, ins []val) []val {
	x, w, bias, labels, count := ins[0], ins[1], ins[2], ins[3], ins[4]
	rows := b.over(pass{block: v.block, count: count, xs: []val{x, labels}, whole: []val{w, bias}, cols: []int{1, 1}}, func(p pass) []val {
		s := b.softmax(b.logits(v, p.xs[0], p.whole[0], p.whole[1]))
		losses := b.crossEntropies(s, p.xs[1], v.out, float64(v.smoothing))
		stats := b.add(s.top, b.unary("log", s.sum))
		return []val{b.reshape(losses, p.block, 1), b.reshape(stats, p.block, 1)}
	})
	return []val{b.mean(b.reshape(rows[0], x.dims[0]), count), rows[1]}
}

// lowerVocabularyLossBackward computes the logits again, block by block, and adds up what they lead to.
func lowerVocabularyLossBackward(b *builder, v vocabulary, ins []val) []val {
	x, w, bias, labels, count, stats, dloss := ins[0], ins[1], ins[2], ins[3], ins[4], ins[5], ins[6]
	hidden := x.dims[1]
	p := pass{block: v.block, count: count, xs: []val{x, labels, stats}, whole: []val{w, bias, b.share(dloss, count, nil)}, cols: []int{hidden}}
	begin := func(wanted bool, before, like val) {
		switch {
		case before.ok():
			p.sums = append(p.sums, before)
		case wanted:
			p.sums = append(p.sums, b.like(like, 0))
		}
	}
	begin(v.dw, ins[7], w)
	begin(v.db, ins[8], bias)
	results := b.over(p, func(p pass) []val {
		x, w := p.xs[0], p.whole[0]
		y := b.logits(v, x, w, p.whole[1])
		probabilities := b.unary("exponential", b.subtract(y, b.column(p.xs[2], y.dims[1])))
		dy := b.multiply(b.slopes(probabilities, p.xs[1], v.out, float64(v.smoothing)), b.fill(p.whole[2], y.dims...))
		dy = b.keep(dy, p.count)
		var dx, dw val
		if v.op == engine.NN {
			dx, dw = b.product(dy, b.fit(w, hidden), 0, 1, 1), b.fit(b.product(x, dy, 0, 0, 0), w.dims[0])
		} else {
			dx, dw = b.product(dy, w, 0, 1, 0), b.product(dy, x, 0, 0, 0)
		}
		made, sums := []val{dx}, p.sums
		if v.dw {
			made, sums = append(made, b.add(sums[0], dw)), sums[1:]
		}
		if v.db {
			db := b.reshape(b.sum(dy, 0), 1, y.dims[1])
			made = append(made, b.add(sums[0], b.slice(db, []int{0, 0}, []int{1, v.out})))
		}
		return made
	})
	outs := []val{results[0], {}, {}}
	results = results[1:]
	if v.dw {
		outs[1], results = results[0], results[1:]
	}
	if v.db {
		outs[2] = results[0]
	}
	return outs
}
