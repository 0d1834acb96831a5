package onnx

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/calibration"
)

// The names of inputs and outputs, those that other programs know where there are some.
const (
	inputIDs      = "input_ids"
	inputMask     = "attention_mask"
	inputPosition = "position_ids"
	inputTypes    = "token_type_ids"
	inputRoles    = "role_ids"
	inputTurns    = "turn_ids"
	inputFeatures = "image_features"
	inputPlaces   = "image_locations"
	inputRegions  = "image_attention_mask"

	outputLogits        = "logits"
	outputProbabilities = "probabilities"
	outputScores        = "scores"
	outputHidden        = "last_hidden_state"
	outputVector        = "sentence_embedding"
	outputImageVector   = "image_embedding"
)

// The names of dimensions that are known when a graph runs.
const (
	dimBatch   = "batch"
	dimLength  = "length"
	dimRegions = "regions"
	dimPast    = "past"
	dimSeen    = "seen"
)

// textInput adds the inputs of texts.
func (g *graph) textInput() text {
	t := text{
		ids:  g.input(inputIDs, int64s, "tokens, [CLS] first and [SEP] last", dimBatch, dimLength),
		mask: g.input(inputMask, int64s, "1 where there is a token, 0 where there is none", dimBatch, dimLength),
	}
	g.typesInput(&t)
	return t
}

func (g *graph) typesInput(t *text) {
	if g.config.SegmentTypes > 1 {
		t.types = g.input(inputTypes, int64s, "0 of a text, 1 of the second of a pair and of a target", dimBatch, dimLength)
	}
}

// imageInput adds the inputs of pictures and returns their embedded regions.
func (g *graph) imageInput() (rows string) {
	features := g.input(inputFeatures, float32s, "features of regions, that of the whole picture first", dimBatch, dimRegions, g.config.ImageEmbeddingSize)
	places := g.input(inputPlaces, float32s, "where they are: x1/W, y1/H, x2/W, y2/H and their share of the picture; the whole is 0 0 1 1 1", dimBatch, dimRegions, model.LocationSize)
	return g.embedImage(features, places)
}

func (g *graph) regionsMask() string {
	return g.input(inputRegions, int64s, "1 where there is a region, 0 where there is none", dimBatch, dimRegions)
}

// texts are sequences of texts alone.
func (g *graph) texts() (x sequences, t text) {
	t = g.textInput()
	return sequences{g.embedText(t), g.visible(t.mask)}, t
}

// pairs are sequences of a picture and a text; choose takes the first region and the first token of each.
func (g *graph) pairs() (x sequences, choose func(rows string) string) {
	regions := g.imageInput()
	seen := g.regionsMask()
	t := g.textInput()
	x = sequences{g.concat(1, regions, g.embedText(t)), g.visible(g.concat(1, seen, t.mask))}
	firsts := g.concat(1, g.first(seen), g.sum(g.first(t.mask), g.size(inputFeatures, 1)))
	return x, func(rows string) string { return g.rowsAt(rows, firsts) }
}

// pooledText is act(affine(x)) of the first token of a text.
func (g *graph) pooledText(x string) string {
	return g.activation(g.linear(x, "pooled_fc_text"), g.config.Pooler())
}

// pooledImage is relu(affine(x)) of the first region.
func (g *graph) pooledImage(x string) string {
	return g.activation(g.linear(x, "pooled_fc_image"), "relu")
}

// classifier gives texts scores of classes, or one score.
func (g *graph) classifier(c *calibration.Calibration) {
	x, t := g.texts()
	first := g.first(t.mask)
	rows := g.encodeRows(x, func(rows string) string { return g.rowsAt(rows, first) })
	name := fmt.Sprintf("cls_out_%d_", g.config.NumLabels)
	g.classes(g.affine(g.pooledText(g.at(rows, 0, 1)), name+"w", name+"b"), c)
}

// pairClassifier gives pictures with texts scores of classes or of answers.
func (g *graph) pairClassifier(c *calibration.Calibration) {
	x, choose := g.pairs()
	rows := g.encodeRows(x, choose)
	y := g.affine(g.sum(g.pooledImage(g.at(rows, 0, 1)), g.pooledText(g.at(rows, 1, 1))), "cls_out_w_0", "cls_out_b_0")
	if g.config.ProblemType == model.Answering {
		y = g.activation(y, "gelu")
	}
	g.classes(g.affine(y, "cls_out_w_1", "cls_out_b_1"), c)
}

