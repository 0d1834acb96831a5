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

// sameNumbers says whether two lists are equal, where NaN equals NaN and nothing else.
func sameNumbers(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return x == y || x != x && y != y })
}

func TestContrastiveLoss(t *testing.T) {
	var operations []operation
	for _, c := range []struct{ rows, cols, group int }{{1, 2, 2}, {12, 1, 4}, {3, 4, 4}, {2, 9, 6}, {5, 64, 64}, {4, 1, 1}, {0, 3, 3}} {
		n := c.rows * c.cols
		kinds := make([]int8, n)
		for i := range kinds {
			switch i % 5 {
			case 1:
				kinds[i] = engine.Positive
			case 3:
				kinds[i] = engine.Excluded
			}
		}
		if c.group == 4 { // a group has no positives, another no negatives
			copy(kinds[:4], []int8{engine.Negative, engine.Negative, engine.Excluded, engine.Negative})
			copy(kinds[8:], []int8{engine.Positive, engine.Excluded, engine.Positive, engine.Positive})
		}
		operations = append(operations, operation{
			name:     named("contrastive loss", c),
			operands: []operand{overwritten("loss", 1, 1), overwritten("slopes", c.rows, c.cols), in("scores", c.rows, c.cols)},
			run: func(d *Device, t tensors) {
				d.ContrastiveLoss(t["loss"], t["slopes"], t["scores"], engine.Contrast{Group: c.group, Kinds: kinds})
			},
			oracle: func(x numbers) results {
				loss, slopes := contrastOracle(x["scores"], engine.Contrast{Group: c.group, Kinds: kinds})
				// Computed in float64 and rounded once.
				return results{"loss": {{loss, 2 * epsilon * loss}}, "slopes": each(n, func(i int) exact {
					return exact{slopes[i], 2 * epsilon * math.Abs(slopes[i])}
				})}
			},
		})
	}
	check(t, operations...)
}

// contrastOracle follows the formula as it is written down.
func contrastOracle(scores []float64, c engine.Contrast) (loss float64, slopes []float64) {
	slopes = make([]float64, len(scores))
	groups := 0.0
	for g := 0; g < len(scores); g += c.Group {
		var sums [2]float64 // by kind
		for i := g; i < g+c.Group; i++ {
			if kind := c.Kinds[i]; kind != engine.Excluded {
				sums[kind] += math.Exp(scores[i])
			}
		}
		positives, all := sums[engine.Positive], sums[0]+sums[1]
		if sums[0] == 0 || sums[1] == 0 {
			continue
		}
		groups++
		loss -= math.Log(positives / all)
		for i := g; i < g+c.Group; i++ {
			switch c.Kinds[i] {
			case engine.Negative:
				slopes[i] = math.Exp(scores[i]) / all
			case engine.Positive:
				slopes[i] = math.Exp(scores[i])/all - math.Exp(scores[i])/positives
			}
		}
	}
	if groups == 0 {
		return 0, slopes
	}
	for i := range slopes {
		slopes[i] /= groups
	}
	return loss / groups, slopes
}

// Scores whose exponentials no float64 holds, and what NaN reaches.
func TestContrastiveLossOfLargeScores(t *testing.T) {
	d, nan := New(), float32(math.NaN())
	for _, c := range []struct {
		scores []float32 // a positive, a negative, one that is excluded
		want   []float32 // the loss, then the slopes
	}{
		{[]float32{-1000, 1000, 0}, []float32{2000, -1, 1, 0}},
		{[]float32{1000, -1000, 3000}, []float32{0, 0, 0, 0}},
		{[]float32{2000, 2000, nan}, []float32{math.Ln2, -0.5, 0.5, 0}},
		{[]float32{nan, 0, 0}, []float32{nan, nan, nan, 0}},
		{[]float32{0, nan, 0}, []float32{nan, nan, nan, 0}},
	} {
		loss, slopes := d.New(1, 1), d.New(1, 3)
		d.ContrastiveLoss(loss, slopes, d.Wrap(1, 3, c.scores), engine.Contrast{Group: 3, Kinds: []int8{engine.Positive, engine.Negative, engine.Excluded}})
		if got := append(data(loss)[:1:1], data(slopes)...); !sameNumbers(got, c.want) {
			t.Errorf("scores %v: loss and slopes are %v, want %v", c.scores, got, c.want)
		}
	}
}

func TestContrastsThatDoNotFit(t *testing.T) {
	d := New()
	for _, c := range []engine.Contrast{{Group: 0, Kinds: make([]int8, 6)}, {Group: 4, Kinds: make([]int8, 6)}, {Group: 1, Kinds: make([]int8, 5)}} {
		mustPanicWithShape(t, named("contrastive loss", c), func() { d.ContrastiveLoss(d.New(1, 1), d.New(2, 3), d.New(2, 3), c) })
	}
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
			"kl divergence":          func() { d.KLDivergence(one(), d.New(3, 1), d.New(3, 1), scores) },
		} {
			mustPanicWithShape(t, named(name, n), run)
		}
	}
}
