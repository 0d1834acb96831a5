package xla

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// Losses over groups of scores are computed in float64, as on the processor. The scores of a tensor lie one after the other and so do the groups: how
// many there are is on the grid, as rows are, and an input.

// ContrastiveLoss implements [engine.Device].
func (d *Device) ContrastiveLoss(loss, slopes, scores *engine.Tensor, c engine.Contrast) {
	const op = "contrastive loss"
	c.Check(op, scores)
	engine.CheckShape(op, "slopes", slopes, scores.Rows, scores.Cols)
	engine.CheckShape(op, "loss", loss, 1, 1)
	kinds := make([]int32, len(c.Kinds))
	for i, kind := range c.Kinds {
		switch kind {
		case engine.Positive:
			kinds[i] = positive
		case engine.Negative:
			kinds[i] = negative
		}
	}
	record(d, op, c.Group, lowerContrastiveLoss, []*engine.Tensor{loss, slopes}, d.tensor(scores), host(pjrt.I32, kinds, of(scores).room*scores.Cols))
}

// Kinds of scores here. Those behind a tensor's are excluded.
const (
	excluded = iota
	positive
	negative
)

func lowerContrastiveLoss(b *builder, group int, ins []val) []val {
	if len(ins[1].dims) == 0 || ins[1].dims[0] == 0 {
		return nil
	}
	x := b.groups(b.convert(ins[0], pjrt.F64), group)
	kinds := b.groups(ins[1], group)
	is := func(kind int64) val { return b.compare("EQ", kinds, b.integer(pjrt.I32, kind, kinds.dims...)) }
	positives, negatives := is(positive), is(negative)
	counts := b.binary("and", b.any(positives), b.any(negatives))
	n := b.reduce("add", b.convert(counts, pjrt.F64), b.number64(0), 0)
	weight := b.fill(b.divide(b.number64(1), b.maximum(n, b.number64(1))), counts.dims...)

	up, down := b.logSum(x, positives), b.logSum(x, negatives)
	z := b.subtract(down, up)
	share := b.multiply(weight, b.unary("logistic", z))
	slope := func(which, sum val) val {
		of := b.multiply(b.column(share, group), b.unary("exponential", b.subtract(x, b.column(sum, group))))
		return b.choose(b.binary("and", which, b.column(counts, group)), of, b.like64(x, 0))
	}
	losses := b.choose(counts, b.multiply(weight, b.softplus(z)), b.like64(z, 0))
	return []val{b.sum64(losses), b.ungroup(b.subtract(slope(negatives, down), slope(positives, up)), ins[0].dims)}
}

// groups lays numbers out in groups, one in a row; behind them are zeros.
func (b *builder) groups(x val, group int) val {
	n := product(x.dims)
	rows := (n + group - 1) / group
	return b.reshape(b.fit(b.reshape(x, n), rows*group), rows, group)
}

// ungroup is the opposite, in float32.
func (b *builder) ungroup(x val, dims []int) val {
	return b.convert(b.reshape(b.fit(b.reshape(x, product(x.dims)), product(dims)), dims...), f32)
}

// number64 and like64 are numbers of float64.
func (b *builder) number64(x float64, dims ...int) val {
	return b.constant(pjrt.F64, fmt.Sprintf("%.17e", x), dims...)
}

func (b *builder) like64(x val, c float64) val { return b.number64(c, x.dims...) }

// sum64 is a loss: the sum of the groups' parts.
func (b *builder) sum64(x val) val {
	return b.reshape(b.convert(b.reduce("add", x, b.number64(0), 0), f32), 1, 1)
}

// any says in which rows something holds.
func (b *builder) any(x val) val {
	return b.reduce("or", x, b.constant(pjrt.Pred, "false"), 1)
}

// logSum is the log(sum exp(x)) of the chosen elements of each row; of none it is a number without meaning.
func (b *builder) logSum(x, chosen val) val {
	least := b.like64(x, -math.MaxFloat64)
	top := b.reduce("maximum", b.choose(chosen, x, least), b.number64(-math.MaxFloat64), 1)
	powers := b.unary("exponential", b.subtract(x, b.column(top, x.dims[1])))
	sum := b.reduce("add", b.choose(chosen, powers, b.like64(x, 0)), b.number64(0), 1)
	return b.add(top, b.unary("log", sum))
}

// softplus is log(1 + exp(z)).
func (b *builder) softplus(z val) val {
	small := b.unary("exponential", b.unary("negate", b.unary("abs", z)))
	return b.add(b.maximum(z, b.like64(z, 0)), b.unary("log_plus_one", small))
}

// CircleLoss implements [engine.Device].
func (d *Device) CircleLoss(loss, slopes, scores *engine.Tensor, c engine.CircleLoss) {
	const op = "circle loss"
	c.Check(op, scores)
	engine.CheckShape(op, "slopes", slopes, scores.Rows, 1)
	engine.CheckShape(op, "loss", loss, 1, 1)
	record(d, op, c, lowerCircleLoss, []*engine.Tensor{loss, slopes}, d.tensor(scores), d.count(scores.Rows/c.Group))
}

func lowerCircleLoss(b *builder, c engine.CircleLoss, ins []val) []val {
	if ins[0].dims[0] == 0 {
		return nil
	}
	x := b.groups(b.convert(ins[0], pjrt.F64), c.Group)
	n := x.dims[0]
	there := b.below(ins[1], 0, n)
	groups := b.maximum(b.convert(ins[1], pjrt.F64), b.number64(1))
	half := b.fill(b.divide(b.number64(0.5), groups), n)

	plus := func(x val, c float64) val { return b.add(x, b.like64(x, c)) }
	times := func(x val, c float64) val { return b.multiply(x, b.like64(x, c)) }
	p := b.reshape(b.slice(x, []int{0, 0}, []int{n, 1}), n)
	ap := b.maximum(plus(b.unary("negate", p), 1+c.Margin), b.like64(p, 0))
	own := b.multiply(times(ap, c.Scale), plus(p, c.Margin-1))

	losses, slope := b.like64(p, 0), b.like64(p, 0)
	parts := []val{{}}
	for _, of := range [][2]int{{1, 1 + c.ImageNegatives}, {1 + c.ImageNegatives, c.Group}} {
		k := of[1] - of[0]
		if k == 0 {
			continue
		}
		x := b.slice(x, []int{0, of[0]}, []int{n, of[1]})
		a := times(b.maximum(plus(x, c.Margin), b.like64(x, 0)), c.Scale)
		exponents := b.multiply(a, plus(x, -c.Margin))
		top := b.reduce("maximum", exponents, b.number64(-math.MaxFloat64), 1)
		powers := b.unary("exponential", b.subtract(exponents, b.column(top, k)))
		sum := b.reduce("add", powers, b.number64(0), 1)
		z := b.subtract(b.add(top, b.unary("log", sum)), own)
		share := b.multiply(half, b.unary("logistic", z))
		losses = b.add(losses, b.multiply(half, b.softplus(z)))
		slope = b.subtract(slope, b.multiply(times(share, c.Scale), ap))
		parts = append(parts, b.multiply(b.multiply(b.column(b.divide(share, sum), k), powers), a))
	}
	parts[0] = b.reshape(slope, n, 1)
	slopes := b.concatenate(1, parts...)
	slopes = b.choose(b.column(there, c.Group), slopes, b.like64(slopes, 0))
	return []val{b.sum64(b.choose(there, losses, b.like64(losses, 0))), b.ungroup(slopes, ins[0].dims)}
}
