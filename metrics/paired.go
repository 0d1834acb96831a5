package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
)

// McNemar returns the two-sided p-value of McNemar's exact test: whether two models that answered the
// same questions differ. onlyA questions were answered rightly by the first alone, onlyB by the
// second alone. The p-value is the chance that a fair coin falls as unevenly; 1 without any such
// question.
//
// Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions
// or percentages", 1947; exact, by the binomial distribution.
func McNemar(onlyA, onlyB int) float64 {
	n, k := onlyA+onlyB, min(onlyA, onlyB)
	if n == 0 {
		return 1
	}
	choose := func(i int) float64 {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(i + 1))
		c, _ := math.Lgamma(float64(n - i + 1))
		return a - b - c - float64(n)*math.Ln2
	}
	var p float64
	for i := range k + 1 {
		p += math.Exp(choose(i))
	}
	return min(1, 2*p)
}

// Permutation returns the two-sided p-value of the paired permutation test: whether two systems differ
// on n examples, by any score.
//
// difference returns the score of the first less that of the second, after the answers to the
// examples in swapped were exchanged between the two. It is called draws times with random exchanges
// and once without any. The p-value is the share of calls, the one without counted in, whose
// difference is at least as large, or undefined. It is NaN where the difference without exchanges is.
// The same seed gives the same value.
func Permutation(n, draws int, seed uint64, difference func(swapped []bool) float64) float64 {
	swapped := make([]bool, n)
	observed := math.Abs(difference(swapped))
	if math.IsNaN(observed) {
		return observed
	}
	random := rand.New(rand.NewPCG(seed, 0))
	atLeast := 1
	for range draws {
		for i := range swapped {
			swapped[i] = random.Uint64()&1 == 1
		}
		if d := math.Abs(difference(swapped)); !(d < observed*(1-1e-12)) {
			atLeast++
		}
	}
	return float64(atLeast) / float64(draws+1)
}

// Bootstrap returns the 95 % interval of a statistic of n examples. It calls statistic with draws
// samples, each the numbers of n examples drawn at random, some more than once. The interval is from
// the 2.5 % to the 97.5 % quantile of the values that are not NaN; NaN if none is. The same seed gives
// the same interval.
//
// Source: B. Efron, "Bootstrap methods: another look at the jackknife", 1979.
func Bootstrap(n, draws int, seed uint64, statistic func(sample []int) float64) (lo, hi float64) {
	random := rand.New(rand.NewPCG(seed, 1))
	sample, values := make([]int, n), make([]float64, 0, draws)
	for range draws {
		for i := range sample {
			sample[i] = random.IntN(n)
		}
		if v := statistic(sample); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return math.NaN(), math.NaN()
	}
	slices.Sort(values)
	at := func(share float64) float64 { return values[min(len(values)-1, int(share*float64(len(values))))] }
	return at(0.025), at(0.975)
}
