package model

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Text is a batch of packed token sequences; see package engine.
type Text struct {
	Tokens    []int32 // N
	Positions []int32 // N: each sequence counts up from [FirstPosition]
	Roles     []int32 // N, of a dialogue: who speaks
	Turns     []int32 // N, of a dialogue: how many turns ago
	Offsets   []int32 // B+1

	// Sources, if not nil, says how many tokens of each sequence (B) are its source. Every
	// token sees those; of the target, the tokens after them, each sees itself and what is
	// before it. Nil: every token sees all.
	Sources []int32
}

// Sequences returns B.
func (t Text) Sequences() int { return len(t.Offsets) - 1 }

// Check returns an error unless every token, position, role and turn is in cfg's tables and
// every sequence has a token. Text that comes from outside is checked before it
// reaches the engine.
func (t Text) Check(cfg Config) error {
	if len(t.Positions) != len(t.Tokens) {
		return fmt.Errorf("%d tokens have %d positions", len(t.Tokens), len(t.Positions))
	}
	if n := len(t.Offsets); n < 1 || t.Offsets[0] != 0 || int(t.Offsets[n-1]) != len(t.Tokens) {
		return fmt.Errorf("the sequences' offsets do not run from 0 to the %d tokens", len(t.Tokens))
	}
	for i := range t.Sequences() {
		if t.Offsets[i+1] <= t.Offsets[i] {
			return fmt.Errorf("sequence %d has no token", i)
		}
	}
	for i, id := range t.Tokens {
		if id < 0 || int(id) >= cfg.VocabSize {
			return fmt.Errorf("token %d has id %d, but the model's vocabulary has %d entries: the vocabulary does not fit the model", i, id, cfg.VocabSize)
		}
		if pos := t.Positions[i]; pos < 0 || int(pos) >= cfg.MaxPositions {
			return fmt.Errorf("token %d has position %d, but the model has %d; shorten the text (max_seq_len or max_src_len)", i, pos, cfg.MaxPositions)
		}
	}
	if err := t.checkDialogue(cfg); err != nil {
		return err
	}
	if t.Sources == nil {
		return nil
	}
	if len(t.Sources) != t.Sequences() {
		return fmt.Errorf("%d sequences have %d sources", t.Sequences(), len(t.Sources))
	}
	for i, n := range t.Sources {
		if length := t.Offsets[i+1] - t.Offsets[i]; n < 1 || n > length {
			return fmt.Errorf("sequence %d has %d tokens, but %d in its source, want 1 to %d", i, length, n, length)
		}
	}
	return nil
}

func (t Text) checkDialogue(cfg Config) error {
	if !cfg.form().dialogue {
		if len(t.Roles)+len(t.Turns) > 0 {
			return fmt.Errorf("the text has roles or turns, but the model is not one for dialogue")
		}
		return nil
	}
	if len(t.Roles) != len(t.Tokens) || len(t.Turns) != len(t.Tokens) {
		return fmt.Errorf("%d tokens have %d roles and %d turns; a dialogue needs one of each for a token", len(t.Tokens), len(t.Roles), len(t.Turns))
	}
	for i, role := range t.Roles {
		if role < 0 || int(role) >= cfg.roles() {
			return fmt.Errorf("token %d has role %d, but the model has %d (role_type_size)", i, role, cfg.roles())
		}
		if turn := t.Turns[i]; turn < 0 || int(turn) >= cfg.turns() {
			return fmt.Errorf("token %d has turn %d, but the model has %d; leave out the oldest turns (turn_type_size)", i, turn, cfg.turns())
		}
	}
	return nil
}

// targets lists the target tokens, which offsets divides into the sequences.
func (t Text) targets() (rows, offsets []int32) {
	offsets = make([]int32, 1, len(t.Offsets))
	for s, n := range t.Sources {
		for row := t.Offsets[s] + n; row < t.Offsets[s+1]; row++ {
			rows = append(rows, row)
		}
		offsets = append(offsets, int32(len(rows)))
	}
	return rows, offsets
}

