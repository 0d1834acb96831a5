package xla

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// Rowwise implements [engine.Device]: which rows a step has looked up would be another program for every batch.
func (d *Device) Rowwise() bool { return false }

// RowSquares implements [engine.Device].
func (d *Device) RowSquares(sums []float64, t *engine.Tensor, rows []int32) {
	const op = "row squares"
	n := t.Rows
	if rows != nil {
		engine.CheckIndices(op, rows, t.Rows)
		n = len(rows)
	}
	if len(sums) != n {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d sums of %d rows", len(sums), n)})
	}
	if n == 0 {
		return
	}
	roots := d.New(n, 2)
	record(d, op, none{}, lowerRowSquares, []*engine.Tensor{roots}, d.tensor(t), d.some(rows))
	d.squares(sums, roots)
}

func lowerRowSquares(b *builder, _ none, ins []val) []val {
	x := ins[0]
	if ins[1].ok() {
		x = b.take(x, ins[1])
	}
	return []val{b.roots(b.sumSquares(x, 1))}
}

// SumSquares implements [engine.Device].
func (d *Device) SumSquares(sums []float64, ts []*engine.Tensor, rows [][]int32) {
	const op = "sum squares"
	if len(sums) != len(ts) || rows != nil && len(rows) != len(ts) {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d sums of %d tensors, rows of %d", len(sums), len(ts), len(rows))})
	}
	if len(ts) == 0 {
		return
	}
	counts, ins := make([]int32, len(ts)), make([]operand, 1, 1+2*len(ts))
	for i, t := range ts {
		counts[i] = int32(t.Rows)
		var some []int32
		if rows != nil && rows[i] != nil {
			some = rows[i]
			engine.CheckIndices(op, some, t.Rows)
			counts[i] = int32(len(some))
		}
		if counts[i] == 0 {
			ins = append(ins, absent, absent)
		} else {
			ins = append(ins, d.tensor(t), d.some(some))
		}
	}
	ins[0] = d.ints(counts)
	roots := d.New(1, 2*len(ts))
	record(d, op, none{}, lowerSumSquares, []*engine.Tensor{roots}, ins...)
	d.squares(sums, roots)
}

func lowerSumSquares(b *builder, _ none, ins []val) []val {
	sums := b.squares(ins)
	return []val{b.reshape(b.roots(sums), 1, 2*sums.dims[0])}
}

// squares are the sums of squares of tensors, of which the operands have first how many rows count, then each with its rows; in float64.
// Those of as many rows, or of one row that is as long, are added up together: there are hundreds of tensors, and a chip needs longer to begin
// a small sum than to make it.
func (b *builder) squares(ins []val) val {
	n := len(ins) / 2
	var lengths []int
	parts, members := make([]val, n), map[int][]int{} // members are the tensors with parts of a length
	for i := range n {
		parts[i] = b.squareParts(ins[1+2*i], ins[2+2*i], b.reshape(b.slice(ins[0], []int{i}, []int{i + 1})))
		length := parts[i].dims[1]
		if members[length] == nil {
			lengths = append(lengths, length)
		}
		members[length] = append(members[length], i)
	}
	sums, places, before := make([]val, len(lengths)), make([]string, n), 0
	for i, length := range lengths {
		same := make([]val, len(members[length]))
		for j, tensor := range members[length] {
			same[j], places[tensor] = parts[tensor], strconv.Itoa(before+j)
		}
		sums[i] = b.reshape(b.reduce("add", b.concatenate(0, same...), b.number64(0), 1), len(same), 1)
		before += len(same)
	}
	order := b.constant(pjrt.I32, "["+strings.Join(places, ", ")+"]", n)
	return b.reshape(b.take(b.concatenate(0, sums...), order), n)
}

// squareParts adds up to the squares of the first count rows of x, or those of its rows; 1 x n.
func (b *builder) squareParts(x, rows, count val) val {
	if !x.ok() {
		return b.number64(0, 1, 1)
	}
	if rows.ok() {
		x = b.take(x, rows)
	}
	n := x.dims[0]
	if n == 1 {
		x = b.convert(x, pjrt.F64)
		return b.multiply(x, x)
	}
	sums := b.sumSquares(x, 1)
	if n <= 8 || grid(n-1) == n { // it may have less rows; up to 8 it has where a batch was filled up
		sums = b.choose(b.below(count, 0, n), sums, b.like64(sums, 0))
	}
	return b.reshape(sums, 1, n)
}

