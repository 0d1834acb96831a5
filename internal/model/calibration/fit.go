package calibration

import (
	"math"
	"slices"
	"sort"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/metrics"
)

// Bins are those of expected calibration errors.
const Bins = 15

// Scores are scores of which each was right or not.
type Scores struct {
	Scores []float64
	Right  []float64 // 1 or 0, or how right
	Halves []int     // 0 or 1: in which half each is, where it matters; nil: that is drawn
}

// Sample is what a model said of examples, and what was right. What a kind does not have is empty.
type Sample struct {
	Logits  [][]float32 // of classes of which one is right
	Classes []int

	Answers           *Scores // the likeliest answer to each question
	Match, Similarity *Scores // pairs of pictures and texts
}

// Examples is how many there are, of what there are most of.
func (s *Sample) Examples() int {
	n := len(s.Logits)
	for _, x := range []*Scores{s.Answers, s.Match, s.Similarity} {
		if x != nil {
			n = max(n, len(x.Scores))
		}
	}
	return n
}

// Error is an expected calibration error before and after.
type Error struct {
	Name          string // "", "match_", "similarity_"
	Before, After float64
	Diagram       []metrics.ReliabilityBin // after
}

// Fit fits a calibration by maximum likelihood.
func (s *Sample) Fit() *Calibration {
	c := new(Calibration)
	if len(s.Logits) > 0 {
		c.Temperature = fitTemperature(s.Logits, s.Classes)
		c.FittedOn.Examples = len(s.Logits)
	}
	if s.Answers != nil {
		c.Answers, c.FittedOn.Examples = s.Answers.fitTemperature(), len(s.Answers.Scores)
	}
	for _, p := range []struct {
		from *Scores
		to   **Pairs
	}{{s.Similarity, &c.Similarity}, {s.Match, &c.Match}} {
		if p.from == nil {
			continue
		}
		pairs := p.from.fitPairs()
		*p.to = &pairs
		c.FittedOn.Examples, c.FittedOn.Positives = len(p.from.Scores), 0
		for _, r := range p.from.Right {
			if r > 0 {
				c.FittedOn.Positives++
			}
		}
		c.FittedOn.Negatives = c.FittedOn.Examples - c.FittedOn.Positives
	}
	return c
}

// Errors returns the errors of a sample before c and after it; with a nil c those after a fit on one half of the sample, at random,
// measured on the other, and the other way round.
func (s *Sample) Errors(c *Calibration, seed uint64) []Error {
	var list []Error
	add := func(name string, n int, halves []int, right func(i int) float64, before func(i int) float64, fit func(part []int) func(i int) float64, own func(i int) float64) {
		if n == 0 || c != nil && own == nil {
			return
		}
		p, q, r := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range n {
			p[i], r[i] = before(i), right(i)
		}
		if c != nil {
			for i := range n {
				q[i] = own(i)
			}
		} else {
			parts := divide(n, halves, seed)
			for h, part := range parts {
				of := fit(parts[1-h])
				for _, i := range part {
					q[i] = of(i)
				}
			}
		}
		list = append(list, Error{name, metrics.ExpectedCalibrationError(p, r, Bins), metrics.ExpectedCalibrationError(q, r, Bins), metrics.Reliability(q, r, Bins)})
	}
	top := func(t float64) func(i int) float64 {
		return func(i int) float64 { return slices.Max(Softmax(s.Logits[i], t)) }
	}
	var own func(i int) float64
	if c != nil && c.Temperature > 0 {
		own = top(c.Temperature)
	}
	add("", len(s.Logits), nil, func(i int) float64 {
		if Best(s.Logits[i]) == s.Classes[i] {
			return 1
		}
		return 0
	}, top(1), func(part []int) func(i int) float64 {
		logits, classes := make([][]float32, len(part)), make([]int, len(part))
		for k, i := range part {
			logits[k], classes[k] = s.Logits[i], s.Classes[i]
		}
		return top(fitTemperature(logits, classes))
	}, own)
	scores := func(name string, x *Scores, raw func(score float64) float64, fit func(s *Scores) Scaling, fitted *Scaling) {
		if x == nil {
			return
		}
		of := func(f func(float64) float64) func(i int) float64 {
			return func(i int) float64 { return f(x.Scores[i]) }
		}
		own := func(i int) float64 { return fitted.Probability(x.Scores[i]) }
		if fitted == nil {
			own = nil
		}
		add(name, len(x.Scores), x.Halves, func(i int) float64 { return x.Right[i] }, of(raw), func(part []int) func(i int) float64 {
			return of(fit(x.part(part)).Probability)
		}, own)
	}
	var answers, match, similarity *Scaling
	if c != nil {
		answers = c.Answers
		if c.Match != nil {
			match = &c.Match.Scaling
		}
		if c.Similarity != nil {
			similarity = &c.Similarity.Scaling
		}
	}
	scores("", s.Answers, Plain.Probability, func(s *Scores) Scaling { return *s.fitTemperature() }, answers)
	scores("match_", s.Match, Plain.Probability, (*Scores).fit, match)
	scores("similarity_", s.Similarity, func(x float64) float64 { return min(max(x, 0), 1) }, (*Scores).fit, similarity)
	return list
}

