package rewrite

import (
	_ "embed"
	"strings"
)

//go:embed synonyms.txt
var synonymText string

// meanings are those of the lemmas in the table of synonyms.
var meanings = readMeanings(synonymText)

// bits is a set of lines of the table.
type bits [3]uint64

func (b *bits) set(line int) { b[line/64] |= 1 << (line % 64) }

func (b *bits) join(o *bits) {
	for i := range b {
		b[i] |= o[i]
	}
}

func (b *bits) meets(o *bits) bool { return b[0]&o[0]|b[1]&o[1]|b[2]&o[2] != 0 }

// meaning is where words stand in the table of synonyms: as a word that is true of others
// (general), as one of those others (special), or among words true of each other (both).
type meaning struct{ general, special bits }

// alike says whether one can be true of what the other is true of.
func (m *meaning) alike(o *meaning) bool {
	return m.general.meets(&o.special) || m.special.meets(&o.general)
}

func (m *meaning) join(o *meaning) {
	m.general.join(&o.general)
	m.special.join(&o.special)
}

// add adds what a lemma means, and its last word: a soccer ball is a ball.
func (m *meaning) add(lemma string) {
	if of := meanings[lemma]; of != nil {
		m.join(of)
	}
	if last := head(lemma); last != lemma {
		m.add(last)
	}
}

// head is the last word of a lemma.
func head(lemma string) string { return lemma[strings.LastIndexByte(lemma, ' ')+1:] }

// readMeanings reads the table, whose first lines say what it is.
func readMeanings(text string) map[string]*meaning {
	m := map[string]*meaning{}
	of := func(word string) *meaning {
		word = strings.ReplaceAll(word, "_", " ")
		if m[word] == nil {
			m[word] = &meaning{}
		}
		return m[word]
	}
	n := 0
	for line := range strings.Lines(text) {
		kind, rest, _ := strings.Cut(line, " ")
		if kind != "=" && kind != ">" {
			continue
		}
		general, special, _ := strings.Cut(rest, "|")
		for word := range strings.FieldsSeq(general) {
			of(word).general.set(n)
			if kind == "=" {
				of(word).special.set(n)
			}
		}
		for word := range strings.FieldsSeq(special) {
			of(word).special.set(n)
		}
		n++
	}
	return m
}
