package backend

import (
	"context"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
)

// ways are those in which a model is asked to find texts: its own, and where all is prepared one that samples.
func (h *head) ways(which string) []decode.Options {
	ways := []decode.Options{h.Decoding}
	if which == WarmUpAll && !h.Decoding.Sample {
		drawn := h.Decoding
		drawn.Sample = true
		ways = append(ways, drawn)
	}
	return ways
}

// ofWriting are the batches of texts for which others are written.
func (h *head) ofWriting(which string) ([]step, error) {
	source := func(words int) (decode.Source, error) {
		x := seq2seq.Example{File: "nothing", Line: 1}
		for range max(1, len(h.Texts)) {
			x.Sources = append(x.Sources, strings.Repeat("a ", words))
		}
		if h.Passage {
			x.Knowledge = strings.Repeat("a ", words)
		}
		s, _, err := h.Write.Source(x)
		return s, err
	}
	return h.ofSources(which, h.Write, source)
}

// ofCaptions are the batches of pictures for which captions are written.
func (h *head) ofCaptions(seen eyed, which string) ([]step, error) {
	return h.ofSources(which, h.Caption, func(size int) (decode.Source, error) {
		return h.Caption.Source(seen.pictures([]int{1 + max(seen.least, min(size, seen.most))})[0])
	})
}

// ofSources are batches of sources of every size: so many steps are taken of each that all programs were met. source makes one that is longer for a
// larger number, as far as the model reads.
func (h *head) ofSources(which string, d run.Decoder, source func(size int) (decode.Source, error)) (list []step, err error) {
	var shortest, longest decode.Source
	if shortest, err = source(1); err != nil {
		return nil, err
	}
	if longest, err = source(h.Model.Config.MaxTokens()); err != nil {
		return nil, err
	}
	for _, o := range h.ways(which) {
		o.MinLength = o.MaxLength // none ends
		for _, room := range decode.Rooms(h.Model.Config, o, shortest.Rows(), longest.Rows()) {
			s := shortest
			for size := 2; s.Rows() < longest.Rows() && room.Longest > decode.RoomFor(1, s.Rows(), o).Longest; size++ {
				if s, err = source(size); err != nil {
					return nil, err
				}
			}
			s.MaxLength = room.Steps(o)
			list = append(list, step{room.Sources, s.Rows(), func(ctx context.Context) error {
				sources := make([]decode.Source, room.Sources)
				for i := range sources {
					sources[i] = s
				}
				_, err := d.DecodeAll(ctx, sources, o, nil)
				return err
			}})
		}
	}
	return list, nil
}
