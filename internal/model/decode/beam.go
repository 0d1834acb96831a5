package decode

import (
	"cmp"
	"slices"

	"github.com/unimo-go/unimo/internal/base/random"
)

// hypothesis is a target that may be continued.
type hypothesis struct {
	tokens []int32   // with [CLS], and with the end if it has ended
	slots  []int32   // of the cache, where the tokens that were read lie
	scores []float64 // after each token; 0 for [CLS]
	sum    float64   // of log probabilities
	ended  bool
}

func (h *hypothesis) score() float64 { return h.scores[len(h.scores)-1] }

// search holds the hypotheses of one source.
type search struct {
	source   int   // its number
	position int32 // of [CLS]
	longest  int   // tokens of the target at most
	beams    []hypothesis
	offers   []offer
	trigrams trigrams
	random   *random.Stream // nil unless sampling
	text     *stream        // nil unless streaming
	streamed int            // tokens, with [CLS]
}

// offer is a hypothesis that may live on: a parent with one more token, or, ended, the parent
// itself.
type offer struct {
	parent     int
	token      int32
	sum, score float64
	stays      bool
}

// goes says whether step t has something to do: a hypothesis that may still get longer.
func (s *search) goes(t int) bool {
	return t < s.longest && slices.ContainsFunc(s.beams, func(h hypothesis) bool { return !h.ended })
}

// offer lets a hypothesis be continued by token, at log probability p.
func (s *search) offer(v Vocabulary, o *Options, parent int, token int32, p float64) {
	b := &s.beams[parent]
	sum := b.sum + p
	if o.BlockTrigrams && s.trigrams.repeats(v, b.tokens, token) {
		sum += repeated
	}
	s.offers = append(s.offers, offer{parent, token, sum, sum / o.penalty(len(b.tokens)), false})
}

// keep lets a hypothesis that has ended stay.
func (s *search) keep(parent int) {
	b := &s.beams[parent]
	s.offers = append(s.offers, offer{parent: parent, sum: b.sum, score: b.score(), stays: true})
}

// choose replaces the hypotheses by the best offers, the best first.
func (s *search) choose(o *Options, end int32) {
	slices.SortStableFunc(s.offers, func(a, b offer) int { return cmp.Compare(b.score, a.score) })
	next := make([]hypothesis, min(o.beams(), len(s.offers)))
	for i, c := range s.offers[:len(next)] {
		next[i] = s.beams[c.parent]
		if c.stays {
			continue
		}
		h := &next[i]
		h.tokens = append(slices.Clip(h.tokens), c.token) // others may continue the parent too
		h.scores = append(slices.Clip(h.scores), c.score)
		h.sum, h.ended = c.sum, c.token == end
	}
	s.beams, s.offers = next, s.offers[:0]
}

// common returns the tokens that all hypotheses start with, their ends left out.
func (s *search) common() []int32 {
	first := s.beams[0].written()
	for i := range s.beams[1:] {
		other := s.beams[i+1].written()
		n := 0
		for n < min(len(first), len(other)) && first[n] == other[n] {
			n++
		}
		first = first[:n]
	}
	return first
}

// written returns the tokens with [CLS], without the end.
func (h *hypothesis) written() []int32 {
	if h.ended {
		return h.tokens[:len(h.tokens)-1]
	}
	return h.tokens
}

// result returns the hypotheses, which [search.choose] has sorted.
func (s *search) result() Result {
	var r Result
	for i := range s.beams {
		b := &s.beams[i]
		r.Hypotheses = append(r.Hypotheses, Hypothesis{
			IDs: slices.Clone(b.written()[1:]), Scores: b.scores[1:], Score: b.score(), Finished: b.ended,
		})
	}
	return r
}
