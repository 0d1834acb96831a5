package synth

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestOpinionsAreDistinctBalancedAndShort(t *testing.T) {
	for _, seed := range []uint64{0, 20260801} {
		train, heldOut := Opinions(seed, 2001, 800)
		if len(train) != 2001 || len(heldOut) != 800 {
			t.Fatalf("seed %d: got %d and %d opinions", seed, len(train), len(heldOut))
		}
		seen := make(map[string]bool)
		for _, o := range slices.Concat(train, heldOut) {
			if seen[o.Text] {
				t.Errorf("seed %d: %q occurs twice", seed, o.Text)
			}
			seen[o.Text] = true
			if n := len(strings.Fields(o.Text)); n < minTokens || n > maxTokens {
				t.Errorf("seed %d: %q has %d tokens", seed, o.Text, n)
			}
			if o.Text != strings.Join(strings.Fields(strings.ToLower(o.Text)), " ") {
				t.Errorf("seed %d: %q is not lower-case tokens between single spaces", seed, o.Text)
			}
			if o.Positive != o.Meaning.Positive() {
				t.Errorf("seed %d: %q: the label does not follow from the meaning", seed, o.Text)
			}
		}
		for name, set := range map[string][]Opinion{"train": train, "held-out": heldOut} {
			positive := 0
			for _, o := range set {
				if o.Positive {
					positive++
				}
			}
			if d := 2*positive - len(set); d < -1 || d > 1 {
				t.Errorf("seed %d: %s has %d positive of %d", seed, name, positive, len(set))
			}
		}
	}
}

// The promise of the package: no held-out combination in training, one in each
// held-out opinion, and no word that training does not show.
func TestHeldOutCombinationsNeverOccurInTraining(t *testing.T) {
	// A small training set lacks words, which the held-out set must then avoid.
	for _, c := range []struct {
		seed           uint64
		train, heldOut int
	}{{3, 4000, 1500}, {4, 150, 200}} {
		seed := c.seed
		train, heldOut := Opinions(seed, c.train, c.heldOut)
		if len(heldOut) != c.heldOut {
			t.Errorf("seed %d: %d held-out opinions, want %d", seed, len(heldOut), c.heldOut)
		}
		combinations, words := make(map[string]bool), make(map[string]bool)
		for _, o := range train {
			for _, c := range o.Meaning.Combinations() {
				combinations[c.Name] = true
				if c.HeldOut {
					t.Errorf("seed %d: training sentence %q has the held-out %q", seed, o.Text, c.Name)
				}
			}
			for _, w := range strings.Fields(o.Text) {
				words[w] = true
			}
		}
		for _, o := range heldOut {
			fresh := false
			for _, c := range o.Meaning.Combinations() {
				if c.HeldOut && combinations[c.Name] {
					t.Errorf("seed %d: held-out %q of %q occurs in training", seed, c.Name, o.Text)
				}
				fresh = fresh || c.HeldOut
			}
			if !fresh {
				t.Errorf("seed %d: %q has no held-out combination", seed, o.Text)
			}
			for _, w := range strings.Fields(o.Text) {
				if !words[w] {
					t.Errorf("seed %d: %q: %q does not occur in training", seed, o.Text, w)
				}
			}
		}
	}
}

func TestOpinionsDependOnTheSeedAlone(t *testing.T) {
	a, b := Opinions(7, 500, 100)
	c, d := Opinions(7, 500, 100)
	if !slices.Equal(a, c) || !slices.Equal(b, d) {
		t.Error("the same seed gave other opinions")
	}
	longer, _ := Opinions(7, 800, 10)
	if !slices.Equal(a, longer[:500]) {
		t.Error("asking for more opinions changed the first ones")
	}
	other, _ := Opinions(8, 500, 0)
	if slices.Equal(a, other) {
		t.Error("another seed gave the same opinions")
	}
	if a, b := Opinions(7, 0, 5); len(a) != 0 || len(b) != 0 {
		t.Errorf("without training opinions no word is known, but got %d and %d opinions", len(a), len(b))
	}
}

func TestWriteTSV(t *testing.T) {
	var b bytes.Buffer
	err := WriteTSV(&b, []Opinion{{Text: "the film is funny .", Positive: true}, {Text: "the film is dull ."}})
	if want := "text_a\tlabel\nthe film is funny .\t1\nthe film is dull .\t0\n"; err != nil || b.String() != want {
		t.Errorf("got %q, %v; want %q", b.String(), err, want)
	}
}

func BenchmarkOpinions(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Opinions(1, 8000, 1000)
	}
}
