package captioning

import (
	"context"
	"fmt"
	"math"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/texts"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/tokenizer"
)

// limits are a model's generation_config.json.
type limits struct {
	MaxTgtLen int `json:"max_tgt_len"`
	MaxObjLen int `json:"max_obj_len"`
	// MaxRegions is 0 in models of an earlier version: the usual number.
	MaxRegions int `json:"max_regions"`
	decode.Options
}

// writer runs a generator over pictures. It is not safe for concurrent use.
type writer struct {
	texts.Writer
	dev    engine.Device
	limits limits
	in     model.Input
	labels []int32

	prepared []*picture.Picture // of the images of in that are late
}

func newWriter(dev engine.Device, m *model.Generator, tok *tokenizer.Tokenizer, l limits) *writer {
	w := &writer{Writer: texts.NewWriter(dev, m, tok, l.Options), dev: dev, limits: l}
	w.Decoder.End = tok.SEP()
	return w
}

// source adds what a caption is written for, an image and its tags, to a batch.
func (w *writer) source(in *model.Input, im *regions.Image, tags Tagger) error {
	tokens, err := tags.tokens(im, w.Tokenizer, w.limits.MaxObjLen)
	if err == nil {
		in.Images.Append(im)
		in.Objects.Append(tokens)
	}
	return err
}

// pack makes the batch of captions that is trained or scored on, with the images that read gives. It is valid until the next call.
func (w *writer) pack(s *split, chosen []int, read func(number int, dst *regions.Image) error) (model.Input, []int32, error) {
	l, err := load(s.imagesOf(chosen), w.dev.Limit(), read)
	if err != nil {
		return w.in, nil, err
	}
	w.in.Reset()
	w.labels, w.prepared = w.labels[:0], w.prepared[:0]
	for _, c := range chosen {
		im := l.of(s.Captions[c].Image)
		w.prepared = append(w.prepared, im.Prepared)
		if err := w.source(&w.in, im, s.tags); err != nil {
			return w.in, nil, err
		}
		w.labels = target(&w.in.Text, w.labels, s.tokens[c])
	}
	return w.in, w.labels, nil
}

// loss returns the mean loss of a token of the captions.
func (w *writer) loss(ctx context.Context, s *split, batch int, tick run.Tick) (float64, error) {
	return w.Loss(ctx, texts.Examples{
		N: len(s.Captions),
		Pack: func(lo, hi int) (model.Input, []int32, error) {
			chosen := make([]int, hi-lo)
			for i := range chosen {
				chosen[i] = lo + i
			}
			return w.pack(s, chosen, s.read)
		},
		At: func(i int) string { return fmt.Sprintf("%s line %d", s.File, s.Captions[i].Line) },
	}, batch, tick)
}

// assess returns what is written for some images, and the metrics: the mean loss of a token over all captions, without label
// smoothing, its exponential, the perplexity, and the scores of what was written.
func (w *writer) assess(ctx context.Context, s *split, decoded []int, o decode.Options, batch int, tick run.Tick) ([]Captioned, train.Numbers, error) {
	total := len(s.Captions) + len(decoded)
	loss, err := w.loss(ctx, s, batch, func(done, _ int) { tick(done, total) })
	if err != nil {
		return nil, nil, err
	}
	written, err := w.writeSplit(ctx, s, decoded, o, func(done, _ int) { tick(len(s.Captions)+done, total) })
	if err != nil {
		return nil, nil, err
	}
	m := scores(written)
	m["loss"], m["perplexity"] = train.Number(loss), train.Number(math.Exp(loss))
	m["images"], m["examples"] = train.Number(len(written)), train.Number(len(s.Captions))
	return written, m, nil
}

// decodedAtOnce images are read before any is captioned: with a detector's features they take 50 MB.
const decodedAtOnce = 64

// writeSplit captions images of a split.
func (w *writer) writeSplit(ctx context.Context, s *split, numbers []int, o decode.Options, tick run.Tick) ([]Captioned, error) {
	return texts.InParts(&w.Writer, o, len(numbers), decodedAtOnce, func(lo, hi int) ([]Captioned, error) {
		part := numbers[lo:hi]
		l, err := load(part, w.dev.Limit(), s.read)
		if err != nil {
			return nil, err
		}
		images := make([]*regions.Image, len(part))
		for i, n := range part {
			images[i] = l.of(n)
		}
		written, err := w.write(ctx, images, s.tags, lo, o, func(done, _ int) { tick(lo+done, len(numbers)) })
		if err != nil {
			return nil, err
		}
		for i, n := range part {
			written[i].Image = s.Images[n]
			for _, c := range s.Of(n) {
				written[i].References = append(written[i].References, w.text(s.Captions[c]))
			}
		}
		return written, nil
	})
}

// text returns a caption as text, also one of which a file has the tokens.
func (w *writer) text(c captions.Caption) string {
	if c.Text == "" {
		return decode.Text(w.Tokenizer, c.Tokens[1:len(c.Tokens)-1])
	}
	return c.Text
}

// Captioned is a caption that a model wrote.
type Captioned struct {
	Image      string // its name
	References []string
	Text       string
	Score      float64 // log-probability, with the length penalty
	Finished   bool    // the model ended the text itself
}

// write captions images, before which so many others were: no two draw the same random numbers.
func (w *writer) write(ctx context.Context, images []*regions.Image, tags Tagger, before int, o decode.Options, tick run.Tick) ([]Captioned, error) {
	sources := make([]decode.Source, len(images))
	for i, im := range images {
		if err := w.source(&sources[i].Input, im, tags); err != nil {
			return nil, err
		}
	}
	o.SampleSeed += uint64(before)
	results, err := w.Decoder.Run(ctx, sources, o, tick)
	if err != nil {
		return nil, err
	}
	written := make([]Captioned, len(images))
	for i, r := range results {
		text := w.Written(r)
		written[i] = Captioned{Image: images[i].ID, Text: text.Text, Score: text.Score, Finished: text.Finished}
	}
	return written, nil
}

// evaluate scores the generator on a split.
func (w *writer) evaluate(ctx context.Context, t *run.Task, f run.File, s *split, o decode.Options, batch int, notes []string, tick run.Tick) (run.Result, error) {
	written, m, err := w.assess(ctx, s, s.every(), o, batch, tick)
	if err != nil {
		return run.Result{}, err
	}
	notes = append(notes, run.CutNotes(s.cut, len(s.Captions), "captions", w.limits.MaxTgtLen)...)
	return run.Result{Split: f.Split, File: f.Path, Metrics: m, Notes: append(notes, s.tags.notes(s.Images)...),
		Detail: &detail{metric: t.Metric, written: written, pictures: captions.ImageDir(filepath.Dir(f.Path))}}, nil
}
