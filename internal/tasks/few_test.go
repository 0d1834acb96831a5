package tasks_test

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

// Metrics over fewer than 20 examples come with a sentence; recall among a handful of pairs that
// pre-training held out is not shown.
func TestFewExamples(t *testing.T) {
	sentiment, flickr, pretraining := find(t, "sst-2"), find(t, "flickr8k"), find(t, "pretrain")
	for _, c := range []struct {
		p    *run.Task
		m    train.Numbers
		note string
	}{
		{sentiment, train.Numbers{"accuracy": 1, "examples": 3}, "3 examples scored; the numbers say nothing: other examples can give quite different ones"},
		{sentiment, train.Numbers{"accuracy": 1, "examples": 19}, "19 examples scored; the numbers say nothing: other examples can give quite different ones"},
		{sentiment, train.Numbers{"accuracy": 1, "examples": 20}, ""},
		{flickr, train.Numbers{"recall@1": 1, "images": 1, "examples": 5}, "1 picture searched; recall says nothing among so few"},
		{flickr, train.Numbers{"recall@1": 1, "images": 20, "examples": 20}, ""},
		{pretraining, train.Numbers{"loss": 1, "examples": 1}, "1 sample; the numbers say nothing"},
		{pretraining, train.Numbers{"loss": 1, "examples": 51, "images": 1, "recall@1": 1, "text_recall@10": 1, "mean_rank": 1}, "1 pair; recall and the losses of pairs say nothing"},
		{pretraining, train.Numbers{"loss": 1, "examples": 90, "images": 50, "recall@1": 0.5}, ""},
	} {
		notes := c.p.Doubts(c.m)
		if c.note == "" && notes != nil || c.note != "" && !slices.Equal(notes, []string{c.note}) {
			t.Errorf("%v: notes %q, want %q", c.m, notes, c.note)
		}
		shown := c.p.Shown(c.m)
		hidden := c.p == pretraining && c.m["images"] == 1
		if got := slices.Contains(shown, "recall@1"); got != (c.m["recall@1"] > 0 && !hidden) || hidden && !slices.Equal(shown, []string{"loss", "images", "examples"}) {
			t.Errorf("%v: shown are %v", c.m, shown)
		}
	}
}
