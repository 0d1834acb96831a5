package retrieve

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model/rank"
)

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
