package captions

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// flatSet has images with the given numbers of captions.
func flatSet(captions ...int) *Set {
	s := &Set{}
	for i, n := range captions {
		s.Images = append(s.Images, fmt.Sprint(i))
		for range n {
			s.Captions = append(s.Captions, Caption{Image: i, Text: "x"})
		}
	}
	return s
}

func TestGroups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := flatSet(rapid.SliceOfN(rapid.IntRange(1, 4), 2, 8).Draw(t, "captions")...)
		g := Groups{Set: s, Negatives: rapid.IntRange(1, 21).Draw(t, "negatives"), Seed: rapid.Uint64().Draw(t, "seed")}
		epoch, caption := rapid.IntRange(0, 50).Draw(t, "epoch"), rapid.IntRange(0, len(s.Captions)-1).Draw(t, "caption")
		a, b := g.At(epoch, caption), (&Groups{Set: s, Negatives: g.Negatives, Seed: g.Seed}).At(epoch, caption)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%v, then %v", a, b)
		}
		own := s.Captions[caption].Image
		if a.Captions[0] != caption || a.Images[0] != own || len(a.Images) != g.Negatives/2+1 || len(a.Images)+len(a.Captions) != g.Negatives+2 {
			t.Errorf("%v", a)
		}
		if slices.Contains(a.Images[1:], own) || slices.ContainsFunc(a.Captions[1:], func(c int) bool { return s.Captions[c].Image == own }) {
			t.Errorf("%v has a right pair among the wrong ones", a)
		}
	})
}

// TestGroupsUniform counts what is drawn: other images equally often, and of an image its captions.
func TestGroupsUniform(t *testing.T) {
	s := flatSet(1, 2, 5, 2)
	g := Groups{Set: s, Negatives: 20, Seed: 7}
	images, captions := make([]float64, 4), make([]float64, len(s.Captions))
	const epochs = 3000
	for e := range epochs {
		x := g.At(e, 1) // of image 1
		for _, i := range x.Images[1:] {
			images[i]++
		}
		for _, c := range x.Captions[1:] {
			captions[c]++
		}
	}
	for i, n := range images {
		want := 10. * epochs / 3
		if i == 1 {
			want = 0
		}
		if math.Abs(n-want) > 5*math.Sqrt(want) {
			t.Errorf("image %d: %v times, expected %v", i, n, want)
		}
	}
	for c, n := range captions {
		image := s.Captions[c].Image
		want := 10. * epochs / 3 / float64(len(s.Of(image)))
		if image == 1 {
			want = 0
		}
		if math.Abs(n-want) > 5*math.Sqrt(want) {
			t.Errorf("caption %d: %v times, expected %v", c, n, want)
		}
	}
}

// TestGroupsStay: groups of runs that are resumed must be those they were.
func TestGroupsStay(t *testing.T) {
	s := flatSet(5, 5, 5, 5, 5)
	got := (&Groups{Set: s, Negatives: 7, Seed: 1}).At(2, 3)
	if want := (Group{Images: []int{0, 2, 3, 3}, Captions: []int{3, 15, 5, 20, 14}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestGroupsCheck(t *testing.T) {
	for _, g := range []Groups{{Set: flatSet(2), Negatives: 20}, {Set: flatSet(1, 1)}} {
		if g.Check() == nil {
			t.Errorf("%d images, %d negatives pass", len(g.Set.Images), g.Negatives)
		}
	}
}

func TestTruncate(t *testing.T) {
	tokens := []int32{0, 5, 6, 7, 2}
	for limit, want := range map[int][]int32{2: {0, 2}, 4: {0, 5, 6, 2}, 5: tokens, 9: tokens} {
		if got := Truncate(tokens, limit); !slices.Equal(got, want) {
			t.Errorf("%d: %v, want %v", limit, got, want)
		}
	}
	if !slices.Equal(tokens, []int32{0, 5, 6, 7, 2}) {
		t.Error("the argument was changed")
	}
}

func TestMirrorText(t *testing.T) {
	for text, want := range map[string]string{
		"A man on the left of a dog":              "A man on the right of a dog",
		"Right: red, LEFT: blue":                  "Left: red, RIGHT: blue",
		"the leftmost, right-hand, rightward one": "the rightmost, left-hand, leftward one",
		"a left-handed boy, his right hand":       "a right-handed boy, his left hand",
		"copyright, lefty, bright, rights":        "copyright, lefty, bright, rights",
		"water left behind right next to a child": "water left behind right next to a child",
		"left and right":                          "right and left",
		"":                                        "",
	} {
		if got := MirrorText(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
		if back := MirrorText(MirrorText(text)); back != text {
			t.Errorf("%q twice is %q", text, back)
		}
	}
}

func FuzzMirrorText(f *testing.F) {
	for _, s := range []string{"left right", "Leftmost LEFT right now", "\xff left", "all right next to", "left left over right"} {
		f.Add(s)
	}
	sides := func(s string) int {
		s = strings.ToLower(s)
		return strings.Count(s, "left") + strings.Count(s, "right")
	}
	f.Fuzz(func(t *testing.T, s string) {
		if m := MirrorText(s); sides(m) != sides(s) {
			t.Errorf("%q became %q", s, m)
		}
	})
}
