package backend

import (
	"context"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
)

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

// ofAnswers are the batches of questions about pictures to which answers are written.
func (h *head) ofAnswers(seen eyed, which string) ([]step, error) {
	return h.ofSources(which, h.Answers, func(size int) (decode.Source, error) {
		im := seen.pictures([]int{1 + max(seen.least, min(size, seen.most))})[0]
		return h.Answers.Source(im, strings.Repeat("a ", size))
	})
}

// ofSources are batches of sources of every size: so many steps are taken of each that all programs were met. source makes one that is longer for a
// larger number, as far as the model reads.
func (h *head) ofSources(which string, d run.Decoder, source func(size int) (decode.Source, error)) (list []step, err error) {
	var sources []decode.Source // one of each size
	for size := range h.Model.Config.MaxTokens() {
		s, err := source(1 + size)
		if err != nil {
			return nil, err
		}
		if n := len(sources); n == 0 || decode.Longest(s.Rows()) > decode.Longest(sources[n-1].Rows()) {
			sources = append(sources, s)
		}
	}
	for _, r := range d.Rehearsals(sources, h.Decoding, which == WarmUpAll) {
		list = append(list, step{len(r.Sources), r.Sources[0].Rows(), func(ctx context.Context) error {
			_, err := d.DecodeAll(ctx, r.Sources, r.Options, nil)
			return err
		}})
	}
	return list, nil
}
