package unimo

import (
	"context"
	"fmt"

	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
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
func OpenGenerator(dir string) (*Generator, error) {
	g, err := write.Open(dir, run.Env{})
	if err != nil {
		return nil, err
	}
	return &Generator{newHandle(), g}, nil
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

// Decoding says how texts are found. The zero value of a field leaves what the model
// was fine-tuned for.
type Decoding struct {
	Beam      int // hypotheses of the beam search; 1 is greedy
	MaxLength int // most tokens of a text

	Sample      bool    // draw tokens instead of searching for the likeliest text
	Temperature float64 // of sampling: below 1 likelier tokens, above 1 rarer ones
	TopK        int     // sample among the TopK likeliest tokens
	TopP        float64 // sample among the likeliest tokens that have this probability together
	Seed        uint64  // of sampling
}

// options lays the fields that are set over the model's own.
func (d Decoding) options(o decode.Options) decode.Options {
	set(&o.BeamSize, d.Beam)
	set(&o.MaxLength, d.MaxLength)
	o.MinLength = min(o.MinLength, o.MaxLength)
	set(&o.Sample, d.Sample)
	set(&o.Temperature, d.Temperature)
	set(&o.TopK, d.TopK)
	set(&o.TopP, d.TopP)
	set(&o.SampleSeed, d.Seed)
	return o
}

func set[T comparable](field *T, value T) {
	var zero T
	if value != zero {
		*field = value
	}
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
// than what the model reads are cut. Errors are ctx's, [ErrClosed], an impossible [Decoding], a
// request without text or with the wrong parts, and that the model's weights are broken.
func (m *Generator) Generate(ctx context.Context, d Decoding, requests ...Request) ([]Text, error) {
	examples, err := m.examples(requests...)
	if err != nil {
		return nil, err
	}
	var written []write.Generated
	err = m.handle.use(ctx, func(ctx context.Context, c *call) (err error) {
		written, _, err = m.g.Write(ctx, examples, d.options(m.g.Decoding), func(int, int) { c.giveWay() })
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
func (m *Generator) Stream(ctx context.Context, d Decoding, r Request, emit func(piece string)) (Text, error) {
	examples, err := m.examples(r)
	if err != nil {
		return Text{}, err
	}
	var g write.Generated
	err = m.handle.use(ctx, func(ctx context.Context, c *call) (err error) {
		tell := func(piece string) {
			if emit != nil {
				c.outside(func() { emit(piece) })
			}
		}
		g, _, err = m.g.Stream(ctx, examples[0], d.options(m.g.Decoding), tell)
		return err
	})
	if err != nil {
		return Text{}, err
	}
	return text(g), nil
}
