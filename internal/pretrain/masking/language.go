package masking

import "github.com/unimo-go/unimo/internal/base/random"

// Language hides words and phrases for masked language modelling.
//
// A span is a word, or a phrase: words next to each other with nothing between them, not
// even punctuation. Of the spans, 80 % become [MASK], 10 % other tokens drawn from the
// vocabulary, and 10 % stay as they are but are asked for all the same, so that a model
// cannot rely on what it sees. This is drawn for a whole span, where BERT draws it for
// each token: otherwise the part of a word that stayed would give the rest away.
//
// Punctuation counts as text but is not hidden: there is little to learn of it here, and
// [Fragments] has it.
type Language struct {
	Vocabulary  Vocabulary
	Share       float64 // of the tokens that are not special, 0.15
	PhraseShare float64 // of the spans that are phrases, 0.5; phrases are cut at punctuation and may be left with a word
	MaxWords    int     // most words of a phrase, which has at least two; below 2 there are none
}

// Shares of the spans that become [MASK], and of those that become that or other tokens.
const (
	masked   = 0.8
	replaced = 0.9
)

// Hide appends tokens to dst, spans of them hidden. places are the indices in tokens of what
// is hidden, ascending, and labels are the tokens that were there. There is a place if there
// is a word.
func (m *Language) Hide(dst, tokens []int32, r *random.Stream) (hidden, places, labels []int32) {
	hidden = append(dst, tokens...)
	text := hidden[len(dst):]
	words, count := split(m.Vocabulary, tokens, false)
	taken := make([]bool, len(words))
	left := m.Share * float64(count)
	whole := left
	for _, at := range r.Perm(len(words)) {
		if taken[at] {
			continue
		}
		begin, end := m.span(words, taken, at, r)
		size := words[end-1].end - words[begin].begin
		if !fits(size, left, r) {
			if left < whole {
				break
			}
			begin, end = at, at+1 // at least a word
			size = words[at].len()
		}
		for i := begin; i < end; i++ {
			taken[i] = true
		}
		m.replace(text[words[begin].begin:words[end-1].end], r)
		left -= float64(size)
	}
	for i, w := range words {
		for at := w.begin; taken[i] && at < w.end; at++ {
			places, labels = append(places, int32(at)), append(labels, tokens[at])
		}
	}
	return hidden, places, labels
}

// span returns the words, from begin to before end, of a span around the word at.
func (m *Language) span(words []word, taken []bool, at int, r *random.Stream) (begin, end int) {
	begin, end = at, at+1
	if m.MaxWords < 2 || r.Float64() >= m.PhraseShare {
		return begin, end
	}
	n := 2 + r.IntN(m.MaxWords-1)
	before := r.IntN(n) // as many words of the phrase stand before this one
	free := func(i int) bool { return !taken[i] && !taken[i+1] && words[i].end == words[i+1].begin }
	for begin > 0 && at-begin < before && free(begin-1) {
		begin--
	}
	for end < len(words) && end-at < n-before && free(end-1) {
		end++
	}
	return begin, end
}

// replace hides a span.
func (m *Language) replace(span []int32, r *random.Stream) {
	draw := r.Float64()
	for i := range span {
		switch {
		case draw < masked:
			span[i] = m.Vocabulary.MASK()
		case draw < replaced:
			span[i] = m.random(r)
		}
	}
}

// random draws a token that is not special.
func (m *Language) random(r *random.Stream) int32 {
	for {
		if id := int32(r.IntN(m.Vocabulary.VocabSize())); !m.Vocabulary.Special(id) {
			return id
		}
	}
}
