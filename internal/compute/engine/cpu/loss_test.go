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
	for n, shape := range [][2]int{{1, 1}, {1, 2}, {3, 2}, {64, 3}, {5, 1000}, {3, 1000}} {
		rows, cols := shape[0], shape[1]
		smoothing := float32(n%2) * 0.1
		classes := randomRows(rows, cols)
		target := func(i, c int) float64 {
			e := float64(smoothing)
			if int(classes[i]) == c {
				return 1 - e + e/float64(cols)
			}
			return e / float64(cols)
		}
		logits := in("logits", rows, cols)
		logits.start[0] *= 30 // a confident row
		anyClasses := logits
		anyClasses.anyCols = true // nothing else says how many there are
		operations = append(operations, operation{
			name:     named("cross entropy", shape, smoothing),
			operands: []operand{overwritten("loss", 1, 1), anyClasses},
			run:      func(d *Device, t tensors) { d.CrossEntropy(t["loss"], t["logits"], classes, smoothing) },
			oracle: func(x numbers) results {
				var loss exact
				for i := range classes {
					row := x["logits"][i*cols:][:cols]
					_, logSum := softmax(row)
					var size float64
					for c, l := range row {
						loss.value += target(i, c) * (logSum - l) / float64(rows)
						size += math.Abs(l) / float64(cols)
					}
					if cols > lossTask { // else it is computed in float64
						loss.tolerance += softmaxError(lossTask, row) / float64(rows)
					}
					loss.tolerance += float64(smoothing) * float64(cols) * epsilon * size / float64(rows)
				}
				loss.tolerance += 2 * epsilon * math.Abs(loss.value)
				return results{"loss": {loss}}
			},
		})
		for _, add := range []bool{false, true} {
			dlogits := overwritten("dlogits", rows, cols)
			if add {
				dlogits = accumulated("dlogits", rows, cols)
			}
			operations = append(operations, operation{
				name:     named("cross entropy backward", shape, smoothing, add),
				operands: []operand{dlogits, given("dloss", 1, 1, []float32{0.7}), logits},
				run: func(d *Device, t tensors) {
					d.CrossEntropyBackward(t["dlogits"], t["dloss"], t["logits"], classes, smoothing, add)
				},
				oracle: func(x numbers) results {
					scale := x["dloss"][0] / float64(rows)
					return results{"dlogits": each(rows*cols, func(e int) exact {
						i, row := e/cols, x["logits"][e/cols*cols:][:cols]
						probs, _ := softmax(row)
						p := probs[e%cols]
						s := start(0)
						if add {
							s = start(x["dlogits"][e])
						}
						s.add(scale * p)
						s.add(-scale * target(i, e%cols))
						result := s.exact()
						result.tolerance += scale*p*softmaxError(cols, row) + 1e-37
						return result
					})}
				},
			})
		}
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

func TestMeanSum(t *testing.T) {
	var operations []operation
	for _, shape := range [][2]int{{1, 1}, {3, 5}, {5, 3129}} {
		rows, cols := shape[0], shape[1]
		operations = append(operations, operation{
			name:     named("mean sum", shape),
			operands: []operand{overwritten("loss", 1, 1), overwritten("slopes", rows, cols), in("x", rows, cols)},
			run:      func(d *Device, t tensors) { d.MeanSum(t["loss"], t["slopes"], t["x"]) },
			oracle: func(x numbers) results {
				var mean, size float64
				var slopes []exact
				for _, v := range x["x"] {
					mean, size = mean+v/float64(rows), size+math.Abs(v)/float64(rows)
					slopes = append(slopes, exact{1 / float64(rows), epsilon / float64(rows)})
				}
				return results{"loss": {{mean, 2*epsilon*math.Abs(mean) + 1e-13*size}}, "slopes": slopes}
			},
		})
	}
	check(t, operations...)
	d := New()
	loss := d.New(1, 1)
	if d.MeanSum(loss, d.New(0, 3), d.New(0, 3)); data(loss)[0] == data(loss)[0] {
		t.Errorf("that of no rows is %v", data(loss)[0])
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
	for n, shape := range [][2]int{{1, 1}, {1, 2}, {3, 5}, {2, 4001}} {
		rows, cols := shape[0], shape[1]
		logits := []operand{in("a", rows, cols), in("b", rows, cols)}
		logits[0].start[0] *= 30 // a confident row
		for i := range cols {    // the same offset everywhere changes nothing
			logits[1].start[(rows-1)*cols+i] += 100
		}
		of := [...]func(name string, rows, cols int) operand{overwritten, accumulated}
		addA, addB := n&1, n>>1&1
		operations = append(operations, operation{
			name:     named("symmetric divergence", shape),
			operands: append([]operand{overwritten("loss", 1, 1)}, logits...),
			run:      func(d *Device, t tensors) { d.SymmetricDivergence(t["loss"], t["a"], t["b"]) },
			oracle: func(x numbers) results {
				return results{"loss": divergences(x, rows, cols)["loss"]}
			},
		}, operation{
			name: named("symmetric divergence backward", shape, addA, addB),
			operands: append([]operand{
				of[addA]("da", rows, cols), of[addB]("db", rows, cols), given("dloss", 1, 1, []float32{0.7}),
			}, logits...),
			run: func(d *Device, t tensors) {
				d.SymmetricDivergenceBackward(t["da"], t["db"], t["dloss"], t["a"], t["b"], addA == 1, addB == 1)
			},
			oracle: func(x numbers) results {
				want := divergences(x, rows, cols)
				delete(want, "loss")
				for name, list := range want {
					for i := range list {
						s := start(0)
						if v := x[name][i]; !math.IsNaN(v) { // accumulated
							s.add(v)
						}
						s.add(0.7 * list[i].value)
						list[i] = exact{s.value, s.error() + list[i].tolerance}
					}
				}
				return want
			},
		})
	}
	check(t, operations...)
}

// divergences are the loss of SymmetricDivergence and its slopes.
func divergences(x numbers, rows, cols int) results {
	var loss, size float64
	slopes := results{"da": nil, "db": nil}
	for i := range rows {
		a, b := x["a"][i*cols:][:cols], x["b"][i*cols:][:cols]
		p, sumA := softmax(a)
		q, sumB := softmax(b)
		var underP, underQ float64
		difference := func(c int) float64 { return a[c] - sumA - b[c] + sumB }
		for c := range p {
			underP += p[c] * difference(c)
			underQ += q[c] * difference(c)
		}
		loss += (underP - underQ) / float64(rows)
		for c := range p {
			d, relative := difference(c), softmaxError(cols, a)+softmaxError(cols, b)
			// A logarithm is as wrong as the logits are rounded, a probability relatively.
			wrong := (p[c]+q[c])*(relative*(2+math.Abs(d)+underP-underQ)+300*epsilon)/float64(rows) + 1e-37
			size += (p[c] + q[c]) * math.Abs(d)
			slopes["da"] = append(slopes["da"], exact{(p[c] - q[c] + p[c]*(d-underP)) / float64(rows), wrong})
			slopes["db"] = append(slopes["db"], exact{(q[c] - p[c] - q[c]*(d-underQ)) / float64(rows), wrong})
		}
		size++
	}
	slopes["loss"] = []exact{{loss, size * (float64(cols) + 300) * epsilon}}
	return slopes
}

// A gradient that is not wanted is left out, and two that are one tensor add up.
func TestSymmetricDivergenceOfUnwantedGradients(t *testing.T) {
	d := New()
	a, b, dloss := d.Wrap(1, 3, []float32{1, 2, 3}), d.Wrap(1, 3, []float32{2, 0, 1}), d.Wrap(1, 1, []float32{2})
	run := func(da, db *engine.Tensor, addB bool) {
		d.SymmetricDivergenceBackward(da, db, dloss, a, b, false, addB)
	}
	da, db, onlyA, onlyB, both := d.New(1, 3), d.New(1, 3), d.New(1, 3), d.New(1, 3), d.New(1, 3)
	run(da, db, false)
	run(onlyA, nil, false)
	run(nil, onlyB, false)
	run(both, both, true)
	if !slices.Equal(data(onlyA), data(da)) || !slices.Equal(data(onlyB), data(db)) {
		t.Errorf("%v and %v, want %v and %v", data(onlyA), data(onlyB), data(da), data(db))
	}
	for i, got := range data(both) {
		if want := data(da)[i] + data(db)[i]; got != want {
			t.Errorf("element %d is %g, want %g", i, got, want)
		}
	}
	mustPanicWithShape(t, "two rows and three", func() { d.SymmetricDivergence(d.New(1, 1), d.New(2, 2), d.New(3, 2)) })
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
			"cross entropy":          func() { d.CrossEntropy(one(), d.New(3, 2), classes, 0) },
			"cross entropy backward": func() { d.CrossEntropyBackward(d.New(3, 2), one(), d.New(3, 2), classes, 0, false) },
			"squared error":          func() { d.SquaredError(one(), d.New(3, 1), scores) },
			"squared error backward": func() { d.SquaredErrorBackward(d.New(3, 1), one(), d.New(3, 1), scores) },
			"binary cross entropy":   func() { d.BinaryCrossEntropy(one(), d.New(3, 1), d.New(3, 1), scores) },
			"kl divergence":          func() { d.KLDivergence(one(), d.New(3, 1), d.New(3, 1), scores) },
		} {
			mustPanicWithShape(t, named(name, n), run)
		}
	}
}
