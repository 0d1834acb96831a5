package autograd

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// lossAndSlopes returns a loss of scores and its derivatives.
func lossAndSlopes(rows, cols int, scores []float32, loss func(t *Tape, scores *Var) *Var) (value float32, slopes []float32) {
	d := cpu.New()
	x := Param(d.Wrap(rows, cols, scores), NewGradient(d.New(rows, cols)))
	tape := NewTape(d, Seed{})
	l := loss(tape, x)
	value = d.Host(l.Value)[0]
	tape.Backward(l, 1)
	return value, d.Host(x.Gradient().Tensor())
}

// nearly says whether got is want, computed in float64 and rounded once or twice.
func nearly(got []float32, want []float64) bool {
	return slices.EqualFunc(got, want, func(g float32, w float64) bool { return math.Abs(float64(g)-w) <= 3e-7*math.Abs(w) })
}

// sameNumbers says whether two lists are equal, where NaN equals NaN and nothing else.
func sameNumbers(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return x == y || x != x && y != y })
}

func TestContrastiveLoss(t *testing.T) {
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
		scores, contrast := normal("scores", c.rows, c.cols), engine.Contrast{Group: c.group, Kinds: kinds}
		loss, slopes := lossAndSlopes(c.rows, c.cols, narrow(scores.x), func(t *Tape, scores *Var) *Var { return t.ContrastiveLoss(scores, contrast) })
		wantLoss, wantSlopes := contrastOracle(scores.x, contrast)
		if !nearly([]float32{loss}, []float64{wantLoss}) || !nearly(slopes, wantSlopes) {
			t.Errorf("%v: loss %g and slopes %v, want %g and %v", c, loss, slopes, wantLoss, wantSlopes)
		}
	}
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
	nan := float32(math.NaN())
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
		loss, slopes := lossAndSlopes(1, 3, c.scores, func(t *Tape, scores *Var) *Var {
			return t.ContrastiveLoss(scores, engine.Contrast{Group: 3, Kinds: []int8{engine.Positive, engine.Negative, engine.Excluded}})
		})
		if got := append([]float32{loss}, slopes...); !sameNumbers(got, c.want) {
			t.Errorf("scores %v: loss and slopes are %v, want %v", c.scores, got, c.want)
		}
	}
}

func TestCircleLoss(t *testing.T) {
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
		scores := normal("scores", n, 1)
		loss, slopes := lossAndSlopes(n, 1, narrow(scores.x), func(t *Tape, scores *Var) *Var { return t.CircleLoss(scores, c.CircleLoss) })
		wantLoss, wantSlopes := circleOracle(scores.x, c.CircleLoss)
		if !nearly([]float32{loss}, []float64{wantLoss}) || !nearly(slopes, wantSlopes) {
			t.Errorf("%v: loss %g and slopes %v, want %g and %v", c, loss, slopes, wantLoss, wantSlopes)
		}
	}
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
	circle := func(t *Tape, scores *Var) *Var {
		return t.CircleLoss(scores, engine.CircleLoss{Group: 2, ImageNegatives: 1, Margin: 0.2, Scale: 1})
	}
	for _, x := range []struct {
		scores []float32
		want   []float64 // the loss, then the slopes
	}{
		{[]float32{-1000, 1000}, []float64{(1001.2*1000.8 + 1000.2*999.8) / 2, -1001.2 / 2, 1000.2 / 2}},
		{[]float32{1000, -1000}, []float64{math.Log(2) / 2, 0, 0}}, // both weights are zero
		{[]float32{1, -0.1}, []float64{math.Log1p(math.Exp(-0.2*0.2-0.1*0.3)) / 2, -0.2 / 2 / (1 + math.Exp(0.07)), 0.1 / 2 / (1 + math.Exp(0.07))}},
	} {
		loss, slopes := lossAndSlopes(2, 1, x.scores, circle)
		if got := append([]float32{loss}, slopes...); !nearly(got, x.want) {
			t.Errorf("scores %v: loss and slopes are %v, want %v", x.scores, got, x.want)
		}
	}
	if loss, _ := lossAndSlopes(2, 1, []float32{float32(math.NaN()), 0}, circle); loss == loss {
		t.Errorf("the loss of NaN is %g", loss)
	}
	if loss, _ := lossAndSlopes(0, 1, nil, circle); loss != 0 {
		t.Errorf("the loss of no groups is %g", loss)
	}
}

func TestGroupsThatDoNotFit(t *testing.T) {
	d := cpu.New()
	tape, scores := NewInference(d), Const(d.New(6, 1))
	refuses := func(name string, call func()) {
		defer func() {
			if _, ok := recover().(engine.ShapeError); !ok {
				t.Errorf("%s: no panic with a ShapeError", name)
			}
		}()
		call()
	}
	for _, c := range []engine.Contrast{{Group: 0, Kinds: make([]int8, 6)}, {Group: 4, Kinds: make([]int8, 6)}, {Group: 1, Kinds: make([]int8, 5)}} {
		refuses(fmt.Sprint(c), func() { tape.ContrastiveLoss(scores, c) })
	}
	for _, c := range []engine.CircleLoss{{Group: 0}, {Group: 4}, {Group: 3, ImageNegatives: 3}, {Group: 3, ImageNegatives: -1}} {
		refuses(fmt.Sprint(c), func() { tape.CircleLoss(scores, c) })
	}
	refuses("a row of scores", func() { tape.CircleLoss(Const(d.New(2, 3)), engine.CircleLoss{Group: 2}) })
}
