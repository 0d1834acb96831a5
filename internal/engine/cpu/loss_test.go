package cpu

import (
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/engine"
)

// softmax returns the probabilities of a row of scores and log Σ exp.
func softmax(scores []float64) (probs []float64, logSum float64) {
	top := math.Inf(-1)
	for _, s := range scores {
		top = max(top, s)
	}
	total := 0.0
	for _, s := range scores {
		total += math.Exp(s - top)
	}
	logSum = top + math.Log(total)
	for _, s := range scores {
		probs = append(probs, math.Exp(s-logSum))
	}
	return probs, logSum
}

// softmaxError bounds the relative error of a probability of n, of exact scores:
// the difference to the largest, the exponential, the sum and the division.
func softmaxError(n int, scores []float64) float64 {
	size := 0.0
	for _, s := range scores {
		size = max(size, math.Abs(s))
	}
	return float64(n+8)*epsilon + 4*epsilon*size
}

func TestCrossEntropy(t *testing.T) {
	var operations []operation
	for _, shape := range [][2]int{{1, 1}, {1, 2}, {3, 2}, {64, 3}, {5, 1000}} {
		rows, cols := shape[0], shape[1]
		classes := randomRows(rows, cols)
		logits := in("logits", rows, cols)
		logits.start[0] *= 30 // a confident row
		operations = append(operations, operation{
			name:     named("cross entropy", shape),
			operands: []operand{overwritten("loss", 1, 1), overwritten("probs", rows, cols), logits},
			run:      func(d *Device, t tensors) { d.CrossEntropy(t["loss"], t["probs"], t["logits"], classes) },
			oracle: func(x numbers) results {
				var loss float64
				var probs []exact
				for i, class := range classes {
					row := x["logits"][i*cols : (i+1)*cols]
					p, logSum := softmax(row)
					loss += (logSum - row[class]) / float64(rows)
					for _, v := range p {
						probs = append(probs, exact{v, v*softmaxError(cols, row) + 1e-37})
					}
				}
				// The loss is computed in float64 and rounded once.
				return results{"loss": {{loss, 2 * epsilon * math.Abs(loss)}}, "probs": probs}
			},
		}, operation{
			name: named("cross entropy backward", shape),
			operands: []operand{
				overwritten("dlogits", rows, cols), given("dloss", 1, 1, []float32{0.7}), in("probs", rows, cols),
			},
			run: func(d *Device, t tensors) { d.CrossEntropyBackward(t["dlogits"], t["dloss"], t["probs"], classes) },
			oracle: func(x numbers) results {
				scale := x["dloss"][0] / float64(rows)
				return results{"dlogits": each(rows*cols, func(e int) exact {
					s := start(0)
					s.add(scale * x["probs"][e])
					if int(classes[e/cols]) == e%cols {
						s.add(-scale)
					}
					return s.exact()
				})}
			},
		})
	}
	check(t, operations...)
}

func TestSquaredError(t *testing.T) {
	var operations []operation
	for _, rows := range []int{1, 2, 65} {
		targets := random(rows, "targets")
		operations = append(operations, operation{
			name:     named("squared error", rows),
			operands: []operand{overwritten("loss", 1, 1), in("pred", rows, 1)},
			run:      func(d *Device, t tensors) { d.SquaredError(t["loss"], t["pred"], targets) },
			oracle: func(x numbers) results {
				var loss float64
				for i, p := range x["pred"] {
					loss += (p - float64(targets[i])) * (p - float64(targets[i])) / float64(rows)
				}
				return results{"loss": {{loss, 2 * epsilon * loss}}}
			},
		}, operation{
			name:     named("squared error backward", rows),
			operands: []operand{overwritten("dpred", rows, 1), given("dloss", 1, 1, []float32{-1.3}), in("pred", rows, 1)},
			run:      func(d *Device, t tensors) { d.SquaredErrorBackward(t["dpred"], t["dloss"], t["pred"], targets) },
			oracle: func(x numbers) results {
				scale := 2 * x["dloss"][0] / float64(rows)
				return results{"dpred": each(rows, func(i int) exact {
					s := start(0)
					s.add(scale * x["pred"][i])
					s.add(-scale * float64(targets[i]))
					return s.exact()
				})}
			},
		})
	}
	check(t, operations...)
}

func TestCircleLoss(t *testing.T) {
	var operations []operation
	for _, c := range []struct {
		groups int
		engine.CircleLoss
	}{
		{2, engine.CircleLoss{Group: 21, ImageNegatives: 10, Margin: 0.2, Scale: 1}},
		{3, engine.CircleLoss{Group: 5, ImageNegatives: 1, Margin: 0.25, Scale: 8}},
		{2, engine.CircleLoss{Group: 4, ImageNegatives: 3, Margin: 0.4, Scale: 2}},
		{2, engine.CircleLoss{Group: 4, ImageNegatives: 0, Margin: 0.2, Scale: 2}},
	} {
		n := c.groups * c.Group
		operations = append(operations, operation{
			name:     named("circle loss", c),
			operands: []operand{overwritten("loss", 1, 1), overwritten("slopes", n, 1), in("scores", n, 1)},
			run:      func(d *Device, t tensors) { d.CircleLoss(t["loss"], t["slopes"], t["scores"], c.CircleLoss) },
			oracle: func(x numbers) results {
				loss, slopes := circleOracle(x["scores"], c.CircleLoss)
				// Computed in float64 and rounded once.
				return results{"loss": {{loss, 2 * epsilon * loss}}, "slopes": each(n, func(i int) exact {
					return exact{slopes[i], 2 * epsilon * math.Abs(slopes[i])}
				})}
			},
		})
	}
	check(t, operations...)
}