// Clip implements [engine.Device].
func (d *Device) Clip(clip, measure *engine.Tensor, ts []*engine.Tensor, limit float64) {
	engine.CheckClip(clip, measure)
	counts, ins := make([]int32, len(ts)), make([]operand, 2, 2+2*len(ts))
	for i, t := range ts {
		if counts[i] = int32(t.Rows); t.Rows == 0 {
			t = nil
		}
		ins = append(ins, d.tensor(t), absent)
	}
	ins[0], ins[1] = d.tensor(clip), d.ints(counts)
	record(d, "clip", clipping{limit}, lowerClip, []*engine.Tensor{clip, measure}, ins...)
}

// clipping is a limit of a norm; 0: none. It is that of the whole run.
type clipping struct{ limit float64 }

func lowerClip(b *builder, c clipping, ins []val) []val {
	before, n := ins[0], (len(ins)-2)/2
	norm, first := b.number64(0), b.integer(pjrt.I32, 0)
	if n > 0 {
		squares := b.squares(ins[1:])
		norm = b.unary("sqrt", b.reduce("add", squares, b.number64(0), 0))
		none := b.integer(pjrt.I32, int64(n))
		places := b.choose(b.finite(squares), b.fill(none, n), b.iota(pjrt.I32, 0, n))
		first = b.reduce("minimum", places, none, 0)
	}
	factor := b.number64(1)
	if c.limit > 0 {
		factor = b.divide(b.number64(c.limit), b.maximum(norm, b.number64(c.limit)))
	}
	parts := b.parts(b.reshape(norm, 1))
	clip := b.reshape(b.convert(factor, f32), 1, 1)
	for _, x := range []val{before, b.slice(parts, []int{0, 0}, []int{1, 1})} {
		clip = b.choose(b.finite(x), clip, b.like(clip, math.NaN()))
	}
	return []val{clip, b.concatenate(1, parts, b.reshape(b.convert(first, f32), 1, 1), clip)}
}

// some sends indices of rows; none where nil stands for all.
func (d *Device) some(rows []int32) operand {
	if rows == nil {
		return absent
	}
	return d.ints(rows)
}

// sumSquares is in float64, as on the processor.
func (b *builder) sumSquares(x val, over ...int) val {
	x = b.convert(x, pjrt.F64)
	return b.reduce("add", b.multiply(x, x), b.constant(pjrt.F64, "0.0"), over...)
}

// roots are the roots of n numbers of float64 as n x 2 of float32: two parts, whose sum each is. A root is in the range of float32 where
// its square is not.
func (b *builder) roots(sums val) val { return b.parts(b.unary("sqrt", sums)) }

// parts are n numbers of float64 as n x 2 of float32; see [engine.Joined].
func (b *builder) parts(x val) val {
	// Conversions to float32 and back may be left out by the compiler, a reduced precision may not.
	upper := b.line(x.typ, x.dims, "stablehlo.reduce_precision %s, format = e8m23 : %s", x.name, x.tensor())
	lower := b.subtract(x, upper)
	n := x.dims[0]
	return b.concatenate(1, b.reshape(b.convert(upper, f32), n, 1), b.reshape(b.convert(lower, f32), n, 1))
}

// squares reads what roots are the roots of, and frees them.
func (d *Device) squares(sums []float64, roots *engine.Tensor) {
	defer d.Free(roots)
	host := make([]float32, roots.Len())
	d.Read(host, roots)
	for i := range sums {
		root := engine.Joined(host[2*i], host[2*i+1])
		sums[i] = root * root
	}
}

// coefficients are those of a step.
type coefficients struct {
	step   engine.AdamStep
	values [8]float32
}

