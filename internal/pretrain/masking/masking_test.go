package masking_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/pretrain/masking"
)

// numbers is a vocabulary of a hundred ids: special ones below 5, punctuation below 10, and
// of the rest the odd ones continue a word.
type numbers struct{}

func (numbers) VocabSize() int            { return 100 }
func (numbers) MASK() int32               { return 4 }
func (numbers) Continues(id int32) bool   { return id >= 10 && id%2 == 1 }
func (numbers) Special(id int32) bool     { return id < 5 }
func (numbers) Punctuation(id int32) bool { return id >= 5 && id < 10 }

const (
	cls  = 0
	sep  = 2
	mask = 4
)

func newRand(seed uint64) *random.Stream { return random.New(seed, "test") }

// text draws n tokens between [CLS] and [SEP].
func text(n int, r *random.Stream) []int32 {
	tokens := []int32{cls}
	for range n {
		tokens = append(tokens, 5+int32(r.IntN(95)))
	}
	return append(tokens, sep)
}

// words numbers the words of a text from 1 by a rule of its own; what is no word has 0.
func words(tokens []int32) []int {
	out := make([]int, len(tokens))
	n := 0
	for i, id := range tokens {
		if id < 10 {
			continue
		}
		if id%2 == 0 || tokens[i-1] < 10 {
			n++
		}
		out[i] = n
	}
	return out
}

// texts are drawn token by token, so that they shrink.
func texts(t *rapid.T) []int32 {
	return slices.Concat([]int32{cls}, rapid.SliceOfN(rapid.Int32Range(0, 99), 0, 40).Draw(t, "text"), []int32{sep})
}

func TestHide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tokens := texts(t)
		m := masking.Language{numbers{}, rapid.Float64Range(0, 1).Draw(t, "share"), rapid.Float64Range(0, 1).Draw(t, "phrases"), rapid.IntRange(0, 5).Draw(t, "words")}
		seed := rapid.Uint64().Draw(t, "seed")
		before := slices.Clone(tokens)
		hidden, places, labels := m.Hide([]int32{1, 1}, tokens, newRand(seed))
		if again, _, _ := m.Hide([]int32{1, 1}, tokens, newRand(seed)); !slices.Equal(hidden, again) {
			t.Fatal("the same seed hides something else")
		}
		if !slices.Equal(tokens, before) || !slices.Equal(hidden[:2], []int32{1, 1}) || len(hidden) != 2+len(tokens) {
			t.Fatal("the tokens or what stood before was changed")
		}
		hidden = hidden[2:]
		of := words(tokens)
		if len(places) == 0 && slices.Max(of) > 0 {
			t.Fatal("there is a word, but none is hidden")
		}
		if len(places) != len(labels) || !slices.IsSorted(places) {
			t.Fatalf("places %v, labels %v", places, labels)
		}
		chosen := map[int]bool{}
		for i, at := range places {
			if of[at] == 0 || labels[i] != tokens[at] {
				t.Fatalf("place %d: token %d, label %d", at, tokens[at], labels[i])
			}
			if hidden[at] < 4 {
				t.Fatalf("place %d became %d, a special token", at, hidden[at])
			}
			chosen[of[at]] = true
		}
		for i := range tokens {
			if place := slices.Contains(places, int32(i)); place != chosen[of[i]] || !place && hidden[i] != tokens[i] {
				t.Fatalf("token %d: a part of a word is hidden, or was changed and is no place", i)
			}
		}
	})
}

// The share holds on average but for the shortest texts, where one word, of two tokens here, may be
// more than it.
func TestHideShare(t *testing.T) {
	for _, c := range []struct {
		length         int
		share, phrases float64
		off            float64 // allowed
	}{{500, 0.15, 0, 0.005}, {500, 0.15, 0.5, 0.005}, {50, 0.15, 0.5, 0.01}, {12, 0.15, 0.5, 0.08}, {100, 0.5, 1, 0.005}} {
		m := masking.Language{numbers{}, c.share, c.phrases, 4}
		r := newRand(uint64(c.length))
		places := 0
		const draws = 2000
		for range draws {
			_, p, _ := m.Hide(nil, text(c.length, r), r)
			places += len(p)
		}
		if share := float64(places) / float64(draws*c.length); math.Abs(share-c.share) > c.off {
			t.Errorf("%+v: %.4f of the tokens are hidden", c, share)
		}
	}
}

