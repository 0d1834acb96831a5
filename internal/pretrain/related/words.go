package related

import (
	"hash/fnv"
	"strings"
	"unicode"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/english"
)

// frequent are words of English that say little of what a text is about. Those of one letter are what
// an apostrophe leaves.
var frequent = map[string]bool{}

func init() {
	for w := range strings.FieldsSeq(`
a about after all also am an and any are as at be because been before being both but by can could d did do does doing
each for from had has have having he her here hers him his how i if in into is it its just ll m may me might more most
must my no nor not of off on once only or other our ours out over own re s shall she should so some such t than that the
their theirs them then there these they this those through to too under until up upon ve very was we were what when where which
while who whom whose why will with would you your yours`) {
		frequent[w] = true
	}
}

// maxStemmed bounds the words that are stemmed; longer ones are none of English.
const maxStemmed = 64

// analyser turns texts into terms. It remembers the stem of every word; "" is for frequent ones.
type analyser map[string]string

// terms returns the stems of a text in order and the identity of the text: a hash of its words.
func (a analyser) terms(text string) ([]string, uint64) {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	})
	id := identity(strings.Join(words, " "))
	terms := words[:0]
	for _, w := range words {
		stem, known := a[w]
		if !known {
			if !frequent[w] {
				stem = stemOf(w)
			}
			a[strings.Clone(w)] = stem // a clone, for w is a part of the whole text
		}
		if stem != "" {
			terms = append(terms, stem)
		}
	}
	return terms, id
}

func stemOf(word string) string {
	if len(word) > maxStemmed {
		return strings.Clone(word)
	}
	env := snowballstem.NewEnv(word)
	english.Stem(env)
	return strings.Clone(env.Current())
}

// identity is the same for texts, or keys of images, that are the same.
func identity(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}
