package images

import (
	"slices"
	"strings"
	"testing"
)

// A page says how many queries were answered rightly and what it shows of them; right ones do not
// all come first.
func TestChoose(t *testing.T) {
	for _, c := range []struct {
		n, rights, right, missed int // of n the first so many are right; how many of both are to be shown
		note                     string
	}{
		{500, 7, 6, 6, "7 of 500 captions found their picture first. Shown: 6 of these and 6 of the others, drawn with seed 1, in the order of the data."},
		{500, 2, 2, 10, "Shown: 2 of these and 10 of the others,"},
		{500, 0, 0, 12, "Shown: 0 of these and 12 of the others,"},
		{500, 498, 10, 2, "Shown: 10 of these and 2 of the others,"},
		{9, 4, 4, 5, "4 of 9 captions found their picture first. All are shown."},
		{0, 0, 0, 0, "0 of 0 captions"},
	} {
		right := func(i int) bool { return (i*7)%max(c.n, 1) < c.rights } // 7 is prime to every n here
		got := Choose(c.n, 12, right)
		rights := 0
		for _, i := range got.Numbers {
			if right(i) {
				rights++
			}
		}
		if rights != c.right || len(got.Numbers)-rights != c.missed || !slices.IsSorted(got.Numbers) || len(slices.Compact(got.Numbers)) != c.right+c.missed {
			t.Errorf("of %d, %d right: shown are %v, of which %d are right, want %d and %d others in order", c.n, c.rights, got.Numbers, rights, c.right, c.missed)
		}
		if note := got.Note("captions", "found their picture first"); !strings.Contains(note, c.note) {
			t.Errorf("of %d, %d right: %q, want %q", c.n, c.rights, note, c.note)
		}
	}
}
