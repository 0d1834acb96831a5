package backend

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/embed"
)

// What an accelerator prepares before a model answers. Each size of a batch has a program, which is compiled or loaded when it is met first; a
// request would wait for it.
const (
	WarmUpNone   = "none"
	WarmUpCommon = "common" // all sizes of texts, for what a model was trained for
	WarmUpAll    = "all"    // and for what is asked rarely: vectors of tokens, vectors as they are, vectors of a model that was trained for something else
)

// WarmUps lists them.
var WarmUps = []string{WarmUpNone, WarmUpCommon, WarmUpAll}

// rehearsal is work on texts, as requests ask for it, on texts that say nothing.
type rehearsal struct {
	most int // tokens of a text
	run  func(ctx context.Context, lengths []int) error
}

// rehearsals are those of a model.
func (f *folder) rehearsals(which string) (list []rehearsal) {
	for _, h := range f.heads {
		if h.Classify != nil {
			list = append(list, rehearsal{h.Model.Config.TextTokens(), h.rehearseClasses})
		}
		if e := h.embedder; e != nil && e.MaxTokens > 0 && (!h.encoder || which == WarmUpAll) {
			list = append(list, rehearsal{e.MaxTokens, rehearseVectors(e, nil)})
			if yes := true; !e.Normalized { // as most clients ask for them
				list = append(list, rehearsal{e.MaxTokens, rehearseVectors(e, &yes)})
			}
			if e.TokenSize() > 0 && which == WarmUpAll {
				if no := false; e.Normalized {
					list = append(list, rehearsal{e.MaxTokens, rehearseVectors(e, &no)})
				}
				list = append(list, rehearsal{e.MaxTokens, func(ctx context.Context, lengths []int) error {
					_, err := e.TokenVectors(ctx, blanks(e, lengths), ignore)
					return err
				}})
			}
		}
	}
	return list
}

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

// lengthsFor returns the lengths of texts of up to most tokens that make a batch of a size; nil where none do.
func lengthsFor(z engine.Size, most int) []int {
	least := slices.IndexFunc(sizes, func(y engine.Size) bool { return (y.Sequences == 1) == (z.Sequences == 1) })
	longest := z.Longest/2 + 1 // a smaller size has no room for it
	switch {
	case longest > most && z.Longest > sizes[least].Longest:
		return nil
	case z.Sequences == 1:
		return []int{min(longest, most)}
	}
	longest = min(longest, most)
	lengths := slices.Repeat([]int{longest}, max(2, min(z.Sequences, z.Rows/longest)))
	if last := len(lengths) - 1; z.Rows < len(lengths)*longest {
		lengths[last] = 2
	}
	if len(lengths)*longest > batchRows { // it would be two batches
		return nil
	}
	return lengths
}

// tellEvery is how often it is said how far the preparation is.
const tellEvery = 5 * time.Second

// warmUp takes texts of every length and number through the model, so that the accelerator has the programs when requests come.
func (f *folder) warmUp(ctx context.Context, o *Options) error {
	if o.WarmUp == WarmUpNone {
		return nil
	}
	type step struct {
		rehearsal
		lengths []int
	}
	var steps []step
	for _, r := range f.rehearsals(o.WarmUp) {
		for _, z := range sizes {
			if lengths := lengthsFor(z, r.most); lengths != nil {
				steps = append(steps, step{r, lengths})
			}
		}
	}
	if len(steps) == 0 {
		return nil
	}
	log := o.Log.With("model", f.name)
	log.Info("warming up", "batches", len(steps))
	before, began := f.device.Stats(), time.Now()
	told := began
	for i, s := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := engine.Guard(func() error { return s.run(ctx, s.lengths) }); err != nil {
			return fmt.Errorf("warm up model %s with %d texts of up to %d tokens: %w", f.name, len(s.lengths), s.lengths[0], err)
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
