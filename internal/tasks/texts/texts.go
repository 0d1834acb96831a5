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
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/tokenizer"
)

// Writer is a generator at work. It is not safe for concurrent use.
type Writer struct {
	Model     *model.Generator
	Tokenizer *tokenizer.Tokenizer
	Decoder   *decode.Decoder

	dev  engine.Device
	tape *autograd.Tape
}

// NewWriter returns a writer. The vocabulary must be the model's.
func NewWriter(dev engine.Device, m *model.Generator, tok *tokenizer.Tokenizer) Writer {
	return Writer{Model: m, Tokenizer: tok, Decoder: decode.New(dev, m, tok), dev: dev, tape: autograd.NewInference(dev)}
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
	for lo := 0; lo < x.N; lo += batch {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		hi := min(lo+batch, x.N)
		in, labels, err := x.Pack(lo, hi)
		if err != nil {
			return 0, err
		}
		if err := in.Check(w.Model.Config); err != nil {
			return 0, fmt.Errorf("%s: %w", x.At(lo), err)
		}
		v := w.Model.Loss(w.tape, in, labels, 0)
		err = w.Model.Params.CheckOutput(w.dev, "losses", v)
		sum += float64(engine.Values(w.dev, v.Value)[0]) * float64(len(labels))
		tokens += len(labels)
		w.tape.Release()
		if err != nil {
			return 0, err
		}
		tick(hi, x.N)
	}
	return sum / float64(tokens), nil
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
