package backend

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla"
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
			list = append(list, h.ofPictures(seen)...)
			if h.Caption != nil {
				written, err := h.ofCaptions(seen, which)
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
	highest := min(r.most, z.Longest)
	lowest := max(r.least, z.Longest/2+1)
	if z.Longest == sizes[1].Longest { // there is no smaller one
		lowest = r.least
	}
	fits := func(lengths []int) bool {
		s := engine.Size{Sequences: r.taken * len(lengths), Longest: lengths[0]}
		for _, n := range lengths {
			s.Rows += n
		}
		return len(lengths)*s.Longest <= batchRows && xla.Smallest(sizes, s) == z
	}
	try := func(least, most int, make func(n int) []int) {
		for n := least; n <= most; n++ {
			if lengths := make(n); fits(lengths) {
				list = append(list, lengths)
				return
			}
		}
	}
	if highest < r.least {
		return nil
	}
	try(1, 1, func(int) []int { return []int{highest} })
	alone := len(list)
	for _, longest := range []int{highest, min(lowest, highest)} {
		for _, other := range []int{r.least, longest, (r.least + longest) / 2} {
			for _, long := range []bool{false, true} { // all but one of them, or one
				if len(list) > alone {
					return list
				}
				try(2, batchRows/longest, func(n int) []int {
					lengths := slices.Repeat([]int{other}, n)
					lengths[0] = longest
					if long {
						for i := range n - 1 {
							lengths[i] = longest
						}
					}
					return lengths
				})
			}
		}
	}
	return list
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
