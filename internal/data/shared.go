package data

import (
	"slices"
	"strings"
)

// Shared returns how many of b's examples have the texts of one of a's: a model should not
// be scored on what it was trained on.
func Shared(a, b []Example) int {
	key := func(x Example) string { return strings.Join(slices.Collect(x.Texts), "\x00") }
	seen := make(map[string]bool, len(a))
	for _, x := range a {
		seen[key(x)] = true
	}
	n := 0
	for _, x := range b {
		if seen[key(x)] {
			n++
		}
	}
	return n
}