// circleOracle follows the formula as it is written down.
func circleOracle(scores []float64, c engine.CircleLoss) (loss float64, slopes []float64) {
	slopes = make([]float64, len(scores))
	weight := 0.5 * float64(c.Group) / float64(len(scores))
	for g := 0; g < len(scores); g += c.Group {
		p := scores[g]
		ap := max(0, 1+c.Margin-p)
		lp := math.Exp(-c.Scale * ap * (p - (1 - c.Margin)))
		for _, kind := range [][2]int{{1, 1 + c.ImageNegatives}, {1 + c.ImageNegatives, c.Group}} {
			ln := 0.0
			term := func(i int) float64 {
				n := scores[g+i]
				return math.Exp(c.Scale * max(0, n+c.Margin) * (n - c.Margin))
			}
			for i := kind[0]; i < kind[1]; i++ {
				ln += term(i)
			}
			loss += weight * math.Log(1+lp*ln)
			slopes[g] -= weight * c.Scale * ap * lp * ln / (1 + lp*ln)
			for i := kind[0]; i < kind[1]; i++ {
				slopes[g+i] = weight * c.Scale * max(0, scores[g+i]+c.Margin) * lp * term(i) / (1 + lp*ln)
			}
		}
	}
	return loss, slopes
}

// Scores whose exponentials no float64 holds.
func TestCircleLossOfLargeScores(t *testing.T) {
	d := New()
	c := engine.CircleLoss{Group: 2, ImageNegatives: 1, Margin: 0.2, Scale: 1}
	loss, slopes := d.New(1, 1), d.New(2, 1)
	for _, x := range []struct {
		scores []float32
		want   []float64 // the loss, then the slopes
	}{
		{[]float32{-1000, 1000}, []float64{(1001.2*1000.8 + 1000.2*999.8) / 2, -1001.2 / 2, 1000.2 / 2}},
		{[]float32{1000, -1000}, []float64{math.Log(2) / 2, 0, 0}}, // both weights are zero
		{[]float32{1, -0.1}, []float64{math.Log1p(math.Exp(-0.2*0.2-0.1*0.3)) / 2, -0.2 / 2 / (1 + math.Exp(0.07)), 0.1 / 2 / (1 + math.Exp(0.07))}},
	} {
		d.CircleLoss(loss, slopes, d.Wrap(2, 1, x.scores), c)
		for i, got := range append(data(loss), data(slopes)...) {
			if !(math.Abs(float64(got)-x.want[i]) <= 1e-6*math.Abs(x.want[i])) {
				t.Errorf("scores %v: loss and slopes are %v and %v, want %v", x.scores, data(loss), data(slopes), x.want)
				break
			}
		}
	}
	d.CircleLoss(loss, slopes, d.Wrap(2, 1, []float32{float32(math.NaN()), 0}), c)
	if got := data(loss)[0]; got == got {
		t.Errorf("the loss of NaN is %g", got)
	}
}

func TestCircleLossOfGroupsThatDoNotFit(t *testing.T) {
	d := New()
	for _, c := range []engine.CircleLoss{{Group: 0}, {Group: 4}, {Group: 3, ImageNegatives: 3}, {Group: 3, ImageNegatives: -1}} {
		mustPanicWithShape(t, named("circle loss", c), func() { d.CircleLoss(d.New(1, 1), d.New(6, 1), d.New(6, 1), c) })
	}
}

// A batch and its targets of different length, which no tensor's shape shows.
func TestTargetsOfAnotherLength(t *testing.T) {
	d := New()
	one := func() *engine.Tensor { return d.New(1, 1) }
	for _, n := range []int{2, 4} {
		classes, scores := make([]int32, n), make([]float32, n)
		for name, run := range map[string]func(){
			"gather":                 func() { d.Gather(d.New(3, 2), d.New(5, 2), classes, false) },
			"scatter add":            func() { d.ScatterAdd(d.New(5, 2), classes, d.New(3, 2), nil) },
			"cross entropy":          func() { d.CrossEntropy(one(), d.New(3, 2), d.New(3, 2), classes) },
			"cross entropy backward": func() { d.CrossEntropyBackward(d.New(3, 2), one(), d.New(3, 2), classes) },
			"squared error":          func() { d.SquaredError(one(), d.New(3, 1), scores) },
			"squared error backward": func() { d.SquaredErrorBackward(d.New(3, 1), one(), d.New(3, 1), scores) },
		} {
			mustPanicWithShape(t, named(name, n), run)
		}
	}
}
