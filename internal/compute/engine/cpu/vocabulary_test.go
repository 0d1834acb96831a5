package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// vocabularyCase is a loss over a vocabulary.
type vocabularyCase struct {
	rows, hidden, vocab int
	op                  engine.Transpose
	smoothing           float32
	labels              []int32
}

// vocabularyCases go past two blocks of columns, of rows, and of a task.
func vocabularyCases() (cases []vocabularyCase) {
	for _, size := range [][3]int{
		{1, 1, 1}, {1, 1, 2}, {3, 5, lossTask - 1}, {5, 8, lossTask}, {2, 7, lossTask + 1}, {17, 4, 3*lossTask + 9},
		{fewRows, 3, 140}, {fewRows + 1, 4, 300}, {4, 3, lossCols + 131}, {3, 2, 2*lossCols + 3},
		{lossRows + 3, 2, lossTask + 3}, {2*lossRows + 1, 2, 5},
	} {
		for _, op := range []engine.Transpose{engine.NN, engine.NT} {
			for _, smoothing := range []float32{0, 0.1, 1}[:2+size[0]%2] {
				cases = append(cases, vocabularyCase{size[0], size[1], size[2], op, smoothing, randomRows(size[0], size[2])})
			}
		}
	}
	return cases
}

func (c vocabularyCase) String() string {
	return fmt.Sprintf("%dx%dx%d op %d smoothing %g", c.rows, c.hidden, c.vocab, c.op, c.smoothing)
}

// weights is an operand like w.
func (c vocabularyCase) weights(of func(name string, rows, cols int) operand, name string) operand {
	if c.op == engine.NT {
		return of(name, c.vocab, c.hidden)
	}
	return of(name, c.hidden, c.vocab)
}

// at is where element (i, v) of the weights lies, which multiplies element i of x for logit v.
func (c vocabularyCase) at(i, v int) int {
	if c.op == engine.NT {
		return v*c.hidden + i
	}
	return i*c.vocab + v
}

// inputs are the operands that both passes read.
func (c vocabularyCase) inputs() []operand {
	return []operand{in("x", c.rows, c.hidden), c.weights(in, "w"), in("bias", 1, c.vocab)}
}

// row returns the logits of a row, their log-sum-exp, and how far rounding may take both.
func (c vocabularyCase) row(x numbers, r int) (logits []float64, logSum, logitError, sumError float64) {
	for v := range c.vocab {
		l := start(x["bias"][v])
		for i := range c.hidden {
			l.add(x["x"][r*c.hidden+i] * x["w"][c.at(i, v)])
		}
		logits = append(logits, l.value)
		logitError = max(logitError, l.error())
	}
	_, logSum = softmax(logits)
	return logits, logSum, logitError, logitError + softmaxError(min(c.vocab, lossTask), logits)
}

// target is what the probability of v should be in row r.
func (c vocabularyCase) target(r, v int) float64 {
	e := float64(c.smoothing)
	if int(c.labels[r]) == v {
		return 1 - e + e/float64(c.vocab)
	}
	return e / float64(c.vocab)
}

func (c vocabularyCase) forward(x numbers) results {
	var loss exact
	var stats []exact
	for r := range c.rows {
		logits, logSum, logitError, sumError := c.row(x, r)
		stats = append(stats, exact{logSum, sumError + epsilon*math.Abs(logSum)})
		mean := 0.0 // size of the smoothed logits, which a piece adds up in float32
		for v, l := range logits {
			loss.value += c.target(r, v) * (logSum - l) / float64(c.rows)
			mean += math.Abs(l) / float64(c.vocab)
		}
		loss.tolerance += (logitError + sumError + float64(c.smoothing)*lossTask*epsilon*mean) / float64(c.rows)
	}
	loss.tolerance += 2 * epsilon * math.Abs(loss.value)
	return results{"loss": {loss}, "stats": stats}
}

// stats returns what the forward pass hands to the backward pass.
func (c vocabularyCase) stats() []float32 {
	x, stats := numbers{}, make([]float32, c.rows)
	for _, o := range c.inputs() {
		x[o.name] = wide(o.start)
	}
	for r := range stats {
		_, logSum, _, _ := c.row(x, r)
		stats[r] = float32(logSum)
	}
	return stats
}

