package decode

import (
	"testing"

	"pgregory.net/rapid"
)

func TestTrigrams(t *testing.T) {
	for _, c := range []struct {
		text []int32
		next int32
		want bool
	}{
		{[]int32{0}, 4, false},
		{[]int32{0, 4, 4, 4}, 4, true},             // [CLS], " a", " a", " a", " a"
		{[]int32{0, 4, 4}, 4, false},               // the first trigram has [CLS]
		{[]int32{0, 4, 8, 4, 5, 4, 8, 4}, 5, true}, // the last word is complete only now
		{[]int32{0, 4, 8, 4, 5, 4, 8}, 4, false},   // " a" is not yet " ab"
	} {
		var g trigrams
		g.read(tinyPieces, c.text)
		whole := append(append([]int32{}, c.text...), c.next)
		if got := g.repeats(tinyPieces, c.text, c.next); got != repeatsPlainly(tinyPieces, whole) {
			t.Errorf("%v: %v", whole, got)
		} else if got != c.want {
			t.Errorf("%v: %v by both, want %v", whole, got, c.want)
		}
	}
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		text := append([]int32{0}, rapid.SliceOfN(rapid.SampledFrom([]int32{4, 4, 4, 5, 8}), 0, 24).Draw(t, "text")...)
		next := rapid.SampledFrom([]int32{4, 4, 5, 8}).Draw(t, "next")
		var g trigrams
		g.read(tinyPieces, text)
		want := repeatsPlainly(tinyPieces, append(append([]int32{}, text...), next))
		if want {
			found++
		}
		if got := g.repeats(tinyPieces, text, next); got != want {
			t.Fatalf("%v, %d: %v, want %v", text, next, got, want)
		}
	})
	if found == 0 {
		t.Error("no text repeated a trigram: the test is blind")
	}
}
