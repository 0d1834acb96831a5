package retrieve

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model/rank"
)

// A page says how many queries were answered rightly and what it shows of them; right ones do not
// all come first.
func TestHalfAndHalf(t *testing.T) {
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
		got := halfAndHalf(c.n, 12, right)
		rights := 0
		for _, i := range got.numbers {
			if right(i) {
				rights++
			}
		}
		if rights != c.right || len(got.numbers)-rights != c.missed || !slices.IsSorted(got.numbers) || len(slices.Compact(got.numbers)) != c.right+c.missed {
			t.Errorf("of %d, %d right: shown are %v, of which %d are right, want %d and %d others in order", c.n, c.rights, got.numbers, rights, c.right, c.missed)
		}
		if note := got.note("captions", "their picture"); !strings.Contains(note, c.note) {
			t.Errorf("of %d, %d right: %q, want %q", c.n, c.rights, note, c.note)
		}
	}
}

// The tiles of recall have chance beside them: of the only picture 1, and of captions more where a
// picture has several.
func TestChance(t *testing.T) {
	images, each := 10, 5
	d := &detail{set: rank.Set{Images: rank.Images{IDs: make([]string, images)}, Texts: make(rank.Texts, images*each)}}
	for i := range images * each {
		d.set.ImageOf = append(d.set.ImageOf, i/each)
	}
	two := 1 - 45.0/50*44/49 // among two captions of 50 at least one of 5
	for _, c := range []struct {
		metric string
		want   float64
	}{{"image_recall@1", 0.1}, {"image_recall@5", 0.5}, {"image_recall@20", 1}, {"text_recall@1", 0.1}, {"text_recall@2", two}, {"text_recall@50", 1}, {"recall@2", (0.2 + two) / 2}} {
		got, ok := d.chance(c.metric)
		if !ok || math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s by chance: %v, want %v", c.metric, got, c.want)
		}
		if note := d.Comment(c.metric, "on dev"); note != fmt.Sprintf("on dev, by chance %.4f", c.want) {
			t.Errorf("%s: note %q", c.metric, note)
		}
	}
	if _, ok := d.chance("mean_rank"); ok || d.Comment("mean_rank", "on dev") != "on dev" {
		t.Error("a mean rank has no chance")
	}
}

// What is searched in part of a split says so.
func TestFirstNotes(t *testing.T) {
	all := rank.Set{Images: rank.Images{IDs: []string{"a", "b", "c"}, Source: regions.Source(nil)}}
	if got := firstNotes(all.First(2), all); len(got) != 1 || !strings.Contains(got[0], "first 2 of 3 pictures") {
		t.Errorf("notes %q", got)
	}
	if got := firstNotes(all.First(0), all); got != nil {
		t.Errorf("notes %q of all", got)
	}
}
