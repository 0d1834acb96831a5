package masking

import "github.com/unimo-go/unimo/internal/base/random"

// Vocabulary is what masking needs to know about tokens. A tokenizer is one.
type Vocabulary interface {
	// VocabSize is the number of ids, which run from 0.
	VocabSize() int
	// MASK is the id that stands for a hidden token.
	MASK() int32
	// Continues says whether a token continues the word of the token before it.
	Continues(id int32) bool
	// Special says whether a token is no text, as [CLS] and [UNK].
	Special(id int32) bool
	// Punctuation says whether a token has neither letters nor digits.
	Punctuation(id int32) bool
}

// word is the tokens of a word: begin to end, which is behind the last. Words with
// nothing between them touch: the end of one is the begin of the next.
type word struct{ begin, end int }

func (w word) len() int { return w.end - w.begin }

// split lists the words of a text and counts its tokens that are not special. With
// punctuation, every token of it is a word too.
func split(v Vocabulary, tokens []int32, punctuation bool) (words []word, count int) {
	inside := false // a word that goes on
	for i, id := range tokens {
		if v.Special(id) {
			inside = false
			continue
		}
		count++
		switch mark := v.Punctuation(id); {
		case mark && !punctuation:
			inside = false
		case inside && v.Continues(id):
			words[len(words)-1].end++
		default:
			words = append(words, word{i, i + 1})
			inside = !mark
		}
	}
	return words, count
}

// fits says whether size more may be chosen where left remain until a share is met: what
// is larger than that with the probability that makes the mean of all choices the share.
func fits(size int, left float64, r *random.Stream) bool {
	return float64(size) <= left || r.Float64()*float64(size) < left
}
