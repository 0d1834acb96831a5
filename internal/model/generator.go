package model

import (
	"context"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Generator is the encoder with the language head: it writes a target text, token by token, behind a source: a
// text, or an image with the names of its objects.
//
//	h      = LN(gelu(affine(x)))          [R,H] (relu, if that is the configuration's), of the R tokens that a next one is wanted for
//	logits = h·Eᵀ + bias                  [R,V], E the word embedding (or h·W, if untied)
type Generator struct {
	Model

	head languageHead
}

// languageHead turns encoded tokens into scores of the next ones.
type languageHead struct {
	relu      bool // instead of GELU
	transform linear
	norm      norm
	w         *autograd.Weight // the word embedding, from its other side, unless the embeddings are untied
	b         *autograd.Var
}

// newLanguageHead declares the head, tied to words unless cfg says otherwise.
// Differs from the reference: the norm's bias starts at zero where no checkpoint has it,
// as every other does, not at one; see docs/reference/numerics.md.
func newLanguageHead(p declare, cfg Config, words *autograd.Var) languageHead {
	h := languageHead{
		relu:      cfg.HiddenAct == actReLU,
		transform: newLinear(p, "mask_lm_trans_fc", cfg.HiddenSize, cfg.HiddenSize),
		norm:      newNorm(p, "mask_lm_trans", cfg),
		w:         autograd.NewWeight(words, engine.NT),
	}
	if cfg.UntiedEmbeddings {
		h.w = autograd.NewWeight(p("mask_lm_out_fc.w_0", TruncatedNormal, cfg.HiddenSize, cfg.VocabSize), engine.NN)
	}
	h.b = p("mask_lm_out_fc.b_0", Zeros, cfg.VocabSize)
	return h
}

// hidden returns what the vocabulary is compared with, R x H.
func (h languageHead) hidden(t *autograd.Tape, x *autograd.Var) *autograd.Var {
	x = h.transform.Apply(t, x)
	if h.relu {
		return h.norm.Apply(t, t.ReLU(x))
	}
	return h.norm.Apply(t, t.GELU(x))
}

// logits returns the scores of all tokens, R x V.
func (h languageHead) logits(t *autograd.Tape, x *autograd.Var) *autograd.Var {
	return t.Block(func() *autograd.Var { return t.Linear(h.hidden(t, x), h.w, h.b) })
}

func (g *Generator) build(p declare) {
	g.encoder = newEncoder(p, g.Config, g.form)
	g.head = newLanguageHead(p, g.Config, g.encoder.words)
}

// Logits returns the scores of the token after each target token, T x V for the T target
// tokens of all sequences in their order. It borrows the input until the tape's pass ends.
func (g *Generator) Logits(t *autograd.Tape, in Input) *autograd.Var {
	return t.Block(func() *autograd.Var { return g.head.logits(t, g.encoder.targetTokens(t, in)) })
}

// Loss returns the mean cross-entropy, with label smoothing, of the token after each
// target token. Labels are these next tokens in the order of [Generator.Logits]; another number of
// them panics. It borrows input and labels until the tape's pass ends.
func (g *Generator) Loss(t *autograd.Tape, in Input, labels []int32, smoothing float32) *autograd.Var {
	o := g.Objective(labels, smoothing)
	return t.Block(func() *autograd.Var { return o.Loss(t, o.Output(t, in)) })
}

// Cache holds the keys and values of every layer that decoding looks at: those of
// the sources' regions and tokens, and a pool for those of the tokens written since. The pool's rows
// are called slots; who decodes decides which token lies where.
type Cache struct {
	dev    engine.Device
	layers []cachedLayer
	first  []bool // true for every row of a write: it overwrites
}

type cachedLayer struct {
	sourceKeys, sourceValues *autograd.Var // rows of the sources x H
	keys, values             *autograd.Var // slots x H
}

// NewCache makes a cache for sources of so many regions and tokens in all, and with so many slots, on a fork of the model's device. Free it
// after use.
func (g *Generator) NewCache(d engine.Device, tokens, slots int) *Cache {
	c := &Cache{dev: d, layers: make([]cachedLayer, g.Config.Layers)}
	table := func(rows int) *autograd.Var { return autograd.Const(d.New(rows, g.Config.HiddenSize)) }
	for i := range c.layers {
		c.layers[i] = cachedLayer{table(tokens), table(tokens), table(slots), table(slots)}
	}
	return c
}

// Free gives the cache's memory back.
func (c *Cache) Free() {
	for _, l := range c.layers {
		for _, v := range []*autograd.Var{l.sourceKeys, l.sourceValues, l.keys, l.values} {
			c.dev.Free(v.Value)
		}
	}
}

// Clear makes the slots hold zeros, so that the first token that is written is no other work than those after it.
func (c *Cache) Clear(d engine.Device) {
	for _, l := range c.layers {
		d.Zero(l.keys.Value)
		d.Zero(l.values.Value)
	}
}

// write sets rows of table.
func (c *Cache) write(d engine.Device, table *autograd.Var, rows []int32, values *autograd.Var) {
	for len(c.first) < len(rows) {
		c.first = append(c.first, true)
	}
	d.ScatterAdd(table.Value, rows, values.Value, c.first[:len(rows)])
}

// Encode reads whole sources and puts their keys and values into the cache, from row on. It
// ends early, with the context's error, when ctx is done. The tape must not record; it is released.
func (g *Generator) Encode(ctx context.Context, t *autograd.Tape, c *Cache, sources Input, row int) error {
	defer t.Release()
	rows := make([]int32, sources.Rows())
	for i := range rows {
		rows[i] = int32(row + i)
	}
	x, attention := g.encoder.embed(t, sources)
	for i, l := range g.encoder.layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		x = t.Block(func() *autograd.Var {
			k, v := l.key.Apply(t, x), l.value.Apply(t, x)
			c.write(t.Device(), c.layers[i].sourceKeys, rows, k)
			c.write(t.Device(), c.layers[i].sourceValues, rows, v)
			if i == len(g.encoder.layers)-1 {
				return x // nothing looks at what comes after
			}
			return l.finish(t, g.Config, x, t.Attention(l.query.Apply(t, x), k, v, attention))
		})
	}
	return nil
}

