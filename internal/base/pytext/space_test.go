package pytext

import (
	"slices"
	"testing"
)

// Expected values: Python 3.11's str.split.
func TestFields(t *testing.T) {
	for text, want := range map[string][]string{
		"":                              nil,
		" a  b\t\n":                     {"a", "b"},
		"a\u00a0b\u2028c\u3000d\u0085e": {"a", "b", "c", "d", "e"},
		"a\x1cb\x1fc":                   {"a", "b", "c"},
		"a\u200bb\ufeffc":               {"a\u200bb\ufeffc"},
	} {
		if got := Fields(text); !slices.Equal(got, want) {
			t.Errorf("%+q: %q, want %q", text, got, want)
		}
	}
}
