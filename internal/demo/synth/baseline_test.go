package synth

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// unigrams are the words of a text.
func unigrams(text string) []string { return strings.Fields(text) }

// bigrams are the words and the pairs of neighbours.
func bigrams(text string) []string {
	words := strings.Fields(text)
	out := slices.Clone(words)
	for i := 1; i < len(words); i++ {
		out = append(out, words[i-1]+" "+words[i])
	}
	return out
}

// logistic is a logistic regression over features that are present or absent.
type logistic struct {
	features func(string) []string
	weights  map[string]float64
	bias     float64
}

// trainLogistic fits a regression by Adagrad with a slight pull to zero.
func trainLogistic(features func(string) []string, train []Opinion, epochs int) *logistic {
	m := &logistic{features: features, weights: make(map[string]float64)}
	squares := make(map[string]float64)
	biasSquare := 0.0
	rng := rand.New(rand.NewPCG(1, 1))
	for range epochs {
		for _, i := range rng.Perm(len(train)) {
			target := 0.0
			if train[i].Positive {
				target = 1
			}
			d := 1/(1+math.Exp(-m.score(train[i].Text))) - target
			for _, f := range features(train[i].Text) {
				g := d + 1e-4*m.weights[f]
				squares[f] += g * g
				m.weights[f] -= 0.1 * g / math.Sqrt(squares[f]+1e-8)
			}
			biasSquare += d * d
			m.bias -= 0.1 * d / math.Sqrt(biasSquare+1e-8)
		}
	}
	return m
}

func (m *logistic) score(text string) float64 {
	z := m.bias
	for _, f := range m.features(text) {
		z += m.weights[f]
	}
	return z
}

func (m *logistic) accuracy(set []Opinion) float64 {
	right := 0
	for _, o := range set {
		if (m.score(o.Text) > 0) == o.Positive {
			right++
		}
	}
	return float64(right) / float64(len(set))
}

// Words one by one, even with their neighbours, must do clearly worse than
// composition, by which every held-out opinion can be labelled (see
// TestTextsCarryTheirLabel).
func TestWordsAloneDoNotDecide(t *testing.T) {
	train, heldOut := Opinions(1, 8000, 2000)
	for _, c := range []struct {
		name     string
		features func(string) []string
		most     float64
	}{
		{"bag of words", unigrams, 0.68},
		{"bag of words and pairs of neighbours", bigrams, 0.80},
	} {
		m := trainLogistic(c.features, train, 15)
		fit, got := m.accuracy(train), m.accuracy(heldOut)
		t.Logf("%s: %.3f in training, %.3f on held-out combinations", c.name, fit, got)
		if got > c.most {
			t.Errorf("%s reaches %.3f on held-out combinations, more than %.2f", c.name, got, c.most)
		}
		if fit < 0.55 {
			t.Errorf("%s does not even learn its training set (%.3f): the comparison says nothing", c.name, fit)
		}
	}
}