// Step is one step of decoding: the newest token of each of R hypotheses.
type Step struct {
	Tokens    []int32 // R
	Positions []int32 // R
	Slots     []int32 // R: where their keys and values go

	// What they see: their sources' rows of the cache, and slots, those of Slots included.
	// Heads need not be set.
	Seen engine.CachedAttention
}

// Next returns the scores of the tokens that may come next, R x V. Roles and turns of
// a dialogue's target are 0. It ends early, with the context's error, when ctx is done. The tape must
// not record; who calls releases it.
func (g *Generator) Next(ctx context.Context, t *autograd.Tape, c *Cache, s Step) (*autograd.Var, error) {
	text := Text{Tokens: s.Tokens, Positions: s.Positions}
	if g.encoder.roles != nil {
		text.Roles = make([]int32, len(s.Tokens))
		text.Turns = text.Roles
	}
	s.Seen.Heads = g.Config.Heads
	written := make([]int32, len(s.Tokens)) // all, and so of type 1
	for i := range written {
		written[i] = int32(i)
	}
	x := g.encoder.embedText(t, text, written, nil)
	for i, l := range g.encoder.layers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		cached := c.layers[i]
		x = t.Block(func() *autograd.Var {
			c.write(t.Device(), cached.keys, s.Slots, l.key.Apply(t, x))
			c.write(t.Device(), cached.values, s.Slots, l.value.Apply(t, x))
			context := t.CachedAttention(l.query.Apply(t, x), cached.sourceKeys, cached.sourceValues, cached.keys, cached.values, s.Seen)
			return l.finish(t, g.Config, x, context)
		})
	}
	return g.head.logits(t, x), nil
}