// Every word is as likely to be hidden as another of a text without punctuation but for
// those at its ends, whose phrases are cut.
func TestHidePlaces(t *testing.T) {
	m := masking.Language{numbers{}, 0.15, 0.5, 4}
	tokens := []int32{cls, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46, 48, sep}
	r := newRand(1)
	count := make([]int, len(tokens))
	const draws = 20000
	for range draws {
		_, places, _ := m.Hide(nil, tokens, r)
		for _, at := range places {
			count[at]++
		}
	}
	for i, n := range count[1 : len(tokens)-1] {
		if share := float64(n) / draws; share < 0.10 || share > 0.19 {
			t.Errorf("word %d is hidden with probability %.3f", i, share)
		}
	}
}

// Eight spans of ten are masked, one is replaced and one kept: whole, as one of one word or
// a phrase. A text of one word has one span.
func TestHideKinds(t *testing.T) {
	m := masking.Language{numbers{}, 0.15, 0.5, 4}
	tokens := []int32{cls, 10, 11, 13, 15, 17, sep} // one word
	r := newRand(2)
	var masked, kept, replaced, mixed int
	random := map[int32]int{}
	const draws = 20000
	for range draws {
		hidden, places, _ := m.Hide(nil, tokens, r)
		var n, same int
		for _, at := range places {
			if hidden[at] == mask {
				n++
			} else if hidden[at] == tokens[at] {
				same++
			}
		}
		switch {
		case n == 5:
			masked++
		case same == 5:
			kept++
		case n == 0:
			replaced++
			for _, at := range places {
				random[hidden[at]]++
			}
		default:
			mixed++
		}
	}
	for _, c := range []struct {
		name string
		got  int
		want float64
	}{{"masked", masked, 0.8}, {"replaced", replaced, 0.1}, {"kept", kept, 0.1}, {"mixed", mixed, 0}} {
		if got := float64(c.got) / draws; math.Abs(got-c.want) > 0.01 {
			t.Errorf("%s: %.3f, want %.1f", c.name, got, c.want)
		}
	}
	if len(random) != 95 { // all that are not special
		t.Errorf("random tokens are of %d kinds, want 95", len(random))
	}
}

// Phrases are as long as they may be and no longer, and never go over punctuation.
func TestHidePhrases(t *testing.T) {
	tokens := []int32{cls}
	for range 20 {
		tokens = append(tokens, 10, 12, 14, 16, 18, 20, 22, 5)
	}
	lengths := func(m masking.Language) map[int]int {
		r := newRand(3)
		out := map[int]int{}
		for range 3000 {
			_, places, _ := m.Hide(nil, tokens, r)
			run := 0
			for i := range tokens {
				if slices.Contains(places, int32(i)) {
					run++
				} else if run > 0 {
					out[run]++
					run = 0
				}
			}
		}
		return out
	}
	// A share this small leaves room for one span; a long phrase is often too long for it.
	for _, c := range []struct {
		phrases float64
		words   int
		most    int
	}{{0, 4, 1}, {1, 1, 1}, {1, 2, 2}, {1, 4, 4}, {0.5, 3, 3}} {
		got := lengths(masking.Language{numbers{}, 0.005, c.phrases, c.words})
		total := 0
		for length, n := range got {
			total += n
			if length > c.most {
				t.Errorf("%+v: a run of %d words", c, length)
			}
		}
		for length := 1; length <= c.most; length++ {
			if got[length] < total/30 {
				t.Errorf("%+v: runs of %d words are %d of %d", c, length, got[length], total)
			}
		}
	}
}

