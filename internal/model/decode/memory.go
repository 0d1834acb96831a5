package decode

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/model"
)

// encodeRows is how many regions and tokens of sources are read at a time, or one source if it is longer:
// enough to fill the products.
const encodeRows = 1024

// inLayer is how many values a token has in flight inside a layer, in units of H; 4 of them are
// the feed-forward's. What the layers before gave it is still there, too.
const inLayer = 13

// maxHypotheses is the most hypotheses of a batch, unless one source has more: the products
// become no faster, and results would come later.
const maxHypotheses = 1024

// MemoryOf returns how many bytes decoding sources of the given lengths, in regions and tokens, as one batch takes
// at most, besides the model: 4 times
//
//	2·layers·H·Σ lengths                  keys and values of the sources
//	2·layers·H·B·beams·max_out_len        those of the tokens written
//	max((layers+13)·H·rows,               activations while sources are read, 1024 rows (or one source) at a time
//	    (E + 4·H)·rows,                   (or, of regions with many features, while they are embedded),
//	    ((layers+13)·H + V)·B·beams)      or those of a step, with the logits
//
// of float32, where beams is 1 when sampling.
func MemoryOf(cfg model.Config, o Options, lengths ...int) int64 {
	rows, longest := 0, 0
	for _, n := range lengths {
		rows, longest = rows+n, max(longest, n)
	}
	hypotheses := int64(len(lengths)) * int64(o.beams())
	h := int64(cfg.HiddenSize)
	cached := 2 * int64(cfg.Layers) * h * (int64(rows) + hypotheses*int64(o.MaxLength))
	activations := (int64(cfg.Layers) + inLayer) * h
	reading := max(activations, int64(cfg.ImageEmbeddingSize)+4*h) * int64(min(rows, max(longest, encodeRows)))
	step := (activations + int64(cfg.VocabSize)) * hypotheses
	return 4 * (cached + max(reading, step))
}

// cut divides sources into batches within the limits of memory and hypotheses: the numbers of
// each one's sources, the longest first. Where they are filled up, which takes memory, too, they have rooms, and those with longer targets come first.
func cut(cfg model.Config, o Options, sources []Source, fitted *rooms) ([][]int, error) {
	order := make([]int, len(sources))
	for i := range order {
		order[i] = i
	}
	slots := func(i int) int { return upTo(sources[i].longest(&o), leastSlots, 2) }
	slices.SortStableFunc(order, func(a, b int) int {
		if fitted != nil && slots(a) != slots(b) {
			return cmp.Compare(slots(b), slots(a))
		}
		return cmp.Compare(sources[b].Rows(), sources[a].Rows())
	})
	var batches [][]int
	var lengths []int // of the last batch
	written := 0      // tokens of its targets at most
	fits := func() bool {
		if len(lengths)*o.beams() > maxHypotheses || MemoryOf(cfg, o, lengths...) > o.MaxMemory {
			return false
		}
		return fitted == nil || len(lengths) == 1 || fitted.of(len(lengths), slices.Max(lengths), written) != (Room{})
	}
	for _, i := range order {
		n := sources[i].Rows()
		if alone := MemoryOf(cfg, o, n); alone > o.MaxMemory {
			return nil, fmt.Errorf("source %d of %d: reading %d tokens and regions with %d hypotheses takes %d MiB, more than max_memory allows; set it to %d or more, or lower beam_size or max_out_len",
				i+1, len(sources), n, o.beams(), alone>>20, alone)
		}
		lengths, written = append(lengths, n), max(written, sources[i].longest(&o))
		if len(batches) == 0 || !fits() {
			batches, lengths, written = append(batches, nil), append(lengths[:0], n), sources[i].longest(&o)
		}
		last := &batches[len(batches)-1]
		*last = append(*last, i)
	}
	return batches, nil
}
