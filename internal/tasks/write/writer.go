package write

import (
	"context"
	"fmt"
	"log/slog"
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/texts"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/tokenizer"
)

// writer runs a generator over examples. It is not safe for concurrent use.
type writer struct {
	texts.Writer
	limits  limits
	encoder seq2seq.Encoder
	in      model.Input
	labels  []int32
}

// limits are a model's generation_config.json.
type limits struct {
	MaxSrcLen          int  `json:"max_src_len"`
	MaxTgtLen          int  `json:"max_tgt_len"`
	ContinuousPosition bool `json:"continuous_position"`
	decode.Options
}

func newWriter(dev engine.Device, m *model.Generator, tok *tokenizer.Tokenizer, l limits) *writer {
	return &writer{
		Writer: texts.NewWriter(dev, m, tok, l.Options), limits: l,
		encoder: seq2seq.Encoder{
			Tokenizer: tok, Dialogue: m.Config.ProblemType == model.Dialogue, ContinuousPositions: l.ContinuousPosition,
			MaxSource: l.MaxSrcLen, MaxTarget: l.MaxTgtLen, TurnTypes: m.Config.TurnTypes, MaxPositions: m.Config.MaxPositions,
		},
	}
}

// pack makes the batch of examples that is trained or scored on. It is valid until
// the next call.
func (w *writer) pack(examples []seq2seq.Example) (in model.Input, labels []int32, err error) {
	records, _, err := w.encoder.EncodeAll(examples, nil)
	if err != nil {
		return in, nil, err
	}
	w.in.Reset()
	w.labels = w.labels[:0]
	for _, r := range records {
		text := sequence(r)
		text.Sources = []int32{int32(r.Source)}
		w.in.Text.AppendAll(text)
		w.labels = append(w.labels, r.Labels...)
	}
	return w.in, w.labels, nil
}

// sequence returns a record as the model's batch of one.
func sequence(r seq2seq.Record) model.Text {
	return model.Text{
		Tokens: r.Tokens, Positions: r.Positions, Roles: r.Roles, Turns: r.Turns, Offsets: []int32{0, int32(len(r.Tokens))},
	}
}

// assess returns the texts written for decoded, and the metrics: the mean loss of a
// token over examples (without label smoothing) and its exponential, the
// perplexity; and the task's own over decoded.
func (w *writer) assess(ctx context.Context, k *Kind, examples, decoded []seq2seq.Example, o decode.Options, batch int, tick run.Tick) ([]Generated, train.Numbers, error) {
	total := len(examples) + len(decoded)
	loss, err := w.loss(ctx, examples, batch, func(done, _ int) { tick(done, total) })
	if err != nil {
		return nil, nil, err
	}
	written, _, err := w.write(ctx, decoded, o, func(done, _ int) { tick(len(examples)+done, total) })
	if err != nil {
		return nil, nil, err
	}
	m := k.scores(written)
	m["loss"], m["perplexity"], m["examples"] = train.Number(loss), train.Number(math.Exp(loss)), train.Number(len(written))
	return written, m, nil
}

// loss returns the mean loss of a target token.
func (w *writer) loss(ctx context.Context, examples []seq2seq.Example, batch int, tick run.Tick) (float64, error) {
	return w.Loss(ctx, texts.Examples{
		N:    len(examples),
		Pack: func(lo, hi int) (model.Input, []int32, error) { return w.pack(examples[lo:hi]) },
		At:   func(i int) string { return fmt.Sprintf("%s line %d", examples[i].File, examples[i].Line) },
	}, batch, tick)
}

// write generates a text for each example, and counts the sources that were cut.
func (w *writer) write(ctx context.Context, examples []seq2seq.Example, o decode.Options, tick run.Tick) ([]Generated, seq2seq.Truncated, error) {
	const part = 256
	var sources []decode.Source
	var cut seq2seq.Truncated
	for lo := 0; lo < len(examples); lo += part {
		if err := ctx.Err(); err != nil {
			return nil, cut, err
		}
		records, more, err := w.encoder.EncodeSources(examples[lo:min(lo+part, len(examples))], nil)
		if err != nil {
			return nil, cut, err
		}
		cut.Add(more)
		for _, r := range records {
			sources = append(sources, w.source(r))
		}
	}
	list, err := texts.InParts(&w.Writer, o, len(sources), len(sources), func(lo, hi int) ([]run.Written, error) {
		results, err := w.Decoder.Run(ctx, sources[lo:hi], o, func(done, _ int) { tick(lo+done, len(sources)) })
		if err != nil {
			return nil, err
		}
		part := make([]run.Written, len(results))
		for i, r := range results {
			part[i] = w.Written(r)
		}
		return part, nil
	})
	if err != nil {
		return nil, cut, err
	}
	written := make([]Generated, len(examples))
	for i, text := range list {
		written[i] = w.generated(examples[i], text)
	}
	return written, cut, nil
}

// stream generates the text of one example and calls emit with each piece of it as soon
// as it is settled.
func (w *writer) stream(ctx context.Context, x seq2seq.Example, o decode.Options, emit func(piece string)) (Generated, seq2seq.Cut, error) {
	record, cut, err := w.encoder.EncodeSource(x)
	if err != nil {
		return Generated{}, cut, err
	}
	result, err := w.Decoder.Stream(ctx, w.source(record), o, emit)
	if err != nil {
		return Generated{}, cut, err
	}
	return w.generated(x, w.Written(result)), cut, nil
}

func (w *writer) source(r seq2seq.Record) decode.Source {
	return decode.Source{Input: model.Input{Text: sequence(r)}, TargetPosition: w.encoder.TargetPosition(r.Source)}
}

func (w *writer) generated(x seq2seq.Example, text run.Written) Generated {
	return Generated{Example: x, Text: text.Text, Score: text.Score, Finished: text.Finished, LowerCase: w.Tokenizer.LowerCase()}
}

// lengths returns the tokens of every example, those of its target, and how many examples
// were cut. Examples are encoded a part at a time: their tokens are not kept.
func (w *writer) lengths(examples []seq2seq.Example) (lengths, labels []int, all seq2seq.Truncated, err error) {
	const part = 1024
	for lo := 0; lo < len(examples); lo += part {
		records, cut, err := w.encoder.EncodeAll(examples[lo:min(lo+part, len(examples))], nil)
		if err != nil {
			return nil, nil, all, err
		}
		lengths = append(lengths, seq2seq.Lengths(records)...)
		for _, r := range records {
			labels = append(labels, len(r.Labels))
		}
		all.Add(cut)
	}
	return lengths, labels, all, nil
}

// evaluateFile scores the generator on a file of a task, whose texts are found as o says.
func (w *writer) evaluateFile(ctx context.Context, t *run.Task, f run.File, batch int, o decode.Options, log *slog.Logger, tick run.Tick) (run.Result, error) {
	k := t.Kind.(*Kind)
	examples, err := k.read(f.Path, true, log)
	if err != nil {
		return run.Result{}, err
	}
	_, _, cut, err := w.lengths(examples)
	if err != nil {
		return run.Result{}, err
	}
	written, m, err := w.assess(ctx, k, examples, examples, o, batch, tick)
	if err != nil {
		return run.Result{}, err
	}
	return run.Result{
		Split: f.Split, File: f.Path, Metrics: m, Notes: cutSentences(cut, len(examples), "examples", w.limits, w.Model.Config.TurnTypes),
		Detail: &detail{k, t.Metric, written},
	}, nil
}
