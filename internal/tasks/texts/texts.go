// Package texts is what kinds of task whose models write texts share: how texts are found, as
// settings and as flags, and the loss of those that are known.
//
//	settings.go  what can be set about training a model that writes
//	decoding.go  flags about how a finished model finds texts
//	config.go    generation_config.json
//	texts.go     a generator at work
package texts

import (
	"context"
	"errors"
	"fmt"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/tokenizer"
)

// Writer is a generator at work. Only DecodeAll is safe for concurrent use.
type Writer struct {
	collective.Sharing
	Model     *model.Generator
	Tokenizer *tokenizer.Tokenizer
	Decoder   *decode.Decoder

	dev  engine.Device
	tape *autograd.Tape
}

// NewWriter returns a writer, most of whose texts are found as usual. The vocabulary must be the model's.
func NewWriter(dev engine.Device, m *model.Generator, tok *tokenizer.Tokenizer, usual decode.Options) Writer {
	w := Writer{Model: m, Tokenizer: tok, Decoder: decode.New(dev, m, tok), dev: dev, tape: autograd.NewInference(dev)}
	w.Decoder.Usual = usual.BeamSize
	return w
}

// Rehearsals are batches for a server to warm up with; see [decode.Decoder.Rehearsals].
func (w *Writer) Rehearsals(sources []decode.Source, o decode.Options, all bool) []decode.Rehearsal {
	return w.Decoder.Rehearsals(sources, o, all)
}

// DecodeAll writes a text for each source, all together. emit, which may be nil, is called with each piece of the text for a source as soon as
// it is settled.
func (w *Writer) DecodeAll(ctx context.Context, sources []decode.Source, o decode.Options, emit func(source int, piece string)) ([]run.Written, error) {
	results, err := w.Decoder.Streams(ctx, sources, o, emit)
	if err != nil {
		return nil, err
	}
	list := make([]run.Written, len(results))
	for i, r := range results {
		list[i] = w.Written(r)
	}
	return list, nil
}

// Written is the best text of a result.
func (w *Writer) Written(r decode.Result) run.Written {
	best := r.Best()
	return run.Written{Text: decode.Text(w.Tokenizer, best.IDs), Score: best.Score, Finished: best.Finished, Tokens: len(best.IDs)}
}

// Examples are those that a loss is over.
type Examples struct {
	N    int
	Pack func(lo, hi int) (in model.Input, labels []int32, err error) // a batch of some of them; valid until the next
	At   func(i int) string                                           // where one is from, for an error
}

// Loss returns the mean loss of a target token, without label smoothing; batch examples are read at a time.
func (w *Writer) Loss(ctx context.Context, x Examples, batch int, tick run.Tick) (float64, error) {
	var sum float64
	tokens := 0
	err := collective.Spread(w.Group(), (x.N+batch-1)/batch, func(i int) (batchLoss, error) {
		lo, hi := i*batch, min((i+1)*batch, x.N)
		return run.EvalBatch(hi-lo, func() (batchLoss, error) { return w.batchLoss(ctx, x, lo, hi) })
	}, func(i int, l batchLoss) {
		sum += float64(l.Mean) * float64(l.Labels)
		tokens += l.Labels
		tick(min((i+1)*batch, x.N), x.N)
	})
	return sum / float64(tokens), err
}

// batchLoss is the loss of a batch.
type batchLoss struct {
	Mean   float32 // of a target token
	Labels int     // target tokens
}

func (w *Writer) batchLoss(ctx context.Context, x Examples, lo, hi int) (batchLoss, error) {
	if err := ctx.Err(); err != nil {
		return batchLoss{}, err
	}
	in, labels, err := x.Pack(lo, hi)
	if err != nil {
		return batchLoss{}, err
	}
	if err := in.Check(w.Model.Config); err != nil {
		return batchLoss{}, fmt.Errorf("%s: %w", x.At(lo), err)
	}
	defer w.tape.Release()
	v := w.Model.Loss(w.tape, in, labels, 0)
	err = w.Model.Params.CheckOutput(w.tape, "losses", v)
	return batchLoss{engine.Values(w.dev, v.Value)[0], len(labels)}, err
}

// InParts writes for n sources as o says, most of them at a time, each part on one of the ranks that share the work: write does so
// for those from lo to hi-1. What is drawn by chance depends on the parts, so every rank writes all of it.
func InParts[T any](w *Writer, o decode.Options, n, most int, write func(lo, hi int) ([]T, error)) ([]T, error) {
	g := w.Group()
	if o.Sample {
		g = collective.Alone{}
	}
	part := max(1, min(most, (n+g.Size()-1)/g.Size()))
	all := make([]T, 0, n)
	err := collective.Spread(g, (n+part-1)/part, func(i int) (list []T, err error) {
		err = engine.Guard(func() (err error) {
			list, err = write(i*part, min((i+1)*part, n))
			return err
		})
		if little := (*engine.MemoryError)(nil); errors.As(err, &little) && little.Setting == decode.MemoryOption {
			little.Setting, little.Size = "decode_memory", little.Size>>20
		}
		return list, err
	}, func(_ int, list []T) {
		all = append(all, list...)
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Evenly returns n of list at even distances, all of a shorter one.
func Evenly[T any](list []T, n int) []T {
	if n >= len(list) {
		return list
	}
	some := make([]T, n)
	for i := range some {
		some[i] = list[i*len(list)/n]
	}
	return some
}
