package xla

import (
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// entropy is a cross entropy's label smoothing and whether its gradient is added.
type entropy struct {
	smoothing float32
	add       bool
}

// CrossEntropy implements [engine.Device].
func (d *Device) CrossEntropy(loss, logits *engine.Tensor, classes []int32, smoothing float32) {
	const op = "cross entropy"
	engine.CheckShape(op, "logits", logits, len(classes), logits.Cols)
	engine.CheckIndices(op, classes, logits.Cols)
	engine.CheckShape(op, "loss", loss, 1, 1)
	if logits.Rows == 0 {
		d.noLoss(loss)
		return
	}
	record(d, op, entropy{smoothing: smoothing}, lowerCrossEntropy, []*engine.Tensor{loss}, d.tensor(logits), d.ints(classes), d.count(logits.Rows))
}

// CrossEntropyBackward implements [engine.Device].
func (d *Device) CrossEntropyBackward(dlogits, dloss, logits *engine.Tensor, classes []int32, smoothing float32, add bool) {
	const op = "cross entropy backward"
	engine.CheckShape(op, "logits", logits, len(classes), logits.Cols)
	engine.CheckIndices(op, classes, logits.Cols)
	engine.CheckShape(op, "dlogits", dlogits, logits.Rows, logits.Cols)
	engine.CheckShape(op, "dloss", dloss, 1, 1)
	if logits.Rows == 0 {
		return
	}
	record(d, op, entropy{smoothing, add}, lowerCrossEntropyBackward, []*engine.Tensor{dlogits},
		d.tensor(logits), d.ints(classes), d.count(logits.Rows), d.tensor(dloss), d.before(dlogits, add))
}

// before is what an operation adds to, if it does.
func (d *Device) before(t *engine.Tensor, add bool) operand {
	if !add {
		return absent
	}
	return d.tensor(t)
}

// LossSlope implements [engine.Device].
func (d *Device) LossSlope(dloss, loss *engine.Tensor, scale float32) {
	const op = "loss slope"
	engine.CheckShape(op, "dloss", dloss, 1, 1)
	engine.CheckShape(op, "loss", loss, 1, 1)
	record(d, op, none{}, lowerLossSlope, []*engine.Tensor{dloss}, d.tensor(loss), d.scalar(scale))
}

func lowerLossSlope(b *builder, _ none, ins []val) []val {
	loss := ins[0]
	return []val{b.choose(b.finite(loss), b.reshape(ins[1], loss.dims...), b.like(loss, math.NaN()))}
}

// noLoss is that of no rows.
func (d *Device) noLoss(loss *engine.Tensor) {
	record(d, "no loss", none{}, func(b *builder, _ none, _ []val) []val { return []val{b.number(math.NaN(), 1, 1)} }, []*engine.Tensor{loss})
}

// softmax is what losses need of rows of logits.
type softmax struct {
	shifted val // the logits minus the largest of the row
	top     val // that, of each row
	powers  val // e to the shifted
	sum     val // their sums
}

func (b *builder) softmax(x val) softmax {
	s := softmax{top: b.largest(x, 1)}
	s.shifted = b.subtract(x, b.column(s.top, x.dims[1]))
	s.powers = b.unary("exponential", s.shifted)
	s.sum = b.sum(s.powers, 1)
	return s
}

func (b *builder) probabilities(s softmax) val {
	return b.divide(s.powers, b.column(s.sum, s.powers.dims[1]))
}

// is says which column each row's class is.
func (b *builder) is(classes val, cols int) val {
	return b.compare("EQ", b.iota(pjrt.I32, 1, classes.dims[0], cols), b.column(classes, cols))
}

// total is the sum of rows' losses, those of count rows. It is taken of parts first: a sum of many numbers one by one loses digits.
func (b *builder) total(losses, count val) val {
	const part = 64
	n := (losses.dims[0] + part - 1) / part
	parts := b.sum(b.reshape(b.fit(b.keep(losses, count), n*part), n, part), 1)
	return b.sum(b.barrier(parts), 0)
}

// mean is the mean of count rows' losses.
func (b *builder) mean(losses, count val) val {
	return b.reshape(b.divide(b.total(losses, count), b.convert(count, f32)), 1, 1)
}

// share is dloss / count, for all elements of a shape.
func (b *builder) share(dloss, count val, dims []int) val {
	return b.fill(b.divide(b.reshape(dloss), b.convert(count, f32)), dims...)
}

// added is x, or the sum with what was there.
func (b *builder) added(x, before val) val {
	if !before.ok() {
		return x
	}
	return b.add(before, x)
}

// crossEntropies are the losses of rows.
func (b *builder) crossEntropies(s softmax, classes val, cols int, smoothing float64) val {
	chosen := b.choose(b.is(classes, s.shifted.dims[1]), s.shifted, b.like(s.shifted, 0))
	loss := b.subtract(b.unary("log", s.sum), b.times(b.sum(chosen, 1), 1-smoothing))
	if smoothing > 0 { // else an infinite logit does not matter
		loss = b.subtract(loss, b.times(b.sum(b.within(s.shifted, cols), 1), smoothing/float64(cols)))
	}
	return loss
}

// slopes are the probabilities minus the smoothed labels.
func (b *builder) slopes(probabilities, classes val, cols int, smoothing float64) val {
	even := smoothing / float64(cols)
	label := b.choose(b.is(classes, probabilities.dims[1]), b.like(probabilities, 1-smoothing+even), b.like(probabilities, even))
	return b.within(b.subtract(probabilities, label), cols)
}

// within sets the columns from cols on to zero.
func (b *builder) within(x val, cols int) val {
	if cols == x.dims[1] {
		return x
	}
	return b.choose(b.below(b.integer(pjrt.I32, int64(cols)), 1, x.dims...), x, b.like(x, 0))
}

func lowerCrossEntropy(b *builder, e entropy, ins []val) []val {
	logits, classes, count := ins[0], ins[1], ins[2]
	return []val{b.mean(b.crossEntropies(b.softmax(logits), classes, logits.dims[1], float64(e.smoothing)), count)}
}

func lowerCrossEntropyBackward(b *builder, e entropy, ins []val) []val {
	logits, classes, count := ins[0], ins[1], ins[2]
	slopes := b.slopes(b.probabilities(b.softmax(logits)), classes, logits.dims[1], float64(e.smoothing))
	return []val{b.added(b.keep(b.multiply(slopes, b.share(ins[3], count, slopes.dims)), count), ins[4])}
}

// targets sends a number for each element of x.
func (d *Device) targets(x *engine.Tensor, targets []float32) operand {
	return host(pjrt.F32, targets, of(x).room*x.Cols)
}

// SquaredError implements [engine.Device].
func (d *Device) SquaredError(loss, pred *engine.Tensor, targets []float32) {
	const op = "squared error"
	engine.CheckTargets(op, pred, targets)
	engine.CheckShape(op, "loss", loss, 1, 1)
	if pred.Len() == 0 {
		d.noLoss(loss)
		return
	}
	record(d, op, none{}, lowerSquaredError, []*engine.Tensor{loss}, d.tensor(pred), d.targets(pred, targets), d.count(pred.Rows))
}

func lowerSquaredError(b *builder, _ none, ins []val) []val {
	pred, count := ins[0], ins[2]
	diff := b.subtract(pred, b.reshape(ins[1], pred.dims...))
	return []val{b.times(b.mean(b.sum(b.multiply(diff, diff), 1), count), 1/float64(pred.dims[1]))}
}

// SquaredErrorBackward implements [engine.Device].
func (d *Device) SquaredErrorBackward(dpred, dloss, pred *engine.Tensor, targets []float32) {
	const op = "squared error backward"
	engine.CheckTargets(op, pred, targets)
	engine.CheckShape(op, "dpred", dpred, pred.Rows, pred.Cols)
	engine.CheckShape(op, "dloss", dloss, 1, 1)
	if pred.Len() == 0 {
		return
	}
	record(d, op, none{}, lowerSquaredErrorBackward, []*engine.Tensor{dpred}, d.tensor(pred), d.targets(pred, targets), d.count(pred.Rows), d.tensor(dloss))
}

func lowerSquaredErrorBackward(b *builder, _ none, ins []val) []val {
	pred, count := ins[0], ins[2]
	diff := b.subtract(pred, b.reshape(ins[1], pred.dims...))
	scale := b.times(b.share(ins[3], count, nil), 2/float64(pred.dims[1]))
	return []val{b.keep(b.multiply(diff, b.fill(scale, pred.dims...)), count)}
}

// MeanSum implements [engine.Device].
func (d *Device) MeanSum(loss, slopes, x *engine.Tensor) {
	const op = "mean sum"
	engine.CheckShape(op, "slopes", slopes, x.Rows, x.Cols)
	engine.CheckShape(op, "loss", loss, 1, 1)
	if x.Rows == 0 {
		d.noLoss(loss)
		return
	}
	record(d, op, none{}, lowerMeanSum, []*engine.Tensor{loss, slopes}, d.tensor(x), d.count(x.Rows))
}

func lowerMeanSum(b *builder, _ none, ins []val) []val {
	x, count := ins[0], ins[1]
	return []val{b.mean(b.sum(x, 1), count), b.keep(b.share(b.number(1), count, x.dims), count)}
}

// KLDivergence implements [engine.Device].
func (d *Device) KLDivergence(loss, slopes, logits *engine.Tensor, targets []float32) {
	d.divergence("kl divergence", lowerKLDivergence, loss, slopes, logits, targets)
}

// BinaryCrossEntropy implements [engine.Device].
func (d *Device) BinaryCrossEntropy(loss, slopes, logits *engine.Tensor, targets []float32) {
	d.divergence("binary cross entropy", lowerBinaryCrossEntropy, loss, slopes, logits, targets)
}

// divergence is a loss that has a target for each logit, and gives its slopes.
func (d *Device) divergence(op string, lower func(b *builder, _ none, ins []val) []val, loss, slopes, logits *engine.Tensor, targets []float32) {
	engine.CheckTargets(op, logits, targets)
	engine.CheckShape(op, "slopes", slopes, logits.Rows, logits.Cols)
	engine.CheckShape(op, "loss", loss, 1, 1)
	if logits.Rows == 0 {
		d.noLoss(loss)
		return
	}
	record(d, op, none{}, lower, []*engine.Tensor{loss, slopes}, d.tensor(logits), d.targets(logits, targets), d.count(logits.Rows))
}

func lowerKLDivergence(b *builder, _ none, ins []val) []val {
	logits, count := ins[0], ins[2]
	cols := logits.dims[1]
	target, s := b.reshape(ins[1], logits.dims...), b.softmax(logits)
	ratio := b.subtract(b.unary("log", target), b.subtract(s.shifted, b.column(b.unary("log", s.sum), cols)))
	zero := b.like(target, 0)
	losses := b.sum(b.choose(b.compare("NE", target, zero), b.multiply(target, ratio), zero), 1)
	slopes := b.subtract(b.multiply(b.probabilities(s), b.column(b.sum(target, 1), cols)), target)
	slopes = b.divide(slopes, b.fill(b.convert(count, f32), slopes.dims...))
	return []val{b.mean(losses, count), b.keep(slopes, count)}
}

func lowerBinaryCrossEntropy(b *builder, _ none, ins []val) []val {
	x, count := ins[0], ins[2]
	target, zero, one := b.reshape(ins[1], x.dims...), b.like(x, 0), b.like(x, 1)
	small := b.unary("exponential", b.unary("negate", b.unary("abs", x))) // so that nothing overflows
	losses := b.add(b.subtract(b.maximum(x, zero), b.multiply(target, x)), b.unary("log_plus_one", small))
	sigmoid := b.divide(b.choose(b.compare("LT", x, zero), small, one), b.add(one, small))
	slopes := b.divide(b.subtract(sigmoid, target), b.fill(b.convert(count, f32), x.dims...))
	return []val{b.mean(b.sum(losses, 1), count), b.keep(slopes, count)}
}

// SymmetricDivergence implements [engine.Device].
func (d *Device) SymmetricDivergence(loss, x, y *engine.Tensor) {
	const op = "symmetric divergence"
	engine.CheckShape(op, "loss", loss, 1, 1)
	engine.CheckShape(op, "b", y, x.Rows, x.Cols)
	if x.Rows == 0 {
		d.noLoss(loss)
		return
	}
	record(d, op, none{}, lowerSymmetricDivergence, []*engine.Tensor{loss}, d.tensor(x), d.tensor(y), d.count(x.Rows))
}

// SymmetricDivergenceBackward implements [engine.Device].
func (d *Device) SymmetricDivergenceBackward(dx, dy, dloss, x, y *engine.Tensor, addX, addY bool) {
	const op = "symmetric divergence backward"
	engine.CheckShape(op, "dloss", dloss, 1, 1)
	engine.CheckShape(op, "b", y, x.Rows, x.Cols)
	for _, g := range []*engine.Tensor{dx, dy} {
		if g != nil {
			engine.CheckShape(op, "a gradient", g, x.Rows, x.Cols)
		}
	}
	if x.Rows == 0 {
		return
	}
	// One after the other: they may be the same tensor.
	ins := []operand{d.tensor(x), d.tensor(y), d.count(x.Rows), d.tensor(dloss)}
	if dx != nil {
		record(d, op, sideX, lowerSymmetricDivergenceBackward, []*engine.Tensor{dx}, append(ins, d.before(dx, addX))...)
	}
	if dy != nil {
		record(d, op, sideY, lowerSymmetricDivergenceBackward, []*engine.Tensor{dy}, append(ins, d.before(dy, addY))...)
	}
}

// side is one of the two matrices that are compared.
type side int

const (
	sideX side = iota
	sideY
)

// comparison is of the distributions of pairs of rows. What all logits of a row have in common cancels out. The mean under p is taken from
// the differences first, so that it costs no digits, and they have the mean 0 under p then and minus the loss under q.
type comparison struct {
	p, q                val
	between, difference val // of the probabilities, and of their logarithms
	losses              val
}

func (b *builder) comparison(x, y val) comparison {
	c := comparison{p: b.probabilities(b.softmax(x)), q: b.probabilities(b.softmax(y))}
	c.between, c.difference = b.subtract(c.p, c.q), b.subtract(x, y)
	mean := b.sum(b.multiply(c.p, c.difference), 1)
	c.difference = b.subtract(c.difference, b.column(mean, x.dims[1]))
	c.losses = b.sum(b.multiply(c.between, c.difference), 1)
	return c
}

func lowerSymmetricDivergence(b *builder, _ none, ins []val) []val {
	return []val{b.mean(b.comparison(ins[0], ins[1]).losses, ins[2])}
}

func lowerSymmetricDivergenceBackward(b *builder, s side, ins []val) []val {
	c, count := b.comparison(ins[0], ins[1]), ins[2]
	scale := b.share(ins[3], count, c.p.dims)
	slopes := b.add(c.between, b.multiply(c.p, c.difference))
	if s == sideY {
		shifted := b.add(c.difference, b.column(c.losses, c.q.dims[1]))
		slopes = b.unary("negate", b.add(c.between, b.multiply(c.q, shifted)))
	}
	return []val{b.added(b.keep(b.multiply(slopes, scale), count), ins[4])}
}
