package model

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/autograd"
	"github.com/unimo-go/unimo/internal/engine"
)

// Text is a batch of packed token sequences; see package engine.
type Text struct {
	Tokens    []int32 // N
	Positions []int32 // N: each sequence counts up from 2
	Offsets   []int32 // B+1
}

// Sequences returns B.
func (t Text) Sequences() int { return len(t.Offsets) - 1 }

// Check returns an error unless every token and position is in cfg's tables and
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
			return fmt.Errorf("token %d has position %d, but the model has %d: shorten the text (max_seq_len)", i, pos, cfg.MaxPositions)
		}
	}
	return nil
}

// linear is an affine map.
type linear struct{ w, b *autograd.Var }

func newLinear(p declare, name string, in, out int) linear {
	return linear{
		w: p(name+".w_0", TruncatedNormal, in, out),
		b: p(name+".b_0", Zeros, out),
	}
}

func (l linear) apply(t *autograd.Tape, x *autograd.Var) *autograd.Var { return t.Linear(x, l.w, l.b) }

// norm is a layer norm.
type norm struct{ scale, bias *autograd.Var }

func newNorm(p declare, name string, size int) norm {
	return norm{
		scale: p(name+"_layer_norm_scale", Ones, size),
		bias:  p(name+"_layer_norm_bias", Zeros, size),
	}
}

func (n norm) apply(t *autograd.Tape, x *autograd.Var) *autograd.Var {
	return t.LayerNorm(x, n.scale, n.bias)
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
	return layer{
		query:   newLinear(p, name+"multi_head_att_query_fc", h, h),
		key:     newLinear(p, name+"multi_head_att_key_fc", h, h),
		value:   newLinear(p, name+"multi_head_att_value_fc", h, h),
		output:  newLinear(p, name+"multi_head_att_output_fc", h, h),
		attNorm: newNorm(p, name+"post_att", h),
		inner:   newLinear(p, name+"ffn_fc_0", h, cfg.FFNSize()),
		outer:   newLinear(p, name+"ffn_fc_1", cfg.FFNSize(), h),
		ffnNorm: newNorm(p, name+"post_ffn", h),
	}
}

func (l layer) apply(t *autograd.Tape, cfg Config, x *autograd.Var, offsets []int32) *autograd.Var {
	attention := engine.Attention{Heads: cfg.Heads, Queries: offsets, Keys: offsets, Dropout: engine.Dropout{Prob: cfg.AttentionDropout}}
	// The key's bias adds the same to every score of a query, which softmax ignores:
	// its gradient is exactly zero, and rounding noise is kept out of it.
	// Differs from the reference: there the noise moves the bias a little.
	key := linear{l.key.w, autograd.Const(l.key.b.Value)}
	a := t.Attention(l.query.apply(t, x), key.apply(t, x), l.value.apply(t, x), attention)
	a = t.Dropout(l.output.apply(t, a), cfg.HiddenDropout)
	x = l.attNorm.apply(t, t.Add(x, a))
	f := l.outer.apply(t, t.GELU(l.inner.apply(t, x)))
	f = t.Dropout(f, cfg.HiddenDropout)
	return l.ffnNorm.apply(t, t.Add(x, f))
}

// encoder is the text encoder: embeddings and layers.
type encoder struct {
	cfg             Config
	words, position *autograd.Var
	embNorm         norm
	layers          []layer
}

func newEncoder(p declare, cfg Config) encoder {
	e := encoder{
		cfg:      cfg,
		words:    p("word_embedding", TruncatedNormal, cfg.VocabSize, cfg.HiddenSize),
		position: p("pos_embedding", TruncatedNormal, cfg.MaxPositions, cfg.HiddenSize),
		embNorm:  newNorm(p, "pre_encoder", cfg.HiddenSize),
	}
	for i := range cfg.Layers {
		e.layers = append(e.layers, newLayer(p, cfg, i))
	}
	return e
}

// apply returns the last layer's output, N x H.
func (e encoder) apply(t *autograd.Tape, text Text) *autograd.Var {
	x := t.Block(func() *autograd.Var {
		x := t.Embed(autograd.Lookup{Table: e.words, IDs: text.Tokens}, autograd.Lookup{Table: e.position, IDs: text.Positions})
		return t.Dropout(e.embNorm.apply(t, x), e.cfg.HiddenDropout)
	})
	for _, l := range e.layers {
		x = t.Block(func() *autograd.Var { return l.apply(t, e.cfg, x, text.Offsets) })
	}
	return x
}
