package model

import (
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

func newLinear(p declare, name string, in, out int) linear {
	return namedLinear(p, name+".w_0", name+".b_0", TruncatedNormal, in, out)
}

// namedLinear is newLinear for weights and a bias with names of their own.
func namedLinear(p declare, w, b string, init Init, in, out int) linear {
	return linear{W: autograd.NewWeight(p(w, init, in, out), engine.NN), B: p(b, Zeros, out)}
}

func newNorm(p declare, name string, cfg Config) norm {
	return norm{
		Scale:   p(name+"_layer_norm_scale", Ones, cfg.HiddenSize),
		Bias:    p(name+"_layer_norm_bias", Zeros, cfg.HiddenSize),
		Epsilon: cfg.NormEpsilon(),
	}
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
	if l.key.B != nil {
		// The key's bias adds the same to every score of a query, which softmax ignores:
		// its gradient is exactly zero, and rounding noise is kept out of it.
		// Differs from the reference: there the noise moves the bias a little.
		l.key.B = autograd.Const(l.key.B.Value)
	}
	return l
}

// apply returns the layer's output for the rows of q, which look at the rows of x
// as a says. q is x, or some of its rows.
func (l layer) apply(t *autograd.Tape, cfg Config, q, x *autograd.Var, a engine.Attention) *autograd.Var {
	return t.Feed(l.attend(t, cfg, q, x, a), l.feed(cfg))
}

// finish returns the layer's output for q, whose attention gave context.
func (l layer) finish(t *autograd.Tape, cfg Config, q, context *autograd.Var) *autograd.Var {
	return t.Feed(l.attended(t, cfg, q, context), l.feed(cfg))
}

// attend returns what the layer's feed-forward part is fed with.
func (l layer) attend(t *autograd.Tape, cfg Config, q, x *autograd.Var, a engine.Attention) *autograd.Var {
	return l.attended(t, cfg, q, t.Attention(l.query.Apply(t, q), l.key.Apply(t, x), l.value.Apply(t, x), a))
}

// attended is attend for q, whose attention gave context.
func (l layer) attended(t *autograd.Tape, cfg Config, q, context *autograd.Var) *autograd.Var {
	return l.attNorm.Add(t, q, l.output.Apply(t, context), cfg.HiddenDropout)
}

// feed is the feed-forward part.
func (l layer) feed(cfg Config) autograd.Feed {
	f := autograd.Feed{
		W1: l.inner.W, B1: l.inner.B, W2: l.outer.W, B2: l.outer.B, Activation: engine.GELU,
		Scale: l.ffnNorm.Scale, Bias: l.ffnNorm.Bias, Epsilon: l.ffnNorm.Epsilon, Dropout: cfg.HiddenDropout,
	}
	if cfg.HiddenAct == actReLU {
		f.Activation = engine.ReLU
	}
	return f
}

// encoder is what all heads stand on: embeddings and layers.
type encoder struct {
	cfg             Config
	words, position *autograd.Var
	types           *autograd.Var // what tokens of the types 1, 2, ... have beside those of type 0; nil: tokens have no types
	roles, turns    *autograd.Var // of a dialogue, else nil
	embNorm         norm
	layers          []layer
	image           imageEmbedding // of a form that reads images
}

func newEncoder(p declare, cfg Config, f form) encoder {
	e := encoder{
		cfg:      cfg,
		words:    p("word_embedding", TruncatedNormal, cfg.VocabSize, cfg.HiddenSize),
		position: p("pos_embedding", TruncatedNormal, cfg.MaxPositions, cfg.HiddenSize),
	}
	if n := cfg.SegmentTypes; n > 1 {
		e.types = p("type_embedding", TruncatedNormal, n-1, cfg.HiddenSize)
	}
	if f.dialogue {
		e.roles = p("role_embedding", TruncatedNormal, cfg.roles(), cfg.HiddenSize)
		e.turns = p("turn_embedding", TruncatedNormal, cfg.turns(), cfg.HiddenSize)
	}
	e.embNorm = newNorm(p, "pre_encoder", cfg)
	for i := range cfg.Layers {
		e.layers = append(e.layers, newLayer(p, cfg, i))
	}
	if f.images != unread {
		e.image = newImageEmbedding(p, cfg)
	}
	return e
}

// lastLayer returns the last layer's output, a row for each region and token; see [Input.offset].
func (e encoder) lastLayer(t *autograd.Tape, in Input) *autograd.Var {
	x, a := e.embed(t, in)
	return e.runLayers(t, e.layers, x, a)
}

// lastLayerRows returns the last layer's output for the given rows only, which offsets divides into the sequences.
// The other rows still contribute keys and values.
func (e encoder) lastLayerRows(t *autograd.Tape, in Input, rows, offsets []int32) *autograd.Var {
	x, a := e.embed(t, in)
	return e.runLayersRows(t, e.layers, x, a, rows, offsets)
}

// firstTokens returns the last layer's output for the first row of each sequence, B x H.
func (e encoder) firstTokens(t *autograd.Tape, in Input) *autograd.Var {
	rows, offsets := in.firsts()
	return e.lastLayerRows(t, in, rows, offsets)
}

// targetTokens returns the last layer's output for the target tokens of each sequence.
func (e encoder) targetTokens(t *autograd.Tape, in Input) *autograd.Var {
	rows, offsets := in.targets()
	return e.lastLayerRows(t, in, rows, offsets)
}

// runLayers returns the output of the last of some layers, whose input is x.
func (e encoder) runLayers(t *autograd.Tape, layers []layer, x *autograd.Var, a engine.Attention) *autograd.Var {
	if len(layers) == 0 {
		return x
	}
	last := len(layers) - 1
	x = e.runInner(t, layers[:last], x, a)
	return t.Block(func() *autograd.Var { return layers[last].apply(t, e.cfg, x, x, a) })
}

// runInner is runLayers for layers that others follow. Of the last one everything is kept for the way back, which begins there.
func (e encoder) runInner(t *autograd.Tape, layers []layer, x *autograd.Var, a engine.Attention) *autograd.Var {
	for _, l := range layers {
		input := x
		x = t.PostNormLayer(func() *autograd.Var { return l.attend(t, e.cfg, input, input, a) }, l.feed(e.cfg))
	}
	return x
}

// runLayersRows is runLayers for some rows of the last layer's output.
func (e encoder) runLayersRows(t *autograd.Tape, layers []layer, x *autograd.Var, a engine.Attention, rows, offsets []int32) *autograd.Var {
	if len(layers) == 0 {
		return t.Rows(x, rows)
	}
	last := len(layers) - 1
	x = e.runInner(t, layers[:last], x, a)
	a.Queries = offsets
	return t.Block(func() *autograd.Var { return layers[last].apply(t, e.cfg, t.Rows(x, rows), x, a) })
}

// embed returns the first layer's input and attention.
func (e encoder) embed(t *autograd.Tape, in Input) (*autograd.Var, engine.Attention) {
	words, x := e.parts(t, in)
	if x == nil {
		return e.drop(t, words), e.attention(in.Text.Offsets, in.Text.Sources)
	}
	x = e.drop(t, x)
	if words == nil {
		return x, e.attention(in.Images.Offsets, nil)
	}
	regions, objects := int32(x.Value.Rows), int32(len(in.Objects.Tokens))
	var rows, sources []int32
	offsets := []int32{0}
	for s := range in.Sequences() {
		rows = appendSequence(rows, in.Images.Offsets, s, 0)
		rows = appendSequence(rows, in.Objects.Offsets, s, regions)
		if len(in.Text.Sources) > 0 {
			sources = append(sources, int32(len(rows))-offsets[s]+in.Text.Sources[s])
		}
		rows = appendSequence(rows, in.Text.Offsets, s, regions+objects)
		offsets = append(offsets, int32(len(rows)))
	}
	return t.StackRows(x, e.drop(t, words), rows), e.attention(offsets, sources)
}

// appendSequence appends the rows of sequence s of a part whose rows begin at base.
func appendSequence(rows, offsets []int32, s int, base int32) []int32 {
	for row := at(offsets, s); row < at(offsets, s+1); row++ {
		rows = append(rows, base+row)
	}
	return rows
}

// drop drops of what is embedded.
func (e encoder) drop(t *autograd.Tape, x *autograd.Var) *autograd.Var {
	return t.Dropout(x, e.cfg.HiddenDropout)
}

// parts returns the embedded tokens, those of objects first, and the embedded regions; nil if no sequence has any.
func (e encoder) parts(t *autograd.Tape, in Input) (words, regions *autograd.Var) {
	words, regions = in.Embedding.Words, in.Embedding.Regions
	if in.Images.Sequences() > 0 {
		engine.FitParts(t.Device(), true)
		defer engine.FitParts(t.Device(), false)
	}
	if regions == nil && in.Images.Sequences() > 0 {
		regions = e.image.apply(t, e.cfg, in.Images, in.Embedding)
	}
	text, second := in.Text, in.Text.second()
	if regions != nil {
		text = Text{Tokens: slices.Concat(in.Objects.Tokens, text.Tokens), Positions: slices.Concat(in.Objects.Positions, text.Positions)}
		for i := range second {
			second[i] += int32(len(in.Objects.Tokens))
		}
	}
	if words == nil && (regions == nil || len(text.Tokens) > 0) {
		words = e.embedText(t, text, second, in.Embedding.TokenShift)
	}
	return words, regions
}

// embedText embeds tokens; those in second, in ascending order, are of type 1; shift may be nil:
//
//	x = LN(word + position [+ type] [+ role + turn] [+ shift])
func (e encoder) embedText(t *autograd.Tape, text Text, second []int32, shift *autograd.Var) *autograd.Var {
	return t.Block(func() *autograd.Var {
		lookups := []autograd.Lookup{{Table: e.words, IDs: text.Tokens}, {Table: e.position, IDs: text.Positions}}
		if e.roles != nil {
			lookups = append(lookups, autograd.Lookup{Table: e.roles, IDs: text.Roles}, autograd.Lookup{Table: e.turns, IDs: text.Turns})
		}
		if e.types != nil && len(second) > 0 {
			lookups = append(lookups, e.typesOf(t, len(text.Tokens), second))
		}
		x := t.Embed(lookups...)
		if shift != nil {
			x = t.Add(x, shift)
		}
		return e.embNorm.Apply(t, x)
	})
}

// typesOf looks up what n tokens get of the types: those in second type 1, the others nothing. How many those are is no shape, so that batches
// of one size are alike.
func (e encoder) typesOf(t *autograd.Tape, n int, second []int32) autograd.Lookup {
	h := e.cfg.HiddenSize
	ids := make([]int32, n)
	for _, i := range second {
		ids[i] = 1
	}
	return autograd.Lookup{Table: t.StackRows(t.Input(1, h, make([]float32, h)), e.types, []int32{0, 1}), IDs: ids}
}

// attention is that of every row of a sequence to all that it sees; sources, unless there are none, says how many
// rows of each sequence are its source.
func (e encoder) attention(offsets, sources []int32) engine.Attention {
	if len(sources) == 0 {
		sources = nil
	}
	return engine.Attention{
		Heads: e.cfg.Heads, Queries: offsets, Keys: offsets, Prefix: sources,
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
