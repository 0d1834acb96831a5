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
				accumulated("dlogits", rows, cols), given("dloss", 1, 1, []float32{0.7}), in("probs", rows, cols),
			},
			run: func(d *Device, t tensors) { d.CrossEntropyBackward(t["dlogits"], t["dloss"], t["probs"], classes) },
			oracle: func(x numbers) results {
				scale := x["dloss"][0] / float64(rows)
				return results{"dlogits": each(rows*cols, func(e int) exact {
					s := start(x["dlogits"][e])
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
			operands: []operand{accumulated("dpred", rows, 1), given("dloss", 1, 1, []float32{-1.3}), in("pred", rows, 1)},
			run:      func(d *Device, t tensors) { d.SquaredErrorBackward(t["dpred"], t["dloss"], t["pred"], targets) },
			oracle: func(x numbers) results {
				scale := 2 * x["dloss"][0] / float64(rows)
				return results{"dpred": each(rows, func(i int) exact {
					s := start(x["dpred"][i])
					s.add(scale * x["pred"][i])
					s.add(-scale * float64(targets[i]))
					return s.exact()
				})}
			},
		})
	}
	check(t, operations...)
}

// A batch and its targets of different length, which no tensor's shape shows.
func TestTargetsOfAnotherLength(t *testing.T) {
	d := New()
	one := func() *engine.Tensor { return d.New(1, 1) }
	for _, n := range []int{2, 4} {
		classes, scores := make([]int32, n), make([]float32, n)
		for name, run := range map[string]func(){
			"gather":                 func() { d.Gather(d.New(3, 2), d.New(5, 2), classes, false) },
			"scatter add":            func() { d.ScatterAdd(d.New(5, 2), classes, d.New(3, 2)) },
			"cross entropy":          func() { d.CrossEntropy(one(), d.New(3, 2), d.New(3, 2), classes) },
			"cross entropy backward": func() { d.CrossEntropyBackward(d.New(3, 2), one(), d.New(3, 2), classes) },
			"squared error":          func() { d.SquaredError(one(), d.New(3, 1), scores) },
			"squared error backward": func() { d.SquaredErrorBackward(d.New(3, 1), one(), d.New(3, 1), scores) },
		} {
			mustPanicWithShape(t, named(name, n), run)
		}
	}
}

func TestSumSquares(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		d := New()
		for _, shape := range append([][2]int{{50, elementBlock}}, flatShapes...) {
			x := d.Wrap(shape[0], shape[1], random(shape[0]*shape[1], "x"))
			var want float64
			for _, v := range wide(data(x)) {
				want += v * v
			}
			setThreads(t, 1)
			single := d.SumSquares(x)
			if !(math.Abs(single-want) <= float64(x.Len())*0x1p-52*want) { // both sums round
				t.Errorf("%v: %g, want %g", shape, single, want)
			}
			for _, threads := range []int{2, 3, 7, 7, 7, 7, 7, 7} { // often: an order that varies may hit the same sum
				setThreads(t, threads)
				if got := d.SumSquares(x); got != single {
					t.Errorf("%v: %v with %d threads, %v with one", shape, got, threads, single)
				}
			}
		}
	})
}

func TestAdam(t *testing.T) {
	s := engine.AdamStep{Beta1: 0.9, Beta2: 0.98, StepSize: 0.3, Epsilon: 1e-6, GradScale: 0.7, Decay: 0.01}
	b1, b2 := float64(s.Beta1), float64(s.Beta2)
	var operations []operation
	for _, shape := range flatShapes {
		rows, cols := shape[0], shape[1]
		squares := accumulated("v", rows, cols)
		for i, v := range squares.start {
			squares.start[i] = v * v
		}
		operations = append(operations, operation{
			name:     named("adam", shape),
			operands: []operand{accumulated("p", rows, cols), accumulated("m", rows, cols), squares, in("g", rows, cols)},
			run:      func(d *Device, t tensors) { d.Adam(t["p"], t["m"], t["v"], t["g"], s) },
			oracle: func(x numbers) results {
				var p, m, v []exact
				for i := range x["p"] {
					g := x["g"][i] * float64(s.GradScale)
					m1 := start(b1 * x["m"][i])
					m1.add((1 - b1) * g)
					v1 := b2*x["v"][i] + (1-b2)*g*g
					root := math.Sqrt(v1) + float64(s.Epsilon)
					p1 := start(x["p"][i])
					p1.add(-float64(s.StepSize) * m1.value / root)
					p1.add(-float64(s.Decay) * x["p"][i])
					e := p1.exact()
					e.tolerance += float64(s.StepSize) / root * (m1.error() + 6*epsilon*math.Abs(m1.value))
					p, m, v = append(p, e), append(m, m1.exact()), append(v, exact{v1, 6 * epsilon * v1})
				}
				return results{"p": p, "m": m, "v": v}
			},
		})
	}
	check(t, operations...)
}