func (c vocabularyCase) backward(x numbers) results {
	want := results{}
	sums, extra := map[string][]sum{}, map[string][]float64{} // extra: the errors of the terms
	for name, n := range map[string]int{"dx": c.rows * c.hidden, "dw": c.hidden * c.vocab, "db": c.vocab} {
		sums[name], extra[name] = make([]sum, n), make([]float64, n)
		for i, v := range x[name] {
			if !math.IsNaN(v) { // accumulated
				sums[name][i].add(v)
			}
		}
	}
	add := func(name string, at int, value, err float64) {
		sums[name][at].add(value)
		extra[name][at] += err
	}
	scale := x["dloss"][0] / float64(c.rows)
	for r := range c.rows {
		logits, logSum, logitError, sumError := c.row(x, r)
		relative := logitError + sumError + epsilon*math.Abs(logSum)
		for v, l := range logits {
			p, target := math.Exp(l-logSum), c.target(r, v)
			dl := scale * (p - target)
			err := math.Abs(scale) * (p*(relative+4*epsilon) + 4*epsilon*(p+target))
			add("db", v, dl, err)
			for i := range c.hidden {
				xi, w := x["x"][r*c.hidden+i], x["w"][c.at(i, v)]
				add("dw", c.at(i, v), dl*xi, err*math.Abs(xi))
				add("dx", r*c.hidden+i, dl*w, err*math.Abs(w))
			}
		}
	}
	for name, list := range sums {
		want[name] = each(len(list), func(i int) exact {
			e := list[i].exact()
			e.tolerance += extra[name][i] + 1e-37
			return e
		})
	}
	return want
}

func TestVocabularyLoss(t *testing.T) {
	var operations []operation
	for i, c := range vocabularyCases() {
		operations = append(operations, operation{
			name:     named("vocabulary loss", c),
			operands: append([]operand{overwritten("loss", 1, 1), overwritten("stats", c.rows, 1)}, c.inputs()...),
			run: func(d *Device, t tensors) {
				d.VocabularyLoss(t["loss"], t["stats"], t["x"], engine.Plain(t["w"], c.op), t["bias"], c.labels, c.smoothing)
			},
			oracle: c.forward,
		})
		of := [...]func(name string, rows, cols int) operand{overwritten, accumulated}
		addW, addB := i&1, i>>1&1
		operations = append(operations, operation{
			name: named("vocabulary loss backward", c, " adding ", addW, addB),
			operands: append([]operand{
				overwritten("dx", c.rows, c.hidden), c.weights(of[addW], "dw"), of[addB]("db", 1, c.vocab),
				given("dloss", 1, 1, []float32{0.7}), given("stats", c.rows, 1, c.stats()),
			}, c.inputs()...),
			run: func(d *Device, t tensors) {
				d.VocabularyLossBackward(t["dx"], t["dw"], t["db"], t["dloss"], t["stats"], t["x"], engine.Plain(t["w"], c.op), t["bias"], c.labels, c.smoothing, addW == 1, addB == 1)
			},
			oracle: c.backward,
		})
	}
	check(t, operations...)
}

// Gradients that are not wanted are left out, and the others are the same.
func TestVocabularyLossOfUnwantedGradients(t *testing.T) {
	c := vocabularyCase{9, 5, 2*lossTask + 3, engine.NT, 0.1, randomRows(9, 2*lossTask+3)}
	d := New()
	x := operation{operands: append(c.inputs(), given("dloss", 1, 1, []float32{1}), given("stats", c.rows, 1, c.stats()))}.materialise(d)
	run := func(dw, db *engine.Tensor) []float32 {
		dx := d.New(c.rows, c.hidden)
		d.VocabularyLossBackward(dx, dw, db, x["dloss"], x["stats"], x["x"], engine.Plain(x["w"], c.op), x["bias"], c.labels, c.smoothing, false, false)
		return data(dx)
	}
	dw, db := d.New(c.vocab, c.hidden), d.New(1, c.vocab)
	want := run(dw, db)
	onlyW, onlyB := d.New(c.vocab, c.hidden), d.New(1, c.vocab)
	if !sameBits(run(onlyW, nil), want) || !sameBits(run(nil, onlyB), want) || !sameBits(run(nil, nil), want) {
		t.Error("dx differs")
	}
	if !sameBits(data(onlyW), data(dw)) || !sameBits(data(onlyB), data(db)) {
		t.Error("dw or db differs")
	}
}

// The mean of no rows is NaN, and its gradient zero.
func TestVocabularyLossOfNoRows(t *testing.T) {
	for _, op := range []engine.Transpose{engine.NN, engine.NT} {
		c := vocabularyCase{0, 3, lossTask + 7, op, 0.1, nil}
		d := New()
		x := operation{operands: append(c.inputs(), c.weights(overwritten, "dw"), overwritten("db", 1, c.vocab), given("dloss", 1, 1, []float32{1}))}.materialise(d)
		loss, stats, dx := d.New(1, 1), d.New(0, 1), d.New(0, c.hidden)
		d.VocabularyLoss(loss, stats, x["x"], engine.Plain(x["w"], op), x["bias"], nil, 0.1)
		if v := data(loss)[0]; v == v {
			t.Errorf("the loss is %g", v)
		}
		for _, add := range []bool{false, true} {
			d.VocabularyLossBackward(dx, x["dw"], x["db"], x["dloss"], stats, x["x"], engine.Plain(x["w"], op), x["bias"], nil, 0.1, add, add)
			for _, v := range append(data(x["dw"]), data(x["db"])...) {
				if v != 0 {
					t.Fatalf("a gradient is %g", v)
				}
			}
		}
	}
}