// classes makes outputs of a head's logits.
func (g *graph) classes(logits string, c *calibration.Calibration) {
	n := g.config.NumLabels
	g.output(outputLogits, logits, "what the head gives", dimBatch, n)
	switch g.config.ProblemType {
	case model.Regression:
		score := logits
		if scale := g.config.ScoreScale; scale != 0 {
			score = g.sum(g.op("Mul", nil, logits, g.float(float32(scale))), g.float(float32(g.config.ScoreMean)))
		}
		g.output(outputScores, score, "what 'unimo predict' gives", dimBatch, n)
	case model.Answering:
		scaling := calibration.Plain
		if c != nil && c.Answers != nil {
			scaling = *c.Answers
		}
		g.output(outputProbabilities, g.scaled(logits, scaling), "of each answer: several may be right", dimBatch, n)
	default:
		if c != nil && c.Temperature != 0 {
			logits = g.op("Div", nil, logits, g.float(float32(c.Temperature)))
		}
		g.output(outputProbabilities, g.op("Softmax", axis(-1), logits), "of each class: one is right", dimBatch, n)
	}
}

// scaled makes probabilities of scores.
func (g *graph) scaled(score string, s calibration.Scaling) string {
	if s != calibration.Plain {
		score = g.sum(g.op("Mul", nil, score, g.float(float32(s.Scale))), g.float(float32(s.Bias)))
	}
	return g.activation(score, "sigmoid")
}

// match gives pairs of a picture and a text a score.
func (g *graph) match(c *calibration.Calibration) {
	x, choose := g.pairs()
	rows := g.encodeRows(x, choose)
	both := g.op("Mul", nil, g.pooledImage(g.at(rows, 0, 1)), g.pooledText(g.at(rows, 1, 1)))
	score := g.linear(both, "match_fc")
	g.output(outputScores, score, "the larger, the better they fit", dimBatch, 1)
	if c != nil && c.Match != nil {
		g.output(outputProbabilities, g.scaled(score, c.Match.Scaling), "that they fit", dimBatch, 1)
	}
}

// imageVector gives pictures alone a vector, and textVector texts.
func (g *graph) imageVector() {
	rows := g.imageInput()
	mask := g.regionsMask()
	g.contrast(sequences{rows, g.visible(mask)}, mask, "contrast_fc_image", outputImageVector)
}

func (g *graph) textVector() {
	x, t := g.texts()
	g.contrast(x, t.mask, "contrast_fc_text", outputVector)
}

func (g *graph) contrast(x sequences, mask, project, name string) {
	first := g.first(mask)
	rows := g.encodeRows(x, func(rows string) string { return g.rowsAt(rows, first) })
	vector := g.normalize(g.linear(g.at(rows, 0, 1), project))
	g.output(name, vector, "of length 1; products of those of pictures and texts say how well they fit", dimBatch, g.config.ContrastSize)
}

// vectors gives texts the vectors that an embedder makes of them.
func (g *graph) vectors(pooling []string, layers []embed.Layer) {
	x, t := g.texts()
	rows := g.encode(x)
	g.output(outputHidden, rows, "the last layer's output for each token", dimBatch, dimLength, g.config.HiddenSize)
	var vector string
	g.within("pooling", func() {
		var parts []string
		for _, mode := range pooling {
			parts = append(parts, g.pool(rows, t.mask, mode))
		}
		vector = g.concat(-1, parts...)
	})
	size := len(pooling) * g.config.HiddenSize
	for i, l := range layers {
		g.within(fmt.Sprintf("layer_%d", i), func() {
			if l.Normalize {
				vector = g.normalize(vector)
				return
			}
			size = l.Out
			w := g.constant(floats(fmt.Sprintf("vector_layer_%d.w", i), []int{l.In, l.Out}, func() []float32 { return l.W }))
			b := g.constant(floats(fmt.Sprintf("vector_layer_%d.b", i), []int{l.Out}, func() []float32 { return l.B }))
			vector = g.activation(g.sum(g.op("MatMul", nil, vector, w), b), l.Activation)
		})
	}
	g.output(outputVector, vector, "what 'unimo embed' gives", dimBatch, size)
}

