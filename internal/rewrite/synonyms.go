package rewrite

import (
	_ "embed"
	"strings"
)

//go:embed synonyms.txt
var synonymText string

// same are the pairs of lemmas that can be true of the same thing, in both orders.
var same = synonyms(synonymText)

func synonyms(text string) map[[2]string]bool {
	pairs := map[[2]string]bool{}
	join := func(as, bs []string) {
		for _, a := range as {
			for _, b := range bs {
				a, b := strings.ReplaceAll(a, "_", " "), strings.ReplaceAll(b, "_", " ")
				pairs[[2]string{a, b}], pairs[[2]string{b, a}] = true, true
			}
		}
	}
	for line := range strings.Lines(text) {
		rest, alike := strings.CutPrefix(line, "= ")
		if alike {
			words := strings.Fields(rest)
			join(words, words)
		} else if rest, ok := strings.CutPrefix(line, "> "); ok {
			hubs, members, _ := strings.Cut(rest, "|")
			join(strings.Fields(hubs), strings.Fields(hubs))
			join(strings.Fields(hubs), strings.Fields(members))
		}
	}
	return pairs
}

// head is the last word of a lemma: a soccer ball is a ball.
func head(lemma string) string { return lemma[strings.LastIndexByte(lemma, ' ')+1:] }

// alike says whether two lemmas are the same, synonyms, or can be true of the same thing.
func alike(a, b string) bool {
	if a == b || same[[2]string{a, b}] {
		return true
	}
	ha, hb := head(a), head(b)
	return ha == hb && (ha == a || hb == b || !same[[2]string{ha, hb}]) || same[[2]string{ha, hb}] || same[[2]string{a, hb}] || same[[2]string{ha, b}]
}
