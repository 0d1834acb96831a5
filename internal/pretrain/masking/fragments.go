package masking

import "github.com/unimo-go/unimo/internal/base/random"

// Fragments takes fragments out of a text, which a model writes again from the rest.
//
// A fragment is words that follow each other, punctuation included. Nothing marks in the
// rest where it was.
type Fragments struct {
	Vocabulary Vocabulary
	Share      float64 // of the tokens that are not special, 0.25
	MaxWords   int     // most words of a fragment, which has at least one; fragments may touch
}

// minWords is the least number of words of a text to take fragments out of.
const minWords = 4

// Split returns what is left of a text, its special tokens with it, and the fragments, one
// after another in the text's order. Neither is empty of words. ok is false if there are
// fewer than four words or marks of punctuation, too few to find any again.
func (f *Fragments) Split(tokens []int32, r *random.Stream) (source, target []int32, ok bool) {
	words, count := split(f.Vocabulary, tokens, true)
	if len(words) < minWords {
		return nil, nil, false
	}
	out := f.choose(words, f.Share*float64(count), r)
	at := 0 // of tokens
	for i, w := range words {
		if out[i] {
			source = append(source, tokens[at:w.begin]...)
			target = append(target, tokens[w.begin:w.end]...)
			at = w.end
		}
	}
	return append(source, tokens[at:]...), target, true
}

// choose says which words to take out for tokens of a text.
func (f *Fragments) choose(words []word, tokens float64, r *random.Stream) []bool {
	out := make([]bool, len(words))
	n := 0
	for _, at := range r.Perm(len(words)) {
		length := 1 + r.IntN(max(1, f.MaxWords))
		for i := at; i < min(at+length, len(words)) && !out[i]; i++ {
			if n > 0 && (n == len(words)-1 || !fits(words[i].len(), tokens, r)) {
				return out
			}
			out[i] = true
			tokens -= float64(words[i].len())
			n++
		}
	}
	return out
}
