package run

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/train"
)

// Metrics over fewer than 20 examples come with a sentence; recall among a handful of pairs that
// pre-training held out is not shown.
func TestFewExamples(t *testing.T) {
	find := func(name string) *Preset {
		p, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	sentiment, flickr := find("sst-2"), find("flickr8k")
	for _, c := range []struct {
		p    *Preset
		m    train.Numbers
		note string
	}{
		{sentiment, train.Numbers{"accuracy": 1, "examples": 3}, "3 examples scored; the numbers say nothing: other examples can give quite different ones"},
		{sentiment, train.Numbers{"accuracy": 1, "examples": 19}, "19 examples scored; the numbers say nothing: other examples can give quite different ones"},
		{sentiment, train.Numbers{"accuracy": 1, "examples": 20}, ""},
		{flickr, train.Numbers{"recall@1": 1, "images": 1, "examples": 5}, "1 picture searched; recall says nothing among so few"},
		{flickr, train.Numbers{"recall@1": 1, "images": 20, "examples": 20}, ""},
		{Pretraining, train.Numbers{"loss": 1, "examples": 1}, "1 sample; the numbers say nothing"},
		{Pretraining, train.Numbers{"loss": 1, "examples": 51, "images": 1, "recall@1": 1, "text_recall@10": 1, "mean_rank": 1}, "1 pair; recall and the losses of pairs say nothing"},
		{Pretraining, train.Numbers{"loss": 1, "examples": 90, "images": 50, "recall@1": 0.5}, ""},
	} {
		notes := fewNotes(c.p, c.m)
		if c.note == "" && notes != nil || c.note != "" && !slices.Equal(notes, []string{c.note}) {
			t.Errorf("%v: notes %q, want %q", c.m, notes, c.note)
		}
		shown := MetricKeys(c.p, c.m)
		hidden := c.p == Pretraining && c.m["images"] == 1
		if got := slices.Contains(shown, "recall@1"); got != (c.m["recall@1"] > 0 && !hidden) || hidden && !slices.Equal(shown, []string{"loss", "images", "examples"}) {
			t.Errorf("%v: shown are %v", c.m, shown)
		}
	}
	r := Result{Split: "dev", Scores: Scores{Metrics: train.Numbers{"f1": 1, "examples": 2}}}
	if got, want := r.metricNote("f1"), "on dev, 2 examples only"; got != want {
		t.Errorf("note %q, want %q", got, want)
	}
}