// coefficient sends those of a step, once for all parameters.
func (d *Device) coefficients(s engine.AdamStep) operand {
	at := slices.IndexFunc(d.steps, func(c *coefficients) bool { return c.step == s })
	if at < 0 {
		if len(d.steps) == 4 { // a step has two, for parameters with decay and without
			d.steps = slices.Delete(d.steps, 0, 1)
		}
		at = len(d.steps)
		d.steps = append(d.steps, &coefficients{s, [8]float32{s.Beta1, 1 - s.Beta1, s.Beta2, 1 - s.Beta2, s.StepSize, s.Epsilon, s.GradScale, s.Decay}})
	}
	return d.floats(d.steps[at].values[:])
}

// Adam implements [engine.Device].
func (d *Device) Adam(p, m, v, g *engine.Tensor, rows []int32, s engine.AdamStep) {
	const op = "adam"
	for _, t := range [...]*engine.Tensor{m, v, g} {
		engine.CheckShape(op, "a moment or the gradient", t, p.Rows, p.Cols)
	}
	engine.CheckIndices(op, rows, p.Rows)
	if rows != nil && len(rows) == 0 {
		return
	}
	record(d, op, none{}, lowerAdam, []*engine.Tensor{p, m, v},
		d.tensor(p), d.tensor(m), d.tensor(v), d.tensor(g), d.coefficients(s), d.tensor(s.Clip), d.some(rows), d.count(len(rows)))
}

func lowerAdam(b *builder, _ none, ins []val) []val {
	p, m, v := b.adam(ins[0], ins[1], ins[2], ins[3], ins[4], ins[5])
	return b.onlyRows(ins[:3], b.unlessNaN(ins[:3], []val{p, m, v}, ins[5]), ins[6], ins[7])
}

// unlessNaN takes the new values unless the clip, if there is one, is NaN.
func (b *builder) unlessNaN(old, changed []val, clip val) []val {
	if !clip.ok() {
		return changed
	}
	steps := b.finite(b.reshape(clip))
	for i, x := range old {
		changed[i] = b.choose(b.fill(steps, x.dims...), changed[i], x)
	}
	return changed
}

// adam is kernels.Adam.
func (b *builder) adam(p, m, v, g, coefficients, clip val) (nextP, nextM, nextV val) {
	c := func(i int, x val) val {
		return b.multiply(b.fill(b.slice(coefficients, []int{i}, []int{i + 1}), x.dims...), x)
	}
	if clip.ok() {
		g = b.multiply(b.fill(clip, g.dims...), g)
	} else {
		g = c(6, g)
	}
	m = b.dropTiny(b.add(c(0, m), c(1, g)))
	v = b.dropTiny(b.add(c(2, v), b.multiply(c(3, g), g)))
	epsilon := b.fill(b.slice(coefficients, []int{5}, []int{6}), p.dims...)
	update := b.divide(c(4, m), b.add(b.unary("sqrt", v), epsilon))
	return b.subtract(p, b.add(update, c(7, p))), m, v
}

// dropTiny is that of kernels.Adam.
func (b *builder) dropTiny(x val) val {
	return b.choose(b.compare("LT", b.unary("abs", x), b.like(x, 0x1p-100)), b.like(x, 0), x)
}

// onlyRows takes the new values in the first count of rows alone; nil rows are all.
func (b *builder) onlyRows(old, changed []val, rows, count val) []val {
	if !rows.ok() {
		return changed
	}
	all := old[0].dims[0]
	marks := b.setRows(b.number(0, all, 1), b.places(rows, b.below(count, 0, rows.dims[0]), all), b.number(1, rows.dims[0], 1))
	for i, x := range old {
		changed[i] = b.choose(b.compare("GT", b.column(marks, x.dims[1]), b.like(x, 0)), changed[i], x)
	}
	return changed
}

// AdamIdle implements [engine.Device]. It is here for what steps rows on any device: optimisers make no idle steps on one that is not rowwise.
func (d *Device) AdamIdle(p, m, v *engine.Tensor, rows, from []int32, history []engine.AdamStep) {
	const op = "adam idle"
	engine.CheckShape(op, "m", m, p.Rows, p.Cols)
	engine.CheckShape(op, "v", v, p.Rows, p.Cols)
	d.idle(op, p, rows, from, history, func(s engine.AdamStep, _ int, rows []int32, zeros *engine.Tensor) { d.Adam(p, m, v, zeros, rows, s) })
}

