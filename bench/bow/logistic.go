package main

import "math"

// model is a logistic regression: the weight of every feature, then the bias.
type model []float64

// score is the log odds of the positive class.
func (m model) score(r row) float64 {
	s := m[len(m)-1]
	for _, f := range r.features {
		s += m[f]
	}
	return s
}

func (m model) predict(r row) int {
	if m.score(r) > 0 {
		return 1
	}
	return 0
}

// objective is the mean log loss plus lambda/2 times the squared weights; the
// bias is free.
func objective(m model, rows []row, lambda float64) float64 {
	sum := 0.0
	for _, r := range rows {
		sum += logLoss(m.score(r), r.positive)
	}
	norm := 0.0
	for _, w := range m[:len(m)-1] {
		norm += w * w
	}
	return sum/float64(len(rows)) + lambda/2*norm
}

// gradient of objective into grad.
func gradient(grad []float64, m model, rows []row, lambda float64) {
	clear(grad)
	bias := len(m) - 1
	for _, r := range rows {
		d := sigmoid(m.score(r))
		if r.positive {
			d--
		}
		for _, f := range r.features {
			grad[f] += d
		}
		grad[bias] += d
	}
	for i := range grad {
		grad[i] /= float64(len(rows))
	}
	for i, w := range m[:bias] {
		grad[i] += lambda * w
	}
}

// fit returns the minimum of the objective, starting from start (nil: zero).
func fit(rows []row, features int, lambda float64, start model) model {
	if start == nil {
		start = make(model, features+1)
	}
	return minimise(start,
		func(x []float64) float64 { return objective(x, rows, lambda) },
		func(grad, x []float64) { gradient(grad, x, rows, lambda) })
}

// logLoss is log(1+exp(-s)) of the signed log odds s, without overflow.
func logLoss(score float64, positive bool) float64 {
	if positive {
		score = -score
	}
	return max(score, 0) + math.Log1p(math.Exp(-math.Abs(score)))
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