func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tokens := texts(t)
		f := masking.Fragments{numbers{}, rapid.Float64Range(0, 1).Draw(t, "share"), rapid.IntRange(0, 30).Draw(t, "words")}
		seed := rapid.Uint64().Draw(t, "seed")
		source, target, ok := f.Split(tokens, newRand(seed))
		if again, _, _ := f.Split(tokens, newRand(seed)); !slices.Equal(source, again) {
			t.Fatal("the same seed takes out something else")
		}
		of := words(tokens)
		units := slices.Max(of)
		for i := range of { // marks of punctuation are words here
			if id := tokens[i]; id >= 5 && id < 10 {
				units++
				of[i] = -i
			}
		}
		if ok != (units >= 4) {
			t.Fatalf("ok is %v for %d words", ok, units)
		}
		if !ok {
			return
		}
		special := func(id int32) bool { return id < 5 }
		var left []int32
		for _, id := range tokens {
			if special(id) {
				left = append(left, id)
			}
		}
		if got := slices.DeleteFunc(slices.Clone(source), func(id int32) bool { return !special(id) }); !slices.Equal(got, left) {
			t.Fatalf("the source has the special tokens %v, want %v", got, left)
		}
		if len(target) == 0 || slices.ContainsFunc(target, special) || len(source)+len(target) != len(tokens) || len(source) == len(left) {
			t.Fatalf("source %v, target %v", source, target)
		}
	})
}

// Fragments are whole words in order: with every token once, each tells where it was.
func TestSplitTakesWholeWords(t *testing.T) {
	tokens := []int32{cls}
	for id := int32(5); id < 65; id++ {
		tokens = append(tokens, id)
	}
	tokens = append(tokens, sep)
	of := words(tokens)
	r := newRand(4)
	f := masking.Fragments{numbers{}, 0.25, 4}
	taken, long := 0, 0
	const draws = 2000
	for range draws {
		_, target, _ := f.Split(tokens, r)
		taken += len(target)
		last, run := -1, 0
		got := map[int]int{}
		for _, id := range target {
			at := slices.Index(tokens[last+1:], id) + last + 1
			if at <= last {
				t.Fatalf("%v is not in the order of the text", target)
			}
			if run++; at != last+1 {
				run = 1
			}
			if run >= 3 {
				long++
			}
			got[of[at]]++
			last = at
		}
		for i := range tokens {
			if n := got[of[i]]; of[i] > 0 && n > 0 && n != count(of, of[i]) {
				t.Fatalf("word %d is taken in part", of[i])
			}
		}
	}
	if share := float64(taken) / float64(draws*(len(tokens)-2)); math.Abs(share-0.25) > 0.005 {
		t.Errorf("%.4f of the text is taken, want 0.25", share)
	}
	if long == 0 {
		t.Error("no fragment has three tokens")
	}
}

func count(list []int, v int) int {
	n := 0
	for _, x := range list {
		if x == v {
			n++
		}
	}
	return n
}

// intersection is the oracle for whole numbers: pixels counted.
func intersection(a, b []float32) float64 {
	var both, either int
	for y := range 12 {
		for x := range 12 {
			in := func(c []float32) bool {
				return float32(x) >= c[0] && float32(x) < c[2] && float32(y) >= c[1] && float32(y) < c[3]
			}
			if in(a) && in(b) {
				both++
			}
			if in(a) || in(b) {
				either++
			}
		}
	}
	return float64(both) / float64(either)
}

