package unimo

import (
	"context"
	"sync"

	"github.com/unimo-go/unimo/internal/generate"
	"github.com/unimo-go/unimo/internal/seq2seq"
	"github.com/unimo-go/unimo/internal/task"
)

// Generator is an open model that writes texts: summaries, questions, answers. It is
// safe for concurrent use; calls take turns, as each uses all cores.
type Generator struct {
	mu sync.Mutex
	g  *task.Generator
}

// OpenGenerator opens the model in the folder dir, or the best model of a run's folder.
// See [Open] about its files. A model that only classifies is an error.
func OpenGenerator(dir string) (*Generator, error) {
	g, err := task.OpenGenerator(dir)
	if err != nil {
		return nil, err
	}
	return &Generator{g: g}, nil
}

// Close releases the model. It must not be used afterwards.
func (m *Generator) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.g.Close()
}

// Request is what a text is to be written for.
type Request struct {
	// Texts are what the model reads: one text to summarise, answer and passage to ask
	// a question about, or the turns of a conversation so far, the newest question last.
	Texts []string
	// Passage is what a conversation is about.
	Passage string
}

// Text is what a model wrote.
type Text struct {
	Text     string
	Score    float64 // log-probability, divided by the length penalty
	Finished bool    // the model ended it; else it is cut at the greatest length
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
func (d Decoding) options(o generate.Options) generate.Options {
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

func (r Request) example(i int) seq2seq.Example {
	return seq2seq.Example{File: "request", Line: i + 1, Sources: r.Texts, Knowledge: r.Passage}
}

func text(g task.Generated) Text { return Text{g.Text, g.Score, g.Finished} }

// Generate writes a text for each request, in their order. Requests that are longer
// than what the model reads are cut. Errors are ctx's, an impossible [Decoding], and a
// request without text.
func (m *Generator) Generate(ctx context.Context, d Decoding, requests ...Request) ([]Text, error) {
	examples := make([]seq2seq.Example, len(requests))
	for i, r := range requests {
		examples[i] = r.example(i)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	written, _, err := m.g.Write(ctx, examples, d.options(m.g.Decoding), nil)
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
// text as soon as it is settled.
func (m *Generator) Stream(ctx context.Context, d Decoding, r Request, emit func(piece string)) (Text, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, _, err := m.g.Stream(ctx, r.example(0), d.options(m.g.Decoding), emit)
	if err != nil {
		return Text{}, err
	}
	return text(g), nil
}
