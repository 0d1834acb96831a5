package metrics

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestTwoClassScores(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name               string
		pred, gold         []int
		accuracy, matthews float64
	}{
		{"none", nil, nil, nan, nan},
		{"perfect", []int{0, 1}, []int{0, 1}, 1, 1},
		{"inverted", []int{1, 0}, []int{0, 1}, 0, -1},
		{"never positive", []int{0, 0, 0}, []int{1, 0, 0}, 2. / 3, nan},
		{"no positive", []int{1, 0, 0}, []int{0, 0, 0}, 2. / 3, nan},
		// tp 2, tn 1, fp 1, fn 1
		{"mixed", []int{1, 1, 0, 1, 0}, []int{1, 1, 0, 0, 1}, .6, 1. / 6},
		{"third class is not counted", []int{1, 0, 2, 1}, []int{1, 0, 1, 2}, .5, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			near(t, "accuracy", Accuracy(c.pred, c.gold), c.accuracy)
			near(t, "matthews", Matthews(c.pred, c.gold), c.matthews)
		})
	}
}

func TestMatthewsDoesNotOverflow(t *testing.T) {
	const n = 200_000 // n^4/16 is 1e20, past int64
	pred, gold := make([]int, n), make([]int, n)
	for i := range gold {
		gold[i] = i % 2
		pred[i] = gold[i]
	}
	near(t, "matthews", Matthews(pred, gold), 1)
}

func TestConfusion(t *testing.T) {
	got := Confusion([]int{0, 2, 2, 1}, []int{0, 1, 2, 1}, 3)
	want := [][]int{{1, 0, 0}, {0, 1, 1}, {0, 0, 1}}
	for i := range want {
		for j := range want[i] {
			if got[i][j] != want[i][j] {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	}
}

func TestCorrelation(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name              string
		pred, gold        []float64
		pearson, spearman float64
	}{
		{"none", nil, nil, nan, nan},
		{"one", []float64{1}, []float64{2}, nan, nan},
		{"constant", []float64{.1, .1, .1}, []float64{1, 2, 3}, nan, nan},
		{"linear", []float64{1, 2, 3}, []float64{10, 20, 30}, 1, 1},
		{"rounds to above one", []float64{.7, 3.8}, []float64{2.0999999999999996, 11.399999999999999}, 1, 1},
		{"monotone", []float64{0, 1, 2}, []float64{0, 1, 4}, 4 / math.Sqrt(2*26./3), 1},
		{"opposed", []float64{1, 2, 3}, []float64{3, 2, 1}, -1, -1},
		// ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4
		{"ties", []float64{1, 5, 5, 9}, []float64{1, 2, 3, 4}, 12 / math.Sqrt(5*32), 4.5 / math.Sqrt(5*4.5)},
		{"not a number", []float64{1, nan, 3}, []float64{1, 2, 3}, nan, nan},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Pearson(c.pred, c.gold)
			near(t, "pearson", got, c.pearson)
			if math.Abs(got) > 1 {
				t.Errorf("pearson %v is outside [-1, 1]", got)
			}
			near(t, "spearman", Spearman(c.pred, c.gold), c.spearman)
		})
	}
}

func TestPearsonOfConstantWhoseMeanRounds(t *testing.T) {
	// The mean of 66 times 3.99 is not 3.99 in float64: the plain formula gives +Inf.
	constant, squares := make([]float64, 66), make([]float64, 66)
	for i := range constant {
		constant[i], squares[i] = 3.99, float64(i*i)
	}
	near(t, "pearson", Pearson(constant, squares), math.NaN())
	near(t, "pearson", Pearson(squares, constant), math.NaN())
}

func TestSpearmanIgnoresMonotoneMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SliceOfN(rapid.Float64Range(-5, 5), 2, 30).Draw(t, "x")
		y := rapid.SliceOfN(rapid.Float64Range(-5, 5), len(x), len(x)).Draw(t, "y")
		stretched := make([]float64, len(x))
		for i, v := range x {
			stretched[i] = 3 * v
		}
		a, b := Spearman(x, y), Spearman(stretched, y)
		if !(math.Abs(a-b) < 1e-12 || math.IsNaN(a) && math.IsNaN(b)) {
			t.Fatalf("%v became %v", a, b)
		}
		if !(math.Abs(a) <= 1 || math.IsNaN(a)) {
			t.Fatalf("%v is outside [-1, 1]", a)
		}
	})
}

func TestWilsonInterval(t *testing.T) {
	for _, c := range []struct {
		correct, total int
		lo, hi         float64
	}{
		{0, 0, 0, 1},
		{0, 10, 0, 0.277533},
		{10, 10, 0.722467, 1},
		{50, 100, 0.403832, 0.596168},
		{81, 263, 0.255251, 0.366156}, // Newcombe (1998), table I
	} {
		lo, hi := WilsonInterval(c.correct, c.total)
		if !(math.Abs(lo-c.lo) < 1e-4) || !(math.Abs(hi-c.hi) < 1e-4) {
			t.Errorf("%d/%d: [%v, %v], want [%v, %v]", c.correct, c.total, lo, hi, c.lo, c.hi)
		}
	}
}

func TestDifferentLengthsPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	Accuracy([]int{1}, nil)
}

// near fails unless got is want to rounding; NaN equals only NaN.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !equal(got, want) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func equal(got, want float64) bool {
	if math.IsNaN(want) {
		return math.IsNaN(got)
	}
	return math.Abs(got-want) <= 1e-12*max(1, math.Abs(want))
}

// The values are those of scikit-learn's precision_recall_fscore_support and f1_score.
func TestPerClass(t *testing.T) {
	confusion := Confusion([]int{0, 0, 1, 1, 2, 0}, []int{0, 1, 1, 1, 0, 0}, 4)
	want := []ClassScore{
		{3, 3, 2. / 3, 2. / 3, 2. / 3}, {3, 2, 1, 2. / 3, 0.8}, {0, 1, 0, 0, 0}, {},
	}
	for i, got := range PerClass(confusion) {
		w := want[i]
		if got.Gold != w.Gold || got.Predicted != w.Predicted || math.Abs(got.Precision-w.Precision)+math.Abs(got.Recall-w.Recall)+math.Abs(got.F1-w.F1) > 1e-15 {
			t.Errorf("class %d: got %+v, want %+v", i, got, w)
		}
	}
	if got := MacroF1(confusion); math.Abs(got-(2./3+0.8)/3) > 1e-15 {
		t.Errorf("macro F1 %v", got)
	}
	if got := MacroF1(nil); !math.IsNaN(got) {
		t.Errorf("of nothing %v", got)
	}
}
