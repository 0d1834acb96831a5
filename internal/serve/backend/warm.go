package backend

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/embed"
)

// What an accelerator prepares before a model answers. Each size of a batch has a program, which is compiled or loaded when it is met first; a
// request would wait for it.
const (
	WarmUpNone   = "none"
	WarmUpCommon = "common" // all sizes of texts and pictures, for what a model was trained for
	WarmUpAll    = "all"    // and for what is asked rarely: vectors of tokens, vectors as they are, vectors of a model that was trained for something else
)

// WarmUps lists them.
var WarmUps = []string{WarmUpNone, WarmUpCommon, WarmUpAll}

// rehearsal is work as requests ask for it, on texts and pictures that say nothing.
type rehearsal struct {
	least, most int // tokens and regions of an item
	taken       int // rows of each that are taken in the end
	run         func(ctx context.Context, lengths []int) error
}

// step is a batch that a model is warmed up with.
type step struct {
	items, longest int
	run            func(ctx context.Context) error
}

// steps are batches of all sizes.
func (r rehearsal) steps() (list []step) {
	for _, z := range sizes {
		for _, lengths := range r.lengthsFor(z) {
			list = append(list, step{len(lengths), lengths[0], func(ctx context.Context) error { return r.run(ctx, lengths) }})
		}
	}
	return list
}

// rehearsals are the batches that a model is warmed up with.
func (f *folder) rehearsals(ctx context.Context, which string) (steps []step, err error) {
	var list []rehearsal
	for _, h := range f.heads {
		if h.Classify != nil {
			list = append(list, ofTexts(h.Model.Config.TextTokens(), h.rehearseClasses))
		}
		if e := h.embedder; e != nil && e.MaxTokens > 0 && (!h.encoder || which == WarmUpAll) {
			list = append(list, ofTexts(e.MaxTokens, rehearseVectors(e, nil)))
			if yes := true; !e.Normalized { // as most clients ask for them
				list = append(list, ofTexts(e.MaxTokens, rehearseVectors(e, &yes)))
			}
			if e.TokenSize() > 0 && which == WarmUpAll {
				if no := false; e.Normalized {
					list = append(list, ofTexts(e.MaxTokens, rehearseVectors(e, &no)))
				}
				list = append(list, ofTexts(e.MaxTokens, func(ctx context.Context, lengths []int) error {
					_, err := e.TokenVectors(ctx, blanks(e, lengths), ignore)
					return err
				}))
			}
		}
		if h.Pictures != nil {
			seen, err := h.look(ctx)
			if err != nil {
				return nil, err
			}
			asked, err := h.ofPictures(seen)
			if err != nil {
				return nil, err
			}
			list = append(list, asked...)
			if h.Caption != nil {
				written, err := h.ofCaptions(seen, which)
				if err != nil {
					return nil, err
				}
				steps = append(steps, written...)
			}
			if h.Answers != nil {
				written, err := h.ofAnswers(seen, which)
				if err != nil {
					return nil, err
				}
				steps = append(steps, written...)
			}
		}
		if h.Write != nil {
			written, err := h.ofWriting(which)
			if err != nil {
				return nil, err
			}
			steps = append(steps, written...)
		}
	}
	for _, r := range list {
		steps = append(steps, r.steps()...)
	}
	return steps, nil
}

// ofTexts is a rehearsal of texts of up to so many tokens.
func ofTexts(most int, run func(ctx context.Context, lengths []int) error) rehearsal {
	return rehearsal{leastTokens, most, 1, run}
}

// leastTokens has a text that is empty.
const leastTokens = 2

func (h *head) rehearseClasses(ctx context.Context, lengths []int) error {
	records := make([]labelled.Record, len(lengths))
	for i, n := range lengths {
		tokens := slices.Repeat([]int32{h.tokenizer.SEP()}, n)
		tokens[0] = h.tokenizer.CLS()
		records[i] = labelled.Record{Tokens: tokens, First: n}
		if len(h.Texts) > 1 {
			records[i].First = n / 2
		}
	}
	_, err := h.Classify.Answer(ctx, records, ignore)
	return err
}

func rehearseVectors(e *embed.Embedder, normal *bool) func(ctx context.Context, lengths []int) error {
	return func(ctx context.Context, lengths []int) error {
		_, err := e.Vectors(ctx, blanks(e, lengths), normal, ignore)
		return err
	}
}

func blanks(e *embed.Embedder, lengths []int) []embed.Text {
	texts := make([]embed.Text, len(lengths))
	for i, n := range lengths {
		texts[i] = e.Blank(n)
	}
	return texts
}

// lengthsFor returns lengths of items that make a batch of a size: of one item, and of several, as far as some do.
func (r rehearsal) lengthsFor(z engine.Size) (list [][]int) {
	for _, lengths := range [][]int{{min(r.most, z.Longest)}, r.fullest(z)} {
		s := engine.Size{Sequences: r.taken * len(lengths)}
		for _, n := range lengths {
			s.Rows, s.Longest = s.Rows+n, max(s.Longest, n)
		}
		if s.Longest >= r.least && xla.Smallest(sizes, s) == z {
			list = append(list, lengths)
		}
	}
	return list
}

// fullest returns lengths of as many items as there may be in a batch of a size, the first of them as long as it may be beside others; nil where that
// is not several. They have as many rows and sequences as any have, so if they fit into a smaller size, all do.
func (r rehearsal) fullest(z engine.Size) []int {
	longest := min(r.most, z.Longest, z.Rows-r.least, batchRows/2)
	if longest < r.least {
		return nil
	}
	n := min(z.Sequences/r.taken, batchRows/max(batches.LeastPlaces, longest), 1+(z.Rows-longest)/r.least)
	if n < 2 {
		return nil
	}
	lengths := slices.Repeat([]int{r.least}, n)
	lengths[0] = longest
	more := z.Rows - longest - (n-1)*r.least
	for i := 1; i < n && more > 0; i++ {
		lengths[i] += min(more, longest-r.least)
		more -= lengths[i] - r.least
	}
	return lengths
}

// tellEvery is how often it is said how far the preparation is.
const tellEvery = 5 * time.Second

// warmUp takes texts and pictures of every length and number through the model, so that the accelerator has the programs when requests come.
func (f *folder) warmUp(ctx context.Context, o *Options) error {
	if o.WarmUp == WarmUpNone {
		return nil
	}
	before := f.device.Stats()
	steps, err := f.rehearsals(ctx, o.WarmUp)
	if err != nil {
		return fmt.Errorf("warm up model %s: %w", f.name, err)
	}
	if len(steps) == 0 {
		return nil
	}
	log := o.Log.With("model", f.name)
	log.Info("warming up", "batches", len(steps))
	began := time.Now()
	told := began
	for i, s := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := engine.Guard(func() error { return s.run(ctx) }); err != nil {
			return fmt.Errorf("warm up model %s with %d items of up to %d tokens and regions: %w", f.name, s.items, s.longest, err)
		}
		if now := time.Now(); now.Sub(told) >= tellEvery {
			told = now
			left := now.Sub(began) / time.Duration(i+1) * time.Duration(len(steps)-i-1)
			log.Info("warming up", "done", i+1, "of", len(steps), slog.Duration("left", left.Round(time.Second)))
		}
	}
	now := f.device.Stats()
	log.Info("warmed up", "compiled", now.Compiled-before.Compiled, "cached", now.Loaded-before.Loaded, "seconds", time.Since(began).Seconds())
	return nil
}