// No visible region shows what is predicted, and every hidden region is chosen or overlaps
// one that is.
func TestChooseDoesNotLeak(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 20).Draw(t, "regions")
		var boxes []float32
		for range n {
			corner := rapid.IntRange(0, 4)
			size := rapid.IntRange(0, 6)
			x, y := corner.Draw(t, "x"), corner.Draw(t, "y")
			boxes = append(boxes, float32(x), float32(y), float32(x+size.Draw(t, "w")), float32(y+size.Draw(t, "h")))
		}
		g := masking.Regions{rapid.Float64Range(0, 1).Draw(t, "share"), rapid.SampledFrom([]float64{0.3, 0.4}).Draw(t, "overlap")}
		seed := rapid.Uint64().Draw(t, "seed")
		hidden, predicted := g.Choose(boxes, newRand(seed))
		if again, _ := g.Choose(boxes, newRand(seed)); !slices.Equal(hidden, again) {
			t.Fatal("the same seed hides something else")
		}
		if n > 0 && len(predicted) == 0 || !slices.IsSorted(hidden) || !slices.IsSorted(predicted) {
			t.Fatalf("hidden %v, predicted %v of %d", hidden, predicted, n)
		}
		for _, i := range predicted {
			if !slices.Contains(hidden, i) {
				t.Fatalf("region %d is predicted and visible", i)
			}
			for j := range n {
				if !slices.Contains(hidden, j) && intersection(boxes[4*i:], boxes[4*j:]) > g.Overlap {
					t.Fatalf("region %d is predicted and region %d shows it", i, j)
				}
			}
		}
		for _, i := range hidden {
			if !slices.ContainsFunc(predicted, func(j int) bool { return i == j || intersection(boxes[4*i:], boxes[4*j:]) > g.Overlap }) {
				t.Fatalf("region %d is hidden for nothing", i)
			}
		}
	})
}

// Patches do not overlap: the share holds to the mean, and all that is hidden is predicted.
func TestChooseOfPatches(t *testing.T) {
	var boxes []float32
	for i := range 49 {
		x, y := float32(i%7), float32(i/7)
		boxes = append(boxes, x, y, x+1, y+1)
	}
	g := masking.Regions{0.15, 0.3}
	r := newRand(5)
	const draws = 5000
	total := 0
	count := make([]int, 49)
	for range draws {
		hidden, predicted := g.Choose(boxes, r)
		if !slices.Equal(hidden, predicted) {
			t.Fatalf("hidden %v, predicted %v", hidden, predicted)
		}
		for _, i := range hidden {
			count[i]++
		}
		total += len(hidden)
	}
	if share := float64(total) / (49 * draws); math.Abs(share-0.15) > 0.002 {
		t.Errorf("%.4f of the patches are hidden", share)
	}
	for i, n := range count {
		if share := float64(n) / draws; math.Abs(share-0.15) > 0.03 {
			t.Errorf("patch %d is hidden with probability %.3f", i, share)
		}
	}
}

func TestNormalise(t *testing.T) {
	for _, c := range []struct{ in, want []float32 }{
		{nil, nil},
		{[]float32{7, 7, 7, 7}, []float32{0, 0, 0, 0}},
		{[]float32{1, 3}, []float32{-1, 1}},
		{[]float32{1e4, 1e4 + 2, 1e4, 1e4 + 2}, []float32{-1, 1, -1, 1}},
	} {
		dst := make([]float32, len(c.in))
		masking.Normalise(dst, c.in)
		for i := range dst {
			if math.Abs(float64(dst[i]-c.want[i])) > 1e-6 {
				t.Errorf("%v gives %v, want %v", c.in, dst, c.want)
			}
		}
	}
}

func BenchmarkHide(b *testing.B) {
	m := masking.Language{numbers{}, 0.15, 0.5, 4}
	r := newRand(6)
	tokens := text(128, r)
	for b.Loop() {
		m.Hide(nil, tokens, r)
	}
}

func BenchmarkSplit(b *testing.B) {
	f := masking.Fragments{numbers{}, 0.25, 4}
	r := newRand(6)
	tokens := text(128, r)
	for b.Loop() {
		f.Split(tokens, r)
	}
}

func BenchmarkChoose(b *testing.B) {
	g := masking.Regions{0.15, 0.3}
	r := newRand(6)
	var boxes []float32
	for range 100 {
		x, y := float32(r.Float64()*400), float32(r.Float64()*400)
		boxes = append(boxes, x, y, x+50+float32(r.Float64()*200), y+50+float32(r.Float64()*200))
	}
	for b.Loop() {
		g.Choose(boxes, r)
	}
}