// idle makes the steps of a history in the rows that have not made them.
func (d *Device) idle(op string, p *engine.Tensor, rows, from []int32, history []engine.AdamStep, step func(s engine.AdamStep, n int, rows []int32, zeros *engine.Tensor)) {
	engine.CheckIdle(op, p, rows, from, history)
	zeros := d.New(p.Rows, p.Cols)
	defer d.Free(zeros)
	d.Zero(zeros)
	for n, s := range history {
		s.Clip = nil // there is nothing to clip
		late := []int32{}
		for i, row := range rows {
			if int(from[i]) <= n {
				late = append(late, row)
			}
		}
		step(s, n, late, zeros)
	}
}

// AdamBfloat16 implements [engine.Device].
func (d *Device) AdamBfloat16(p, moments, g *engine.Tensor, rows []int32, s engine.AdamStep, r engine.Rounding) {
	const op = "adam bfloat16"
	engine.CheckShape(op, "moments", moments, p.Rows, p.Cols)
	engine.CheckShape(op, "the gradient", g, p.Rows, p.Cols)
	engine.CheckIndices(op, rows, p.Rows)
	if rows != nil && len(rows) == 0 {
		return
	}
	record(d, op, r.First, lowerAdamBfloat16, []*engine.Tensor{p, moments},
		d.tensor(p), d.tensor(moments), d.tensor(g), d.coefficients(s), d.tensor(s.Clip), d.stream(r.Key, r.Stream), d.some(rows), d.count(len(rows)))
}

// lowerAdamBfloat16 is kernels.AdamBfloat16.
func lowerAdamBfloat16(b *builder, first int, ins []val) []val {
	u32 := func(x int64) val { return b.integer(pjrt.U32, x, ins[0].dims...) }
	right := func(x val) val { return b.binary("shift_right_logical", x, u32(16)) }
	upperHalf := func(x val) val { return b.binary("and", x, u32(0xffff0000)) }
	both := b.bits(ins[1], pjrt.U32)
	m, v := b.bits(upperHalf(both), f32), b.bits(b.binary("shift_left", both, u32(16)), f32)
	p, m, v := b.adam(ins[0], m, v, ins[2], ins[3], ins[4])
	words := b.wordsFrom(ins[5], first, p.dims)
	upper := b.add(b.bits(m, pjrt.U32), b.binary("and", words, u32(0xffff)))
	lower := b.add(b.bits(v, pjrt.U32), right(words))
	moments := b.bits(b.binary("or", upperHalf(upper), right(lower)), f32)
	return b.onlyRows(ins[:2], b.unlessNaN(ins[:2], []val{p, moments}, ins[4]), ins[6], ins[7])
}

// wordsFrom are the words of as many elements as a matrix has, from one on.
func (b *builder) wordsFrom(stream val, first int, dims []int) val {
	if first == 0 {
		return b.reshape(b.words(stream, dims[0]*dims[1]), dims...)
	}
	at := b.multiply(b.iota(pjrt.U64, 0, dims...), b.integer(pjrt.U64, int64(dims[1]), dims...))
	at = b.add(at, b.iota(pjrt.U64, 1, dims...))
	return b.wordsAt(stream, b.add(at, b.integer(pjrt.U64, int64(first), dims...)))
}

// AdamIdleBfloat16 implements [engine.Device]; see [Device.AdamIdle].
func (d *Device) AdamIdleBfloat16(p, moments *engine.Tensor, rows, from []int32, history []engine.AdamStep, r engine.Rounding) {
	const op = "adam idle bfloat16"
	engine.CheckShape(op, "moments", moments, p.Rows, p.Cols)
	d.idle(op, p, rows, from, history, func(s engine.AdamStep, n int, rows []int32, zeros *engine.Tensor) {
		at := r
		at.Stream += uint64(n)
		d.AdamBfloat16(p, moments, zeros, rows, s, at)
	})
}