// linear is an affine map.
type linear struct {
	w *autograd.Weight
	b *autograd.Var
}

func newLinear(p declare, name string, in, out int) linear {
	return linear{
		w: autograd.NewWeight(p(name+".w_0", TruncatedNormal, in, out), engine.NN),
		b: p(name+".b_0", Zeros, out),
	}
}

func (l linear) apply(t *autograd.Tape, x *autograd.Var) *autograd.Var { return t.Linear(x, l.w, l.b) }

// norm is a layer norm over the hidden values.
type norm struct {
	scale, bias *autograd.Var
	epsilon     float32
}

func newNorm(p declare, name string, cfg Config) norm {
	return norm{
		scale:   p(name+"_layer_norm_scale", Ones, cfg.HiddenSize),
		bias:    p(name+"_layer_norm_bias", Zeros, cfg.HiddenSize),
		epsilon: cfg.normEpsilon(),
	}
}

func (n norm) apply(t *autograd.Tape, x *autograd.Var) *autograd.Var {
	return t.LayerNorm(x, n.scale, n.bias, n.epsilon)
}

// add returns the norm of x + dropout(a).
func (n norm) add(t *autograd.Tape, x, a *autograd.Var, prob float32) *autograd.Var {
	return t.AddNorm(x, a, n.scale, n.bias, n.epsilon, prob)
}

// layer is one Transformer layer, post-norm:
//
//	x = LN(x + Drop(Att(x)))
//	x = LN(x + Drop(FFN(x)))
type layer struct {
	query, key, value, output linear
	attNorm                   norm
	inner, outer              linear
	ffnNorm                   norm
}

func newLayer(p declare, cfg Config, i int) layer {
	name := fmt.Sprintf("encoder_layer_%d_", i)
	h := cfg.HiddenSize
	l := layer{
		query:   newLinear(p, name+"multi_head_att_query_fc", h, h),
		key:     newLinear(p, name+"multi_head_att_key_fc", h, h),
		value:   newLinear(p, name+"multi_head_att_value_fc", h, h),
		output:  newLinear(p, name+"multi_head_att_output_fc", h, h),
		attNorm: newNorm(p, name+"post_att", cfg),
		inner:   newLinear(p, name+"ffn_fc_0", h, cfg.FFNSize()),
		outer:   newLinear(p, name+"ffn_fc_1", cfg.FFNSize(), h),
		ffnNorm: newNorm(p, name+"post_ffn", cfg),
	}
	if l.key.b != nil {
		// The key's bias adds the same to every score of a query, which softmax ignores:
		// its gradient is exactly zero, and rounding noise is kept out of it.
		// Differs from the reference: there the noise moves the bias a little.
		l.key.b = autograd.Const(l.key.b.Value)
	}
	return l
}

// apply returns the layer's output for the rows of q, which look at the rows of x
// as a says. q is x, or some of its rows.
func (l layer) apply(t *autograd.Tape, cfg Config, q, x *autograd.Var, a engine.Attention) *autograd.Var {
	return l.finish(t, cfg, q, t.Attention(l.query.apply(t, q), l.key.apply(t, x), l.value.apply(t, x), a))
}

// finish returns the layer's output for q, whose attention gave context.
func (l layer) finish(t *autograd.Tape, cfg Config, q, context *autograd.Var) *autograd.Var {
	y := l.attNorm.add(t, q, l.output.apply(t, context), cfg.HiddenDropout)
	f := t.FeedForward(y, l.inner.w, l.inner.b, l.outer.w, l.outer.b)
	return l.ffnNorm.add(t, y, f, cfg.HiddenDropout)
}

// encoder is what all heads stand on: embeddings and layers.
type encoder struct {
	cfg             Config
	words, position *autograd.Var
	roles, turns    *autograd.Var // of a dialogue, else nil
	embNorm         norm
	layers          []layer
	image           imageEmbedding // where the form reads images
}

