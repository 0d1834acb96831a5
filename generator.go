package unimo

import (
	"context"
	"fmt"

	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/write"
)

// Generator is an open model that writes texts: summaries, questions, answers. It is
// safe for concurrent use; calls take turns, as each uses all cores, and a long one lets others in between its batches.
// A call that waits heeds its context.
type Generator struct {
	handle *handle
	g      *write.Generator
}

// OpenGenerator opens the model in the folder dir, or the best model of a run's folder.
// See [Open] about its files and errors. A model that only classifies is [ErrWrongTask].
func OpenGenerator(dir string, options ...Option) (*Generator, error) {
	from, err := environment(dir, options)
	if err != nil {
		return nil, err
	}
	m := new(Generator)
	m.handle, err = from.open(dir, func(env run.Env) (err error) {
		m.g, err = write.Open(dir, env)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Close releases the model like [Model.Close].
func (m *Generator) Close() error { return m.handle.close(func() error { return m.g.Close() }) }

// Request is what a text is to be written for.
type Request struct {
	// Texts are what the model reads: one text to summarise, answer and passage to ask
	// a question about, or the turns of a conversation so far, the newest question last.
	Texts []string
	// Passage is what a conversation is about. A model for conversations needs it, others have none.
	Passage string
}

// Text is what a model wrote.
type Text struct {
	Text     string  `json:"generated"`
	Score    float64 `json:"score"`    // log-probability, divided by the length penalty
	Finished bool    `json:"finished"` // the model ended it; else it is cut at the greatest length
}

// Decoding says how texts are found. Every value means what it says: begin with those of the model,
// [Generator.Decoding] or [Captioner.Decoding], and change some.
type Decoding struct {
	Beam          int     // hypotheses of the beam search, from 1 (greedy)
	LengthPenalty float64 // exponent by which longer texts are preferred, from 0 (not)
	MinLength     int     // least tokens of a text
	MaxLength     int     // most tokens of a text, its end included
	BlockTrigrams bool    // avoid three words in a row that were there before

	Sample      bool    // draw tokens instead of searching for the likeliest text; Beam has no meaning then
	Temperature float64 // of sampling: below 1 likelier tokens, above 1 more varied ones
	TopK        int     // sample from so many likeliest tokens; 0 is all
	TopP        float64 // sample from the likeliest tokens that have this probability together; 1 is all
	Seed        uint64  // of sampling
}

// Decoding returns how the model finds texts: what it was fine-tuned for. It may be called after Close.
func (m *Generator) Decoding() Decoding {
	if m.g == nil {
		return Decoding{}
	}
	return decodingOf(m.g.Decoding)
}

func decodingOf(o decode.Options) Decoding {
	return Decoding{
		Beam: o.BeamSize, LengthPenalty: o.LengthPenalty, MinLength: o.MinLength, MaxLength: o.MaxLength, BlockTrigrams: o.BlockTrigrams,
		Sample: o.Sample, Temperature: o.Temperature, TopK: o.TopK, TopP: o.TopP, Seed: o.SampleSeed,
	}
}

// options are d for a model, whose bound of memory is memory. What is impossible is [ErrSetting].
func (d Decoding) options(memory int64, cfg model.Config) (decode.Options, error) {
	o := decode.Options{
		BeamSize: d.Beam, LengthPenalty: d.LengthPenalty, MinLength: d.MinLength, MaxLength: d.MaxLength, BlockTrigrams: d.BlockTrigrams,
		Sample: d.Sample, Temperature: d.Temperature, TopK: d.TopK, TopP: d.TopP, SampleSeed: d.Seed, MaxMemory: memory,
	}
	if err := o.Validate(cfg); err != nil {
		return o, &settingError{err}
	}
	return o, nil
}

// examples returns what the model reads for requests.
func (m *Generator) examples(requests ...Request) ([]seq2seq.Example, error) {
	examples := make([]seq2seq.Example, len(requests))
	for i, r := range requests {
		if m.handle.ended() {
			return nil, ErrClosed
		}
		if m.g.Dialogue() != (r.Passage != "") {
			return nil, fmt.Errorf("request %d: model %s is for %s; give a Passage to a model for conversations, and to no other", i+1, m.g.Dir, m.g.Config.ProblemType)
		}
		examples[i] = seq2seq.Example{File: "request", Line: i + 1, Sources: r.Texts, Knowledge: r.Passage}
	}
	return examples, nil
}

func text(g write.Generated) Text { return Text{g.Text, g.Score, g.Finished} }

// Generate writes a text for each request, in their order. Requests that are longer
// than what the model reads are cut. Errors are ctx's, [ErrClosed], a
// request without text or with the wrong parts, and that the model's weights are broken.
func (m *Generator) Generate(ctx context.Context, requests ...Request) ([]Text, error) {
	return m.GenerateWith(ctx, m.Decoding(), requests...)
}

// GenerateWith is [Generator.Generate] with another decoding than the model's own. An impossible one is [ErrSetting].
func (m *Generator) GenerateWith(ctx context.Context, d Decoding, requests ...Request) ([]Text, error) {
	examples, err := m.examples(requests...)
	if err != nil {
		return nil, err
	}
	var written []write.Generated
	err = m.handle.use(ctx, func(ctx context.Context, c *call) error {
		o, err := d.options(m.g.Decoding.MaxMemory, m.g.Config)
		if err != nil {
			return err
		}
		written, _, err = m.g.Write(ctx, examples, o, func(int, int) { c.giveWay() })
		return err
	})
	if err != nil {
		return nil, err
	}
	texts := make([]Text, len(written))
	for i, g := range written {
		texts[i] = text(g)
	}
	return texts, nil
}

// Stream is [Generator.Generate] of one request that calls emit with each piece of the
// text, never an empty one, as soon as it is settled. Emit may be nil. While emit runs, other calls have the model: it may be
// slow, and may call the model itself. If the model is closed meanwhile, Stream returns [ErrClosed].
func (m *Generator) Stream(ctx context.Context, r Request, emit func(piece string)) (Text, error) {
	return m.StreamWith(ctx, m.Decoding(), r, emit)
}

// StreamWith is [Generator.Stream] with another decoding than the model's own. An impossible one is [ErrSetting].
func (m *Generator) StreamWith(ctx context.Context, d Decoding, r Request, emit func(piece string)) (Text, error) {
	examples, err := m.examples(r)
	if err != nil {
		return Text{}, err
	}
	var g write.Generated
	err = m.handle.use(ctx, func(ctx context.Context, c *call) error {
		tell := func(piece string) {
			if emit != nil {
				c.outside(func() { emit(piece) })
			}
		}
		o, err := d.options(m.g.Decoding.MaxMemory, m.g.Config)
		if err != nil {
			return err
		}
		g, _, err = m.g.Stream(ctx, examples[0], o, tell)
		return err
	})
	if err != nil {
		return Text{}, err
	}
	return text(g), nil
}
