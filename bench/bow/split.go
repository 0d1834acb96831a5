package main

import (
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
)

const (
	// heldOut texts judge lambda: the standard error of an accuracy near 0.8 is
	// then below 0.01, which tells the steps of the grid apart.
	heldOut = 2000
	// sentenceWords is the least length of a held-out text. Dev has whole sentences
	// (19 words on average) where train has phrases of any length, and lambda
	// should suit sentences.
	sentenceWords = 10
	// sharedWords is the length of the run of words from which two texts count as
	// parts of the same sentence.
	sharedWords = 4
	// splitSeed is any number; it is fixed so that the run can be repeated.
	splitSeed = 1
)

// split divides train into texts that judge and texts that are fitted. Fitted
// ones are neither part of a judging text nor share a run of sharedWords with one;
// dropped counts those which do, and are in neither.
func split(train []labelled.Example) (fitted, judging []labelled.Example, dropped int) {
	taken := map[int]bool{}
	for _, i := range random.New(splitSeed, "held out").Perm(len(train)) {
		if len(judging) == heldOut || len(judging) >= len(train)/2 {
			break
		}
		if len(strings.Fields(train[i].TextA)) >= sentenceWords {
			taken[i] = true
			judging = append(judging, train[i])
		}
	}
	// Runs up to sharedWords decide both: a longer part shares a run of that length.
	runs := map[string]bool{}
	for _, e := range judging {
		for _, run := range ngrams(e.TextA, sharedWords) {
			runs[run] = true
		}
	}
	for i, e := range train {
		switch {
		case taken[i]:
		case overlaps(e.TextA, runs):
			dropped++
		default:
			fitted = append(fitted, e)
		}
	}
	return fitted, judging, dropped
}

func overlaps(text string, runs map[string]bool) bool {
	words := strings.Fields(strings.ToLower(text))
	n := min(len(words), sharedWords)
	for i := 0; i+n <= len(words); i++ {
		if runs[strings.Join(words[i:i+n], " ")] {
			return true
		}
	}
	return false
}
