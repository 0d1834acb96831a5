package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
)

// McNemar returns the two-sided p-value of McNemar's exact test for two sets of answers to the same questions:
// onlyA were right in the first alone, onlyB in the second alone. It is the chance that a fair coin
// falls as unevenly. Without any such question it is 1.
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

// Permutation returns the two-sided p-value of the paired permutation test: difference computes the difference of
// two systems on n examples when the answers of the two are exchanged where swapped says so. The p-value is the
// share of draws random exchanges that make it at least as large, or undefined, the observed one counted in. It is NaN
// where the observed difference is.
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

// Bootstrap returns the 95 % interval of a statistic of n examples: the quantiles of its values over draws
// samples of n examples, drawn with putting back.
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