// NaN in a row of x gives NaN in the loss, in that row of dx, and in all of dw; minus infinity in a bias rules a
// word out, were they all those of a task.
func TestVocabularyLossOfNaNAndInfinity(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		c := vocabularyCase{5, 4, 3 * lossTask, engine.NT, 0, []int32{0, 1, 2, 3, lossTask}}
		d := New()
		x := operation{operands: append(c.inputs(), given("dloss", 1, 1, []float32{1}))}.materialise(d)
		loss, stats, dx, dw := d.New(1, 1), d.New(5, 1), d.New(5, 4), d.New(c.vocab, 4)
		pass := func() {
			d.VocabularyLoss(loss, stats, x["x"], engine.Plain(x["w"], c.op), x["bias"], c.labels, 0)
			d.VocabularyLossBackward(dx, dw, nil, x["dloss"], stats, x["x"], engine.Plain(x["w"], c.op), x["bias"], c.labels, 0, false, false)
		}
		for i := range lossTask {
			data(x["bias"])[2*lossTask+i] = float32(math.Inf(-1))
		}
		pass()
		if l := float64(data(loss)[0]); math.IsNaN(l) || math.IsInf(l, 0) {
			t.Errorf("with words ruled out the loss is %g", l)
		}
		for i, v := range data(dw) {
			if out := i >= 2*lossTask*c.hidden; v != v || (v == 0) != out {
				t.Fatalf("with words ruled out, the gradient of word %d is %g", i/c.hidden, v)
			}
		}
		data(x["x"])[2*c.hidden+1] = float32(math.NaN())
		pass()
		if l := data(loss)[0]; l == l {
			t.Errorf("the loss of a NaN is %g", l)
		}
		for i, v := range data(dx) {
			if (v != v) != (i/c.hidden == 2) {
				t.Errorf("NaN in row 2: dx is %g in row %d", v, i/c.hidden)
			}
		}
	})
}

func TestVocabularyLossRefusesBadArguments(t *testing.T) {
	d := New()
	x, w, bias, one, stats := d.New(2, 3), d.New(4, 3), d.New(1, 4), d.New(1, 1), d.New(2, 1)
	for _, c := range []struct {
		op     engine.Transpose
		labels []int32
	}{
		{engine.NT, []int32{0, 4}}, {engine.NT, []int32{-1, 0}}, {engine.NT, []int32{0}}, {engine.NT, []int32{0, 1, 2}},
		{engine.NN, []int32{0, 1}}, {engine.TN, []int32{0, 1}},
	} {
		mustPanicWithShape(t, fmt.Sprint(c), func() { d.VocabularyLoss(one, stats, x, engine.Plain(w, c.op), bias, c.labels, 0) })
		mustPanicWithShape(t, fmt.Sprint("backward ", c), func() {
			d.VocabularyLossBackward(d.New(2, 3), nil, nil, one, stats, x, engine.Plain(w, c.op), bias, c.labels, 0, false, false)
		})
	}
}

// The loss of the base model and of a small one. The logits count once, although the backward pass computes them again.
func BenchmarkVocabularyLoss(b *testing.B) {
	for _, c := range []vocabularyCase{
		{48, 768, 50265, engine.NT, 0.1, nil}, {384, 768, 50265, engine.NT, 0.1, nil}, {1024, 768, 50265, engine.NT, 0.1, nil},
		{384, 768, 50265, engine.NN, 0.1, nil}, {600, 192, 8000, engine.NT, 0.1, nil},
	} {
		c.labels = randomRows(c.rows, c.vocab)
		d := New()
		wrap := func(name string, rows, cols int) *engine.Tensor { return d.Wrap(rows, cols, random(rows*cols, name)) }
		w := wrap("w", c.weights(in, "w").rows, c.weights(in, "w").cols)
		kernels.Scale(data(w), 0.02, data(w)) // as a model's, whose logits are some units
		x, bias, dw := wrap("x", c.rows, c.hidden), wrap("bias", 1, c.vocab), d.New(w.Rows, w.Cols)
		dx, db, loss, stats, one := d.New(c.rows, c.hidden), d.New(1, c.vocab), d.New(1, 1), d.New(c.rows, 1), d.Wrap(1, 1, []float32{1})
		product := 2 * float64(c.rows) * float64(c.hidden) * float64(c.vocab)
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/forward/threads=%d", c, threads), func(b *testing.B) {
				setThreads(b, threads)
				b.ReportAllocs()
				for b.Loop() {
					d.VocabularyLoss(loss, stats, x, engine.Plain(w, c.op), bias, c.labels, c.smoothing)
				}
				reportSpeed(b, product)
			})
			b.Run(fmt.Sprintf("%s/backward/threads=%d", c, threads), func(b *testing.B) {
				setThreads(b, threads)
				b.ReportAllocs()
				for b.Loop() {
					d.VocabularyLossBackward(dx, dw, db, one, stats, x, engine.Plain(w, c.op), bias, c.labels, c.smoothing, false, false)
				}
				reportSpeed(b, 2*product)
			})
		}
	}
}
