package main

import (
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
)

// ngrams returns the runs of 1 to order words of a text, each once, in the order
// of their first occurrence.
func ngrams(text string, order int) []string {
	words := strings.Fields(strings.ToLower(text))
	var out []string
	seen := map[string]bool{}
	for n := 1; n <= order; n++ {
		for i := 0; i+n <= len(words); i++ {
			gram := strings.Join(words[i:i+n], " ")
			if !seen[gram] {
				seen[gram] = true
				out = append(out, gram)
			}
		}
	}
	return out
}

// vocabulary numbers n-grams in the order in which they were first seen.
type vocabulary struct {
	order int
	id    map[string]int
}

func newVocabulary(examples []labelled.Example, order int) *vocabulary {
	v := &vocabulary{order: order, id: map[string]int{}}
	for _, e := range examples {
		for _, gram := range ngrams(e.TextA, order) {
			if _, known := v.id[gram]; !known {
				v.id[gram] = len(v.id)
			}
		}
	}
	return v
}

// row is one text: which features are 1 (all others are 0), and its class.
type row struct {
	features []int // ascending
	positive bool
}

// rows turns examples into features; n-grams that are not in the vocabulary are dropped.
func (v *vocabulary) rows(examples []labelled.Example) []row {
	out := make([]row, len(examples))
	for i, e := range examples {
		out[i].positive = e.Class == 1
		for _, gram := range ngrams(e.TextA, v.order) {
			if id, known := v.id[gram]; known {
				out[i].features = append(out[i].features, id)
			}
		}
		slices.Sort(out[i].features)
	}
	return out
}