func newEncoder(p declare, cfg Config, f form) encoder {
	e := encoder{
		cfg:      cfg,
		words:    p("word_embedding", TruncatedNormal, cfg.VocabSize, cfg.HiddenSize),
		position: p("pos_embedding", TruncatedNormal, cfg.MaxPositions, cfg.HiddenSize),
	}
	if f.dialogue {
		e.roles = p("role_embedding", TruncatedNormal, cfg.roles(), cfg.HiddenSize)
		e.turns = p("turn_embedding", TruncatedNormal, cfg.turns(), cfg.HiddenSize)
	}
	e.embNorm = newNorm(p, "pre_encoder", cfg)
	for i := range cfg.Layers {
		e.layers = append(e.layers, newLayer(p, cfg, i))
	}
	if f.images {
		e.image = newImageEmbedding(p, cfg)
	}
	return e
}

// apply returns the last layer's output, N x H.
func (e encoder) apply(t *autograd.Tape, text Text) *autograd.Var {
	return e.through(t, e.layers, e.embed(t, text), e.attention(text))
}

// through returns the output of the last of some layers, whose input is x.
func (e encoder) through(t *autograd.Tape, layers []layer, x *autograd.Var, a engine.Attention) *autograd.Var {
	for _, l := range layers {
		x = t.Block(func() *autograd.Var { return l.apply(t, e.cfg, x, x, a) })
	}
	return x
}

// first returns the last layer's output for the first token of each sequence, B x H.
func (e encoder) first(t *autograd.Tape, text Text) *autograd.Var {
	return e.some(t, text, text.Offsets[:text.Sequences()], evenly(text.Sequences(), 1))
}

// targets returns the last layer's output for the target tokens of each sequence.
func (e encoder) targets(t *autograd.Tape, text Text) *autograd.Var {
	rows, offsets := text.targets()
	return e.some(t, text, rows, offsets)
}

// some returns the last layer's output for some rows, which offsets divides into the sequences.
func (e encoder) some(t *autograd.Tape, text Text, rows, offsets []int32) *autograd.Var {
	return e.throughSome(t, e.layers, e.embed(t, text), e.attention(text), rows, offsets)
}

// throughSome is through for some rows of the last layer. It computes nothing else there: of
// the other tokens it needs keys and values.
func (e encoder) throughSome(t *autograd.Tape, layers []layer, x *autograd.Var, a engine.Attention, rows, offsets []int32) *autograd.Var {
	if len(layers) == 0 {
		return t.Rows(x, rows)
	}
	last := len(layers) - 1
	x = e.through(t, layers[:last], x, a)
	a.Queries = offsets
	return t.Block(func() *autograd.Var { return layers[last].apply(t, e.cfg, t.Rows(x, rows), x, a) })
}

func (e encoder) embed(t *autograd.Tape, text Text) *autograd.Var {
	return t.Block(func() *autograd.Var {
		lookups := []autograd.Lookup{{Table: e.words, IDs: text.Tokens}, {Table: e.position, IDs: text.Positions}}
		if e.roles != nil {
			lookups = append(lookups, autograd.Lookup{Table: e.roles, IDs: text.Roles}, autograd.Lookup{Table: e.turns, IDs: text.Turns})
		}
		return t.Dropout(e.embNorm.apply(t, t.Embed(lookups...)), e.cfg.HiddenDropout)
	})
}

// attention is that of every token of a text to all that it sees.
func (e encoder) attention(text Text) engine.Attention {
	return e.attend(text.Offsets, text.Sources)
}

// attend is the attention of every position of a sequence to all that it sees.
func (e encoder) attend(offsets, prefix []int32) engine.Attention {
	return engine.Attention{
		Heads: e.cfg.Heads, Queries: offsets, Keys: offsets, Prefix: prefix,
		Dropout: engine.Dropout{Prob: e.cfg.AttentionDropout},
	}
}

// evenly returns the offsets of n sequences of so many rows each.
func evenly(n, rows int) []int32 {
	offsets := make([]int32, n+1)
	for i := range offsets {
		offsets[i] = int32(i * rows)
	}
	return offsets
}
