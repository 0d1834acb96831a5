package onnx

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/model"
)

// hidden is what is added to the scores of what is not seen: its share is exactly zero then.
const hidden = 1e9

// sequences are what the layers read: B x N x H, and which of the keys each row sees.
type sequences struct {
	rows string
	seen string // B x 1 x 1 x K, added to the scores
}

// text are the inputs of a text.
type text struct {
	ids, mask string
	positions string // "": they count up from the first token that is seen
	types     string // "": tokens have no types
	more      []lookup
}

// lookup is a table with the ids of its rows.
type lookup struct{ table, ids string }

// embedText returns LN(word + position [+ type] [+ role + turn]), B x L x H.
func (g *graph) embedText(t text) (x string) {
	g.within("embed_text", func() {
		if t.positions == "" {
			t.positions = g.positions(t.mask)
		}
		x = g.sum(g.rows("word_embedding", t.ids), g.rows("pos_embedding", t.positions))
		for _, l := range t.more {
			x = g.sum(x, g.rows(l.table, l.ids))
		}
		if t.types != "" { // those of type 0 stay as they are
			h := g.config.HiddenSize
			none := g.constant(number("type_embedding_0", []int{1, h}, make([]float32, h)...))
			x = g.sum(x, g.op("Gather", axis(0), g.concat(0, none, g.param("type_embedding")), t.types))
		}
		x = g.norm(x, "pre_encoder")
	})
	return x
}

// positions are those of tokens that count up from the first that is seen.
func (g *graph) positions(mask string) string {
	before := g.op("Sub", nil, g.op("CumSum", nil, mask, g.index(1)), g.index(1))
	return g.sum(g.op("Max", nil, before, g.index(0)), g.index(model.FirstPosition))
}

// embedImage returns LN(affine(feature) + affine(location)), B x R x H.
func (g *graph) embedImage(features, locations string) (x string) {
	g.within("embed_image", func() {
		x = g.norm(g.sum(g.linear(features, "image_emb"), g.linear(locations, "image_loc")), "v_pre_encoder")
	})
	return x
}

// visible turns a mask of ones and zeros, B x K, into what is added to scores.
func (g *graph) visible(mask string) (seen string) {
	g.within("attention_mask", func() {
		far := g.op("Mul", nil, g.op("Sub", nil, g.op("Cast", []attribute{{"to", int(float32s)}}, mask), g.float(1)), g.float(hidden))
		seen = g.op("Unsqueeze", nil, far, g.ints(1, 2))
	})
	return seen
}

// cached are keys and values of a layer, B x heads x K x H/heads.
type cached struct{ keys, values string }

// layer returns a layer's output for the rows of q, which look at the rows of x and at those that past has the keys and values
// of; and these with those of x.
func (g *graph) layer(i int, q string, x sequences, past *cached) (y string, present cached) {
	name := fmt.Sprintf("encoder_layer_%d_", i)
	g.within(fmt.Sprintf("encoder_layer_%d", i), func() {
		query := g.op("Mul", nil, g.heads(g.linear(q, name+"multi_head_att_query_fc")), g.float(float32(1/math.Sqrt(float64(g.config.HiddenSize/g.config.Heads)))))
		present.keys = g.heads(g.linear(x.rows, name+"multi_head_att_key_fc"))
		present.values = g.heads(g.linear(x.rows, name+"multi_head_att_value_fc"))
		if past != nil {
			present.keys, present.values = g.concat(2, past.keys, present.keys), g.concat(2, past.values, present.values)
		}
		scores := g.op("MatMul", nil, query, g.transpose(present.keys, 0, 1, 3, 2))
		shares := g.op("Softmax", axis(-1), g.sum(scores, x.seen))
		context := g.transpose(g.op("MatMul", nil, shares, present.values), 0, 2, 1, 3)
		context = g.op("Reshape", nil, context, g.ints(0, 0, g.config.HiddenSize))
		y = g.norm(g.sum(q, g.linear(context, name+"multi_head_att_output_fc")), name+"post_att")
		inner := g.activation(g.linear(y, name+"ffn_fc_0"), g.config.HiddenAct)
		y = g.norm(g.sum(y, g.linear(inner, name+"ffn_fc_1")), name+"post_ffn")
	})
	return y, present
}

// heads cuts the rows of x, B x N x H, into heads: B x heads x N x H/heads.
func (g *graph) heads(x string) string {
	n := g.config.Heads
	return g.transpose(g.op("Reshape", nil, x, g.ints(0, 0, n, g.config.HiddenSize/n)), 0, 2, 1, 3)
}

func (g *graph) transpose(x string, order ...int) string {
	return g.op("Transpose", []attribute{{"perm", order}}, x)
}

// encode returns the last layer's output.
func (g *graph) encode(x sequences) string {
	for i := range g.config.Layers {
		x.rows, _ = g.layer(i, x.rows, x, nil)
	}
	return x.rows
}

// encodeRows is encode for some rows alone, which choose takes of B x N x H: the other rows of the last layer are not computed.
func (g *graph) encodeRows(x sequences, choose func(rows string) string) (y string) {
	n := g.config.Layers
	if n == 0 {
		return choose(x.rows)
	}
	for i := range n - 1 {
		x.rows, _ = g.layer(i, x.rows, x, nil)
	}
	y, _ = g.layer(n-1, choose(x.rows), x, nil)
	return y
}

// first returns the place of the first one in each row of a mask, B x 1; texts may be padded at either end.
func (g *graph) first(mask string) string {
	return g.op("ArgMax", []attribute{{"axis", 1}, {"keepdims", 1}}, g.op("Cast", []attribute{{"to", int(float32s)}}, mask))
}

// rowsAt returns the rows of x at places, B x P: B x P x H.
func (g *graph) rowsAt(x, places string) string {
	return g.op("GatherND", []attribute{{"batch_dims", 1}}, x, g.op("Unsqueeze", nil, places, g.ints(-1)))
}

// normalize divides rows by their lengths.
func (g *graph) normalize(x string) string {
	return g.op("LpNormalization", []attribute{{"axis", -1}, {"p", 2}}, x)
}
