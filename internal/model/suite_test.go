package model

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/nn"
)

// What the tests share: a tiny model with random parameters, and UNIMO's text
// encoder once more, plainly and in float64, as their oracle.

// tiny is a classifier small enough to differentiate numerically.
func tiny() Config {
	return Config{
		VocabSize: 7, HiddenSize: 6, Layers: 2, Heads: 2, MaxPositions: 6, HiddenAct: "gelu", InitRange: 0.02,
		NumLabels: 3, ProblemType: Classification,
	}
}

// tinyText is three sequences of 4, 1 and 2 tokens.
func tinyText() Text {
	return Text{
		Tokens:    []int32{0, 6, 3, 3, 0, 0, 5},
		Positions: []int32{2, 3, 4, 5, 2, 2, 3},
		Offsets:   []int32{0, 4, 5, 7},
	}
}

// newModel makes a model as New does.
func newModel(tb testing.TB, d engine.Device, cfg Config, seed uint64) *Classifier {
	tb.Helper()
	m, err := New[*Classifier](d, cfg, seed)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// newGenerator makes a generator as New does.
func newGenerator(tb testing.TB, d engine.Device, cfg Config, seed uint64) *Generator {
	tb.Helper()
	g, err := New[*Generator](d, cfg, seed)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// newRetriever makes a retriever as New does.
func newRetriever(tb testing.TB, d engine.Device, cfg Config, seed uint64) *Retriever {
	tb.Helper()
	r, err := New[*Retriever](d, cfg, seed)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// openForm opens a model of the named form, also of those that have no problem type.
func openForm[M Heads](tb testing.TB, d engine.Device, name string, cfg Config, r checkpoint.Reader) M {
	tb.Helper()
	for _, f := range forms {
		if f.name != name {
			continue
		}
		m := f.new().(M)
		c := m.common()
		*c = Model{Config: cfg, dev: d, form: f}
		var failure error
		m.build(nn.Open(d, r, &c.Params, &failure))
		if failure != nil {
			tb.Fatal(failure)
		}
		return m
	}
	tb.Fatalf("there is no form %q", name)
	panic("unreachable")
}

// offsets returns the rows that the sequences begin with, and the end.
func (in Input) offsets() (offsets []int32) {
	for s := range in.Sequences() + 1 {
		offsets = append(offsets, in.offset(s))
	}
	return offsets
}

// only returns one image of a batch.
func (im Images) only(cfg Config, image int32) Images {
	lo, hi := im.Offsets[image], im.Offsets[image+1]
	e := int32(cfg.ImageEmbeddingSize)
	return Images{im.Features[lo*e : hi*e], im.Locations[lo*LocationSize : hi*LocationSize], []int32{0, hi - lo}}
}

// only returns one text of a batch.
func (t Text) only(text int32) Text {
	lo, hi := t.Offsets[text], t.Offsets[text+1]
	return Text{Tokens: t.Tokens[lo:hi], Positions: t.Positions[lo:hi], Offsets: []int32{0, hi - lo}}
}

// read returns a variable's values.
func read(d engine.Device, v *autograd.Var) []float32 {
	values := make([]float32, v.Value.Len())
	d.Read(values, v.Value)
	return values
}

// scatter gives every parameter random values, the biases and norms too, and
// returns them by name.
func scatter(d engine.Device, all Parameters) map[string][]float64 {
	params := map[string][]float64{}
	for _, p := range all {
		h := fnv.New64a()
		h.Write([]byte(p.Name))
		r := rand.New(rand.NewPCG(h.Sum64(), 1))
		values := make([]float32, p.Elements())
		for i := range values {
			values[i] = float32(0.5 * r.NormFloat64())
			if p.Init == Ones {
				values[i]++
			}
			params[p.Name] = append(params[p.Name], float64(values[i]))
		}
		d.Write(p.Value, values)
	}
	return params
}

// reader makes a checkpoint of a model's tensors, edited.
func reader(tb testing.TB, d engine.Device, params Parameters, edit func(checkpoint.Tensor) []checkpoint.Tensor) checkpoint.Reader {
	tb.Helper()
	var tensors []checkpoint.Tensor
	for _, t := range params.Tensors(d) {
		tensors = append(tensors, edit(t)...)
	}
	r, err := checkpoint.FromTensors("memory", tensors)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// dropWatch is a device that keeps the masks of the dropouts it computes.
type dropWatch struct {
	engine.Device
	masks [][]float64
}

func (w *dropWatch) Dropout(y, x *engine.Tensor, d engine.Dropout) {
	w.Device.Dropout(y, x, d)
	w.keep(x.Len(), d)
}

func (w *dropWatch) AddNorm(y, sum, stats, x, a, scale, bias *engine.Tensor, eps float32, d engine.Dropout) {
	w.Device.AddNorm(y, sum, stats, x, a, scale, bias, eps, d)
	if d.Prob > 0 {
		w.keep(x.Len(), d)
	}
}

func (w *dropWatch) Attention(y, stats, q, k, v *engine.Tensor, a engine.Attention) {
	w.Device.Attention(y, stats, q, k, v, a)
	if a.Dropout.Prob > 0 {
		n := 0
		for s := range len(a.Keys) - 1 {
			n += a.Heads * int(a.Queries[s+1]-a.Queries[s]) * int(a.Keys[s+1]-a.Keys[s])
		}
		w.keep(n, a.Dropout)
	}
}

func (w *dropWatch) keep(n int, d engine.Dropout) {
	mask, ones := make([]float64, n), make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	x := w.Wrap(1, n, ones)
	w.Device.Dropout(x, x, d)
	for i, v := range ones {
		mask[i] = float64(v)
	}
	w.masks = append(w.masks, mask)
}

// reference is UNIMO's text classifier and generator in float64, from the description of the
// architecture: rows are slices, parameters are found by name.
type reference struct {
	cfg    Config
	params map[string][]float64
	masks  [][]float64 // of the dropouts in the order of computation
	next   int         // mask
	few    int         // elements of a parameter that gradient differentiates by; 0: all
}

// mask returns the function of the next dropout, which drops by index.
func (r *reference) mask(prob float32) func(i int, x float64) float64 {
	if prob == 0 {
		return func(_ int, x float64) float64 { return x }
	}
	mask := r.masks[r.next]
	r.next++
	return func(i int, x float64) float64 { return x * mask[i] }
}

func (r *reference) dropout(x [][]float64) [][]float64 {
	drop := r.mask(r.cfg.HiddenDropout)
	for i, row := range x {
		for j := range row {
			row[j] = drop(i*len(row)+j, row[j])
		}
	}
	return x
}

func (r *reference) affine(x [][]float64, weight, bias string) [][]float64 {
	w, b := r.params[weight], r.params[bias]
	y := make([][]float64, len(x))
	for i, row := range x {
		y[i] = append(y[i], b...)
		for k, v := range row {
			for j := range b {
				y[i][j] += v * w[k*len(b)+j]
			}
		}
	}
	return y
}

func (r *reference) linear(x [][]float64, name string) [][]float64 {
	return r.affine(x, name+".w_0", name+".b_0")
}

// normOf is the layer norm of the sum of a and b.
func (r *reference) normOf(a, b [][]float64, name string) [][]float64 {
	scale, bias := r.params[name+"_layer_norm_scale"], r.params[name+"_layer_norm_bias"]
	y := make([][]float64, len(a))
	for i := range a {
		n := float64(len(a[i]))
		var mean, variance float64
		for j := range a[i] {
			mean += (a[i][j] + b[i][j]) / n
		}
		for j := range a[i] {
			d := a[i][j] + b[i][j] - mean
			variance += d * d / n
		}
		for j := range a[i] {
			y[i] = append(y[i], (a[i][j]+b[i][j]-mean)/math.Sqrt(variance+float64(r.cfg.NormEpsilon()))*scale[j]+bias[j])
		}
	}
	return y
}

// attention is that of the rows of q, which queries divides into sequences, to those of
// k and v, which keys does; with sources, to the source and to what is not later.
func (r *reference) attention(q, k, v [][]float64, queries, keys, sources []int32) [][]float64 {
	width, drop, element := r.cfg.HiddenSize/r.cfg.Heads, r.mask(r.cfg.AttentionDropout), 0
	y := make([][]float64, len(q))
	for i := range y {
		y[i] = make([]float64, r.cfg.HiddenSize)
	}
	for s := range len(keys) - 1 {
		lo, hi := int(keys[s]), int(keys[s+1])
		for col := 0; col < r.cfg.HiddenSize; col += width {
			for i := int(queries[s]); i < int(queries[s+1]); i++ {
				weights, total := make([]float64, hi-lo), 0.0
				place := hi - lo - int(queries[s+1]) + i // in the sequence
				for j := range weights {
					if sources != nil && j >= int(sources[s]) && j > place {
						continue
					}
					var dot float64
					for l := col; l < col+width; l++ {
						dot += q[i][l] * k[lo+j][l]
					}
					weights[j] = math.Exp(dot / math.Sqrt(float64(width)))
					total += weights[j]
				}
				for j := range weights {
					p := drop(element, weights[j]/total)
					element++
					for l := col; l < col+width; l++ {
						y[i][l] += p * v[lo+j][l]
					}
				}
			}
		}
	}
	return y
}

// rows returns the rows of a table.
func (r *reference) rows(table string, ids []int32) [][]float64 {
	x := make([][]float64, len(ids))
	for i, id := range ids {
		x[i] = r.params[table][int(id)*r.cfg.HiddenSize:][:r.cfg.HiddenSize]
	}
	return x
}

// encode returns the last layer's output for the given rows, which queries divides into
// sequences: that layer has no other queries.
func (r *reference) encode(text Text, rows, queries []int32) [][]float64 {
	return r.layers(r.embed(text), text.Offsets, text.Sources, rows, queries)
}

func (r *reference) embed(text Text) [][]float64 {
	tables := [][][]float64{r.rows("word_embedding", text.Tokens), r.rows("pos_embedding", text.Positions)}
	if text.Roles != nil {
		tables = append(tables, r.rows("role_embedding", text.Roles), r.rows("turn_embedding", text.Turns))
	}
	if r.cfg.SegmentTypes > 1 { // the types of a pair's or a target's tokens
		types := make([][]float64, len(text.Tokens))
		for s := range text.Sequences() {
			first := text.Offsets[s+1]
			switch {
			case s < len(text.Segments):
				first = text.Offsets[s] + text.Segments[s]
			case len(text.Sources) > 0:
				first = text.Offsets[s] + text.Sources[s]
			}
			for i := first; i < text.Offsets[s+1]; i++ {
				types[i] = r.params["type_embedding"][:r.cfg.HiddenSize]
			}
		}
		tables = append(tables, types)
	}
	sum := make([][]float64, len(text.Tokens))
	for i := range sum {
		sum[i] = make([]float64, r.cfg.HiddenSize)
		for _, table := range tables[1:] {
			for j, v := range table[i] {
				sum[i][j] += v
			}
		}
	}
	return r.dropout(r.normOf(tables[0], sum, "pre_encoder"))
}

// layers returns what all layers make of x, whose sequences are divided by offsets.
func (r *reference) layers(x [][]float64, offsets, sources, rows, queries []int32) [][]float64 {
	for i := range r.cfg.Layers {
		name := "encoder_layer_" + string(rune('0'+i))
		q, own := x, offsets
		if i == r.cfg.Layers-1 {
			q, own = pick(x, rows), queries
		}
		a := r.attention(r.linear(q, name+"_multi_head_att_query_fc"), r.linear(x, name+"_multi_head_att_key_fc"),
			r.linear(x, name+"_multi_head_att_value_fc"), own, offsets, sources)
		x = r.normOf(q, r.dropout(r.linear(a, name+"_multi_head_att_output_fc")), name+"_post_att")
		f := r.activate(r.linear(x, name+"_ffn_fc_0"))
		x = r.normOf(x, r.dropout(r.linear(f, name+"_ffn_fc_1")), name+"_post_ffn")
	}
	if r.cfg.Layers == 0 {
		return pick(x, rows)
	}
	return x
}

// activate is the configuration's activation.
func (r *reference) activate(x [][]float64) [][]float64 {
	if r.cfg.HiddenAct != "relu" {
		return gelu(x)
	}
	for _, row := range x {
		for j := range row {
			row[j] = max(row[j], 0)
		}
	}
	return x
}

func gelu(x [][]float64) [][]float64 {
	for _, row := range x {
		for j, v := range row {
			row[j] = v * (1 + math.Erf(v/math.Sqrt2)) / 2
		}
	}
	return x
}

// pick returns some rows of x.
func pick(x [][]float64, rows []int32) (some [][]float64) {
	for _, row := range rows {
		some = append(some, x[row])
	}
	return some
}

func (r *reference) logits(text Text) [][]float64 {
	r.next = 0
	queries := make([]int32, len(text.Offsets))
	for s := range queries {
		queries[s] = int32(s)
	}
	first := r.encode(text, text.Offsets[:text.Sequences()], queries)
	pooled := r.linear(first, "pooled_fc_text")
	for _, row := range pooled {
		for j, v := range row {
			if row[j] = max(v, 0); r.cfg.PoolerAct == "tanh" {
				row[j] = math.Tanh(v)
			}
		}
	}
	name := "cls_out_" + string(rune('0'+r.cfg.NumLabels))
	return r.affine(r.dropout(pooled), name+"_w", name+"_b")
}

func (r *reference) loss(text Text, targets Targets) float64 {
	logits := r.logits(text)
	var loss float64
	for i, row := range logits {
		if r.cfg.ProblemType == Regression {
			d := row[0] - float64(targets.Scores[i])
			loss += d * d
			continue
		}
		var total float64
		for _, v := range row {
			total += math.Exp(v)
		}
		loss += math.Log(total) - row[targets.Classes[i]]
	}
	return loss / float64(len(logits))
}

// nextLogits are a generator's scores of the tokens after the target's.
func (r *reference) nextLogits(text Text) [][]float64 {
	r.next = 0
	rows, queries := []int32{}, []int32{0}
	for s, n := range text.Sources {
		for row := text.Offsets[s] + n; row < text.Offsets[s+1]; row++ {
			rows = append(rows, row)
		}
		queries = append(queries, int32(len(rows)))
	}
	return r.languageHead(r.encode(text, rows, queries))
}

// headOf is what a head makes of encoded rows before it says anything.
func (r *reference) headOf(x [][]float64, name string) [][]float64 {
	h := r.activate(r.linear(x, name+"_fc"))
	none := make([][]float64, len(h))
	for i := range none {
		none[i] = make([]float64, r.cfg.HiddenSize)
	}
	return r.normOf(h, none, name)
}

// languageHead returns the scores of all tokens for encoded rows.
func (r *reference) languageHead(x [][]float64) [][]float64 {
	h := r.headOf(x, "mask_lm_trans")
	if r.cfg.UntiedEmbeddings {
		return r.linear(h, "mask_lm_out_fc")
	}
	logits := make([][]float64, len(h))
	for i, row := range h {
		logits[i] = append(logits[i], r.params["mask_lm_out_fc.b_0"]...)
		for v := range logits[i] {
			for j, x := range row {
				logits[i][v] += x * r.params["word_embedding"][v*len(row)+j]
			}
		}
	}
	return logits
}

// nextLoss is a generator's loss.
func (r *reference) nextLoss(text Text, labels []int32, smoothing float64) (loss float64) {
	logits := r.nextLogits(text)
	for i, row := range logits {
		var total, mean float64
		for _, v := range row {
			total += math.Exp(v)
			mean += v / float64(len(row))
		}
		loss += math.Log(total) - (1-smoothing)*row[labels[i]] - smoothing*mean
	}
	return loss / float64(len(logits))
}

// gradient differentiates a loss by a parameter, by central differences. What it leaves out is NaN.
func (r *reference) gradient(name string, loss func() float64) []float64 {
	const step = 1e-5
	values := r.params[name]
	g := make([]float64, len(values))
	stride := 1
	if r.few > 0 {
		stride = len(values)/r.few + 1
	}
	for i, v := range values {
		if i%stride != 0 {
			g[i] = math.NaN()
			continue
		}
		values[i] = v + step
		above := loss()
		values[i] = v - step
		below := loss()
		values[i] = v
		g[i] = (above - below) / (2 * step)
	}
	return g
}