// pool makes one vector of the rows that a mask has, B x H.
func (g *graph) pool(rows, mask, mode string) string {
	counted := g.op("Cast", []attribute{{"to", int(float32s)}}, mask)
	switch mode {
	case embed.First, embed.Pooled:
		return g.at(g.rowsAt(rows, g.first(mask)), 0, 1)
	case embed.Last: // of the largest count the first
		return g.at(g.rowsAt(rows, g.first(g.op("CumSum", nil, mask, g.index(1)))), 0, 1)
	case embed.Max:
		far := g.op("Mul", nil, g.op("Sub", nil, counted, g.float(1)), g.float(hidden))
		return g.op("ReduceMax", []attribute{{"axes", []int{1}}, {"keepdims", 0}}, g.sum(rows, g.op("Unsqueeze", nil, far, g.ints(-1))))
	case embed.WeightedMean:
		counted = g.op("Mul", nil, counted, g.op("CumSum", nil, counted, g.index(1)))
	}
	total := g.op("ReduceSum", []attribute{{"keepdims", 1}}, counted, g.ints(1))
	if mode == embed.MeanSqrt {
		total = g.op("Sqrt", nil, total)
	}
	weighted := g.op("Mul", nil, rows, g.op("Unsqueeze", nil, counted, g.ints(-1)))
	return g.op("Div", nil, g.op("ReduceSum", []attribute{{"keepdims", 0}}, weighted, g.ints(1)), total)
}

// generator reads sources and writes targets: all that is given is seen by all that is given, and sees what past has. A source is given
// at once, with an empty past; then the tokens of the target, one at a time.
func (g *graph) generator() {
	var parts []string
	rows := dimLength
	if g.config.ReadsImages() {
		parts = append(parts, g.imageInput())
		rows = dimRegions + " + " + dimLength
	}
	t := text{
		ids:       g.input(inputIDs, int64s, "a source's tokens, or one of each target", dimBatch, dimLength),
		positions: g.input(inputPosition, int64s, fmt.Sprintf("they count up from %d", model.FirstPosition), dimBatch, dimLength),
	}
	g.typesInput(&t)
	if g.config.ProblemType == model.Dialogue {
		t.more = []lookup{
			{"role_embedding", g.input(inputRoles, int64s, "who speaks; 0 of a target", dimBatch, dimLength)},
			{"turn_embedding", g.input(inputTurns, int64s, "how many turns ago; 0 of a target", dimBatch, dimLength)},
		}
	}
	mask := g.input(inputMask, int64s, "1 where there is something, 0 where there is nothing: of the past, then of "+rows, dimBatch, dimSeen)
	parts = append(parts, g.embedText(t))
	x := sequences{g.concat(1, parts...), g.visible(mask)}
	size := g.config.HiddenSize / g.config.Heads
	cache := func(name string, i int, part string) string { return fmt.Sprintf("%s.%d.%s", name, i, part) }
	for i := range g.config.Layers {
		past := cached{
			g.input(cache("past_key_values", i, "key"), float32s, "", dimBatch, g.config.Heads, dimPast, size),
			g.input(cache("past_key_values", i, "value"), float32s, "", dimBatch, g.config.Heads, dimPast, size),
		}
		q := x.rows
		if i == g.config.Layers-1 { // nothing looks at what comes after
			q = g.op("Slice", nil, q, g.ints(-1), g.ints(math.MaxInt32), g.ints(1))
		}
		y, present := g.layer(i, q, x, &past)
		g.output(cache("present", i, "key"), present.keys, "", dimBatch, g.config.Heads, dimSeen, size)
		g.output(cache("present", i, "value"), present.values, "", dimBatch, g.config.Heads, dimSeen, size)
		x.rows = y
	}
	g.output(outputLogits, g.language(g.at(x.rows, -1, 1)), "scores of the token after the last", dimBatch, g.config.VocabSize)
}

// language returns the scores of all tokens of rows, B x H.
func (g *graph) language(x string) (y string) {
	g.within("language_head", func() {
		h := g.norm(g.activation(g.linear(x, "mask_lm_trans_fc"), g.config.HiddenAct), "mask_lm_trans")
		w, tied := "word_embedding", true
		if g.config.UntiedEmbeddings {
			w, tied = "mask_lm_out_fc.w_0", false
		}
		y = g.sum(g.product(h, w, tied), g.param("mask_lm_out_fc.b_0"))
	})
	return y
}