// divide divides 0 to n-1 into halves, at random if they are not given.
func divide(n int, halves []int, seed uint64) (parts [2][]int) {
	stream := random.New(seed, "halves of a calibration")
	for i := range n {
		h := int(2 * stream.Float64())
		if halves != nil {
			h = halves[i]
		}
		parts[h] = append(parts[h], i)
	}
	return parts
}

func (s *Scores) part(numbers []int) *Scores {
	p := new(Scores)
	for _, i := range numbers {
		p.Scores, p.Right = append(p.Scores, s.Scores[i]), append(p.Right, s.Right[i])
	}
	return p
}

// fit returns the scaling that makes what was right likeliest. Right and wrong count a little less than wholly, as Platt has it: so the
// fit is finite also where a score tells all of them apart.
func (s *Scores) fit() Scaling {
	n := float64(len(s.Scores))
	if n == 0 {
		return Plain
	}
	mean, positives := 0.0, 0.0
	for i, x := range s.Scores {
		mean += x / n
		positives += s.Right[i]
	}
	deviation := 0.0
	for _, x := range s.Scores {
		deviation += (x - mean) * (x - mean) / n
	}
	deviation = math.Sqrt(deviation)
	high, low := (positives+1)/(positives+2), 1/(n-positives+2)
	// Newton's method on p = sigmoid(a·(score - mean)/deviation + b), whose loss is convex.
	if deviation == 0 {
		return Scaling{0, logOdds((positives*high + (n-positives)*low) / n)}
	}
	a, b := 0.0, logOdds((positives*high+(n-positives)*low)/n)
	loss := func(a, b float64) (sum float64) {
		for i, x := range s.Scores {
			z := a*(x-mean)/deviation + b
			t := low + s.Right[i]*(high-low)
			sum += max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) - t*z
		}
		return sum
	}
	last := loss(a, b)
	for range 100 {
		var ga, gb, haa, hab, hbb float64
		for i, x := range s.Scores {
			z := (x - mean) / deviation
			p := 1 / (1 + math.Exp(-(a*z + b)))
			d, w := p-(low+s.Right[i]*(high-low)), p*(1-p)
			ga, gb = ga+d*z, gb+d
			haa, hab, hbb = haa+w*z*z, hab+w*z, hbb+w
		}
		haa, hbb = haa+1e-9, hbb+1e-9
		det := haa*hbb - hab*hab
		da, db := (hbb*ga-hab*gb)/det, (haa*gb-hab*ga)/det
		step, next := 1.0, 0.0
		for ; step > 1e-6; step /= 2 {
			if next = loss(a-step*da, b-step*db); next <= last {
				break
			}
		}
		if !(next <= last) || step <= 1e-6 {
			break
		}
		a, b = a-step*da, b-step*db
		if last-next <= 1e-10*n {
			break
		}
		last = next
	}
	if a < 0 { // the score says less than nothing: every pair is as likely as any other
		return Scaling{0, logOdds((positives*high + (n-positives)*low) / n)}
	}
	return Scaling{a / deviation, b - a*mean/deviation}
}

