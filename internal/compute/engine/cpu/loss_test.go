package cpu

import (
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
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
	for _, shape := range [][2]int{{1, 1}, {2, 1}, {65, 1}, {3, 7}} {
		rows, cols := shape[0], shape[1]
		n := rows * cols
		targets := random(n, "targets")
		operations = append(operations, operation{
			name:     named("squared error", shape),
			operands: []operand{overwritten("loss", 1, 1), in("pred", rows, cols)},
			run:      func(d *Device, t tensors) { d.SquaredError(t["loss"], t["pred"], targets) },
			oracle: func(x numbers) results {
				var loss float64
				for i, p := range x["pred"] {
					loss += (p - float64(targets[i])) * (p - float64(targets[i])) / float64(n)
				}
				return results{"loss": {{loss, 2 * epsilon * loss}}}
			},
		}, operation{
			name:     named("squared error backward", shape),
			operands: []operand{overwritten("dpred", rows, cols), given("dloss", 1, 1, []float32{-1.3}), in("pred", rows, cols)},
			run:      func(d *Device, t tensors) { d.SquaredErrorBackward(t["dpred"], t["dloss"], t["pred"], targets) },
			oracle: func(x numbers) results {
				scale := 2 * x["dloss"][0] / float64(n)
				return results{"dpred": each(n, func(i int) exact {
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

func TestKLDivergence(t *testing.T) {
	var operations []operation
	for _, shape := range [][2]int{{1, 1}, {1, 2}, {3, 5}, {5, 1601}} {
		rows, cols := shape[0], shape[1]
		targets := distributions(rows, cols)
		logits := in("logits", rows, cols)
		logits.start[0] *= 30 // a confident row
		operations = append(operations, operation{
			name:     named("kl divergence", shape),
			operands: []operand{overwritten("loss", 1, 1), overwritten("slopes", rows, cols), logits},
			run:      func(d *Device, t tensors) { d.KLDivergence(t["loss"], t["slopes"], t["logits"], targets) },
			oracle: func(x numbers) results {
				var loss, size float64
				var slopes []exact
				for i := range rows {
					row := x["logits"][i*cols : (i+1)*cols]
					probs, logSum := softmax(row)
					var total float64
					for c, target := range wide(targets[i*cols : (i+1)*cols]) {
						total += target
						if target > 0 {
							term := target * (math.Log(target) - (row[c] - logSum)) / float64(rows)
							loss += term
							size += math.Abs(term)
						}
					}
					for c, p := range probs {
						target := float64(targets[i*cols+c])
						slope := (p*total - target) / float64(rows)
						slopes = append(slopes, exact{slope, p*softmaxError(cols, row)/float64(rows) + 2*epsilon*math.Abs(slope) + 1e-37})
					}
				}
				// The loss is computed in float64 and rounded once.
				return results{"loss": {{loss, 2*epsilon*math.Abs(loss) + 1e-14*size}}, "slopes": slopes}
			},
		})
	}
	check(t, operations...)
}

// distributions returns rows that sum to about one, of which every second element of all but the
// first row is zero.
func distributions(rows, cols int) []float32 {
	targets := random(rows*cols, "targets")
	for i := range rows {
		row, sum := targets[i*cols:(i+1)*cols], float32(0)
		for c, v := range row {
			row[c] = v * v
			if i > 0 && c%2 == 1 {
				row[c] = 0
			}
			sum += row[c]
		}
		for c := range row {
			row[c] /= sum
		}
	}
	return targets
}

// What a distribution says itself has no divergence from it, NaN shows, and targets that are all
// zero ask for nothing.
func TestKLDivergenceOfParticularRows(t *testing.T) {
	d, nan := New(), float32(math.NaN())
	for _, c := range []struct {
		logits, targets []float32
		want            []float32 // the loss, then the slopes
	}{
		{[]float32{5, 5}, []float32{0.5, 0.5}, []float32{0, 0, 0}},
		{[]float32{1000, -1000}, []float32{1, 0}, []float32{0, 0, 0}},
		{[]float32{1000, -1000}, []float32{0, 1}, []float32{2000, 1, -1}},
		{[]float32{1, 2}, []float32{0, 0}, []float32{0, 0, 0}},
		{[]float32{nan, 2}, []float32{1, 0}, []float32{nan, nan, nan}},
		{[]float32{1, 2}, []float32{nan, 0}, []float32{nan, nan, nan}},
	} {
		loss, slopes := d.New(1, 1), d.New(1, 2)
		d.KLDivergence(loss, slopes, d.Wrap(1, 2, c.logits), c.targets)
		if got := append(data(loss)[:1:1], data(slopes)...); !sameNumbers(got, c.want) {
			t.Errorf("logits %v, targets %v: loss and slopes are %v, want %v", c.logits, c.targets, got, c.want)
		}
	}
}

func TestBinaryCrossEntropy(t *testing.T) {
	var operations []operation
	for _, shape := range [][2]int{{1, 1}, {1, 2}, {3, 5}, {5, 3129}} {
		rows, cols := shape[0], shape[1]
		targets := distributions(rows, cols) // some are zero
		targets[0] = 1
		logits := in("logits", rows, cols)
		logits.start[0] *= 30 // a confident answer
		operations = append(operations, operation{
			name:     named("binary cross entropy", shape),
			operands: []operand{overwritten("loss", 1, 1), overwritten("slopes", rows, cols), logits},
			run:      func(d *Device, t tensors) { d.BinaryCrossEntropy(t["loss"], t["slopes"], t["logits"], targets) },
			oracle: func(x numbers) results {
				var loss float64
				var slopes []exact
				for i, logit := range x["logits"] {
					target := float64(targets[i])
					yes, no := 1/(1+math.Exp(-logit)), 1/(1+math.Exp(logit)) // 1-yes would lose digits
					loss -= (target*math.Log(yes) + (1-target)*math.Log(no)) / float64(rows)
					slope := (yes - target) / float64(rows)
					slopes = append(slopes, exact{slope, 2*epsilon*math.Abs(slope) + 1e-15})
				}
				// Both are computed in float64 and rounded once.
				return results{"loss": {{loss, 2 * epsilon * loss}}, "slopes": slopes}
			},
		})
	}
	check(t, operations...)
}

// Logits whose exponentials no float64 holds, and NaN.
func TestBinaryCrossEntropyOfParticularLogits(t *testing.T) {
	d, nan := New(), float32(math.NaN())
	for _, c := range []struct {
		logits, targets []float32
		want            []float32 // the loss, then the slopes
	}{
		{[]float32{0, 0}, []float32{0.5, 0.5}, []float32{2 * math.Ln2, 0, 0}},
		{[]float32{1000, -1000}, []float32{1, 0}, []float32{0, 0, 0}},
		{[]float32{1000, -1000}, []float32{0, 1}, []float32{2000, 1, -1}},
		{[]float32{1000, -1000}, []float32{0.75, 0.5}, []float32{750, 0.25, -0.5}},
		{[]float32{nan, -1000}, []float32{1, 0}, []float32{nan, nan, 0}},
	} {
		loss, slopes := d.New(1, 1), d.New(1, 2)
		d.BinaryCrossEntropy(loss, slopes, d.Wrap(1, 2, c.logits), c.targets)
		if got := append(data(loss)[:1:1], data(slopes)...); !sameNumbers(got, c.want) {
			t.Errorf("logits %v, targets %v: loss and slopes are %v, want %v", c.logits, c.targets, got, c.want)
		}
	}
}

func TestSymmetricDivergence(t *testing.T) {
	var operations []operation
	for _, shape := range [][2]int{{2, 1}, {2, 2}, {6, 5}, {4, 4001}} {
		rows, cols := shape[0], shape[1]
		logits := in("logits", rows, cols)
		logits.start[0] *= 30 // a confident row
		for i := range cols { // the same offset everywhere changes nothing
			logits.start[(rows-1)*cols+i] += 100
		}
		run := func(x numbers) results {
			var loss, size float64
			slopes := make([]exact, rows*cols)
			for i := range rows / 2 {
				a, b := x["logits"][i*cols:][:cols], x["logits"][(rows/2+i)*cols:][:cols]
				p, sumA := softmax(a)
				q, sumB := softmax(b)
				var underP, underQ float64
				difference := func(c int) float64 { return a[c] - sumA - b[c] + sumB }
				for c := range p {
					underP += p[c] * difference(c)
					underQ += q[c] * difference(c)
				}
				loss += (underP - underQ) * 2 / float64(rows)
				for c := range p {
					d, relative := difference(c), softmaxError(cols, a)+softmaxError(cols, b)
					// A logarithm is as wrong as the logits are rounded, a probability relatively.
					wrong := (p[c] + q[c]) * (relative*(2+math.Abs(d)+underP-underQ) + 300*epsilon) * 2 / float64(rows)
					size += (p[c] + q[c]) * math.Abs(d)
					slopes[i*cols+c] = exact{(p[c] - q[c] + p[c]*(d-underP)) * 2 / float64(rows), wrong + 1e-37}
					slopes[(rows/2+i)*cols+c] = exact{(q[c] - p[c] - q[c]*(d-underQ)) * 2 / float64(rows), wrong + 1e-37}
				}
				size += 1
			}
			return results{"loss": {{loss, size * (float64(cols) + 300) * epsilon}}, "slopes": slopes}
		}
		operations = append(operations, operation{
			name:     named("symmetric divergence", shape),
			operands: []operand{overwritten("loss", 1, 1), overwritten("slopes", rows, cols), logits},
			run:      func(d *Device, t tensors) { d.SymmetricDivergence(t["loss"], t["slopes"], t["logits"]) },
			oracle:   run,
		})
	}
	check(t, operations...)
}

// The slopes may lie where the logits were.
func TestSymmetricDivergenceInPlace(t *testing.T) {
	d := New()
	x := d.Wrap(2, 3, []float32{1, 2, 3, 2, 0, 1})
	loss, slopes := d.New(1, 1), d.New(2, 3)
	d.SymmetricDivergence(loss, slopes, x)
	want := data(loss)[0]
	d.SymmetricDivergence(loss, x, x)
	if data(loss)[0] != want || !slices.Equal(data(x), data(slopes)) {
		t.Errorf("%g and %v, want %g and %v", data(loss)[0], data(x), want, data(slopes))
	}
	mustPanicWithShape(t, "three rows", func() { d.SymmetricDivergence(loss, d.New(3, 2), d.New(3, 2)) })
}

// sameNumbers says whether two lists are equal, where NaN equals NaN and nothing else.
func sameNumbers(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return x == y || x != x && y != y })
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
			"binary cross entropy":   func() { d.BinaryCrossEntropy(one(), d.New(3, 1), d.New(3, 1), scores) },
			"kl divergence":          func() { d.KLDivergence(one(), d.New(3, 1), d.New(3, 1), scores) },
		} {
			mustPanicWithShape(t, named(name, n), run)
		}
	}
}
