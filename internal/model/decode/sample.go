package decode

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/unimo-go/unimo/internal/base/random"
)

// sampler draws a token. Samplers are pooled: a vocabulary of candidates is large.
type sampler struct {
	candidates []candidate
}

var samplers = sync.Pool{New: func() any { return new(sampler) }}

type candidate struct {
	id     int32
	logit  float32
	weight float64 // in proportion to the probability of being drawn
}

// randomStream returns the random numbers of a source.
func randomStream(o *Options, s *Source, number int) *random.Stream {
	if s.Seed != nil {
		return random.New(*s.Seed, "sampling", 0)
	}
	return random.New(o.SampleSeed, "sampling", number)
}

// all makes every token but except a candidate and returns the log-sum-exp of their logits.
func (s *sampler) all(logits []float32, except int32) (logSum float64) {
	s.candidates = s.candidates[:0]
	top, sum := math.Inf(-1), 0.0
	for id, x := range logits {
		if int32(id) != except {
			s.candidates = append(s.candidates, candidate{id: int32(id), logit: x})
			top = max(top, float64(x))
		}
	}
	for _, c := range s.candidates {
		sum += math.Exp(float64(c.logit) - top)
	}
	return top + math.Log(sum)
}

// some makes the given tokens the candidates.
func (s *sampler) some(ids []int32, logits []float32) {
	s.candidates = s.candidates[:0]
	for i, id := range ids {
		s.candidates = append(s.candidates, candidate{id: id, logit: logits[i]})
	}
}

// keep leaves the k likeliest candidates, the likeliest first; with 0 all.
func (s *sampler) keep(k int) {
	if k == 0 || k >= len(s.candidates) {
		return
	}
	slices.SortStableFunc(s.candidates, func(a, b candidate) int { return cmp.Compare(b.logit, a.logit) })
	s.candidates = s.candidates[:k]
}

// sample draws one of the candidates. What blocked rejects is drawn only if there is nothing else.
func (s *sampler) sample(o *Options, stream *random.Stream, blocked func(id int32) bool) candidate {
	total := s.weigh(o)
	first := -1
	for total > 0 {
		i := s.draw(stream.Float64() * total)
		c := s.candidates[i]
		if !blocked(c.id) {
			return c
		}
		if first < 0 {
			first = i
		}
		s.candidates[i].weight = 0
		total = 0
		for _, c := range s.candidates {
			total += c.weight
		}
	}
	return s.candidates[first]
}

// weigh gives the candidates their weights, leaves only those of the nucleus, and returns the
// sum of weights.
func (s *sampler) weigh(o *Options) (total float64) {
	top := float32(math.Inf(-1))
	for _, c := range s.candidates {
		top = max(top, c.logit)
	}
	for i := range s.candidates {
		c := &s.candidates[i]
		c.weight = math.Exp(float64(c.logit-top) / o.Temperature)
		total += c.weight
	}
	if o.TopP == 1 {
		return total
	}
	// All that are less likely than this together are less than what the nucleus leaves out: they
	// need not be sorted.
	least := (1 - o.TopP) * total / float64(len(s.candidates))
	s.candidates = slices.DeleteFunc(s.candidates, func(c candidate) bool { return c.weight < least })
	slices.SortStableFunc(s.candidates, func(a, b candidate) int { return cmp.Compare(b.weight, a.weight) })
	var sum float64
	for i, c := range s.candidates {
		if sum += c.weight; sum >= o.TopP*total {
			s.candidates = s.candidates[:i+1]
			break
		}
	}
	return sum
}

// draw returns the number of the candidate at x, when their weights are laid end to end.
func (s *sampler) draw(x float64) int {
	last := 0
	for i, c := range s.candidates {
		if c.weight == 0 {
			continue
		}
		if x < c.weight {
			return i
		}
		x -= c.weight
		last = i
	}
	return last // of rounding
}