func logOdds(p float64) float64 { return math.Log(p / (1 - p)) }

// fitPairs adds the threshold at which as large a share of the right pairs is refused as of the wrong ones is not.
func (s *Scores) fitPairs() Pairs {
	p := Pairs{Scaling: s.fit()}
	var right, wrong []float64
	for i, x := range s.Scores {
		if s.Right[i] > 0 {
			right = append(right, x)
		} else {
			wrong = append(wrong, x)
		}
	}
	slices.Sort(right)
	slices.Sort(wrong)
	if len(right) == 0 || len(wrong) == 0 {
		p.Threshold, p.EqualError = 0.5, 0
		return p
	}
	refused := func(x float64) float64 { return float64(sort.SearchFloat64s(right, x)) / float64(len(right)) }
	accepted := func(x float64) float64 {
		return 1 - float64(sort.SearchFloat64s(wrong, x))/float64(len(wrong))
	}
	all := slices.Compact(slices.Sorted(slices.Values(s.Scores)))
	at, least := all[0], math.Inf(1)
	for i := range all[1:] {
		x := all[i] + (all[i+1]-all[i])/2 // between two scores, so that no rounding decides
		if r, a := refused(x), accepted(x); math.Abs(r-a) < least {
			at, least = x, math.Abs(r-a)
		}
	}
	p.Threshold, p.EqualError = p.Probability(at), (refused(at)+accepted(at))/2
	return p
}

// Bounds of temperatures: beyond them a sample says only that it is too small.
const (
	coldest = 1.0 / 20
	hottest = 1000.0
)

// fitTemperature returns the temperature that makes the right classes likeliest.
func fitTemperature(logits [][]float32, classes []int) float64 {
	if len(logits) == 0 {
		return 1
	}
	loss := func(logT float64) (sum float64) {
		t := math.Exp(logT)
		for i, row := range logits {
			top, z := float64(slices.Max(row)), 0.0
			for _, x := range row {
				z += math.Exp((float64(x) - top) / t)
			}
			sum += math.Log(z) + (top-float64(row[classes[i]]))/t
		}
		return sum
	}
	return leastLoss(loss)
}

// fitTemperature returns the scaling without a bias that makes what was right likeliest.
func (s *Scores) fitTemperature() *Scaling {
	if len(s.Scores) == 0 {
		return &Scaling{Scale: 1}
	}
	t := leastLoss(func(logT float64) (sum float64) {
		for i, x := range s.Scores {
			z := x / math.Exp(logT)
			sum += max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) - s.Right[i]*z
		}
		return sum
	})
	return &Scaling{Scale: 1 / t}
}

// leastLoss returns the temperature within the bounds at which a loss, of the temperature's logarithm, is least. It has one minimum; the
// golden section closes in on it.
func leastLoss(loss func(logT float64) float64) float64 {
	const golden = 0.6180339887498949
	lo, hi := math.Log(coldest), math.Log(hottest)
	x, y := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fx, fy := loss(x), loss(y)
	for hi-lo > 1e-5 {
		if fx <= fy {
			hi, y, fy = y, x, fx
			x = hi - golden*(hi-lo)
			fx = loss(x)
		} else {
			lo, x, fx = x, y, fy
			y = lo + golden*(hi-lo)
			fy = loss(y)
		}
	}
	return math.Exp((lo + hi) / 2)
}

// Softmax returns the probabilities of logits at a temperature.
func Softmax(logits []float32, temperature float64) []float64 {
	top, sum := float64(slices.Max(logits)), 0.0
	probs := make([]float64, len(logits))
	for i, x := range logits {
		probs[i] = math.Exp((float64(x) - top) / temperature)
		sum += probs[i]
	}
	for i := range probs {
		probs[i] /= sum
	}
	return probs
}

// Best returns the first class with the highest logit, as the reference does.
func Best(logits []float32) int {
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	return best
}
