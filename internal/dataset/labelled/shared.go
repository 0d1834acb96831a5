package labelled

import (
	"slices"
	"strings"
)

// Key is the same for examples of the same texts only.
func (e *Example) Key() string { return strings.Join(slices.Collect(e.Texts), "\x00") }

// Shared returns how many of b's examples have the texts of one of a's: a model should not
// be scored on what it was trained on.
func Shared(a, b []Example) int {
	seen := make(map[string]bool, len(a))
	for _, x := range a {
		seen[x.Key()] = true
	}
	n := 0
	for _, x := range b {
		if seen[x.Key()] {
			n++
		}
	}
	return n
}
