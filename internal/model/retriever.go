package model

import (
	"slices"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Retriever says how well images and texts fit together. The full model reads a pair as one
// sequence, first the image and then the text:
//
//	image = relu(affine(first region)), text = relu(affine(first token))     [P,H]
//	score = affine(dropout(image·text))                                      [P,1]
//
// With a contrast_size D it has, besides, a vector of each image and each text alone, whose
// inner products say the same cheaply and less well:
//
//	vector = affine(first region or token) / its length                      [B,D]
type Retriever struct {
	Model

	pools                       pools
	match                       linear
	contrastText, contrastImage linear
}

// build declares the parameters. Differs from the reference: the match head's bias starts from zero,
// as all others do, not from a random number.
func (r *Retriever) build(p declare) {
	cfg, h := r.Config, r.Config.HiddenSize
	r.encoder = newEncoder(p, cfg, r.form)
	r.pools = newPools(p, cfg)
	r.match = namedLinear(p, "match_fc.w_0", "match_fc.b_0", Xavier, h, 1)
	if cfg.ContrastSize > 0 {
		r.contrastText = newLinear(p, "contrast_fc_text", h, cfg.ContrastSize)
		r.contrastImage = newLinear(p, "contrast_fc_image", h, cfg.ContrastSize)
	}
}

// Matches says whether the match head was ever trained: its bias, which starts from zero, is another then.
func (r *Retriever) Matches(d engine.Device) bool { return engine.Values(d, r.match.B.Value)[0] != 0 }

// Side is one side of pairs, images or texts: what does not depend on what they are paired with, their
// embeddings and the first layer's queries, keys and values. It is computed once and serves all pairs.
// It belongs to the pass of the tape it was made on; see [Side.Keep].
type Side struct {
	offsets                  []int32
	input, query, key, value *autograd.Var // a row for each region or token; of a model without layers, or [Retriever.Embedded], the input only
}

// Pair is an image and a text, by their numbers in two sides.
type Pair struct{ Image, Text int32 }

// Side returns the side of images, or of texts without sources. It borrows the input until the tape's pass ends.
func (r *Retriever) Side(t *autograd.Tape, in Input) Side {
	in.fit(t, 1)
	x, a := r.encoder.embed(t, in)
	s := Side{offsets: a.Keys, input: x}
	if len(r.encoder.layers) > 0 {
		l := r.encoder.layers[0]
		s.query, s.key, s.value = l.query.Apply(t, x), l.key.Apply(t, x), l.value.Apply(t, x)
	}
	return s
}

// Embedded is [Retriever.Side] without what the first layer makes of it, for [Retriever.ScoresWith].
func (r *Retriever) Embedded(t *autograd.Tape, in Input) Side {
	in.fit(t, 1)
	x, a := r.encoder.embed(t, in)
	return Side{offsets: a.Keys, input: x}
}

// Sequences returns the number of images or texts.
func (s Side) Sequences() int { return len(s.offsets) - 1 }

// Rows returns the number of regions or tokens of one of them.
func (s Side) Rows(i int32) int { return int(s.offsets[i+1] - s.offsets[i]) }

// Keep returns a copy, without gradients, that outlives the pass. It takes 16·H bytes for each
// region or token. Free it after use.
func (s Side) Keep(d engine.Device) Side {
	return s.each(func(v *autograd.Var) *autograd.Var {
		kept := d.New(v.Value.Rows, v.Value.Cols)
		d.Copy(kept, v.Value)
		return autograd.Const(kept)
	})
}

// Free gives the memory of a kept side back.
func (s Side) Free(d engine.Device) {
	s.each(func(v *autograd.Var) *autograd.Var {
		d.Free(v.Value)
		return nil
	})
}

// each returns a side whose variables are f of s's.
func (s Side) each(f func(v *autograd.Var) *autograd.Var) Side {
	q := Side{offsets: slices.Clone(s.offsets), input: f(s.input)}
	if s.query != nil {
		q.query, q.key, q.value = f(s.query), f(s.key), f(s.value)
	}
	return q
}

// Scores returns the scores of pairs, P x 1: the larger, the better they fit.
func (r *Retriever) Scores(t *autograd.Tape, images, texts Side, pairs []Pair) *autograd.Var {
	fitPairs(t, images, texts, pairs)
	return r.scores(t, images, texts, pairs)
}

// ScoresWith is [Retriever.Scores] for images that are embedded, and texts that are part of the batch: what it computes has no other size than the
// batch of pairs.
func (r *Retriever) ScoresWith(t *autograd.Tape, images Side, texts Input, pairs []Pair) *autograd.Var {
	s := Side{offsets: texts.Text.Offsets}
	fitPairs(t, images, s, pairs)
	engine.FitParts(t.Device(), true)
	s.input, _ = r.encoder.embed(t, texts)
	engine.FitParts(t.Device(), false)
	return r.scores(t, images, s, pairs)
}

// fitPairs tells the device how large a batch of pairs is; see [engine.Fit].
func fitPairs(t *autograd.Tape, images, texts Side, pairs []Pair) {
	size := engine.Size{Sequences: 2 * len(pairs)}
	for _, p := range pairs {
		n := images.Rows(p.Image) + texts.Rows(p.Text)
		size.Rows, size.Longest = size.Rows+n, max(size.Longest, n)
	}
	engine.Fit(t.Device(), size)
}

func (r *Retriever) scores(t *autograd.Tape, images, texts Side, pairs []Pair) *autograd.Var {
	var rows []int32
	firsts, offsets := make([]int32, 0, 2*len(pairs)), make([]int32, 1, len(pairs)+1)
	for _, p := range pairs {
		firsts = append(firsts, int32(len(rows)))
		rows = appendSequence(rows, images.offsets, int(p.Image), 0)
		firsts = append(firsts, int32(len(rows)))
		rows = appendSequence(rows, texts.offsets, int(p.Text), int32(images.input.Value.Rows))
		offsets = append(offsets, int32(len(rows)))
	}
	return t.Block(func() *autograd.Var {
		x := r.lastLayerRows(t, offsets, firsts, evenly(len(pairs), 2), func() Side { return stack(t, images, texts, rows) })
		image, text := r.pools.apply(t, x)
		return r.match.Apply(t, t.Dropout(t.Multiply(image, text), r.Config.HiddenDropout))
	})
}

// pools make a vector of each side of a pair of an image and a text:
//
//	image = relu(affine(first region)), text = relu(affine(first token))     [P,H]
type pools struct {
	text  pooler
	image linear
}

func newPools(p declare, cfg Config) pools {
	return pools{
		text:  newPooler(p, cfg),
		image: newLinear(p, "pooled_fc_image", cfg.HiddenSize, cfg.HiddenSize),
	}
}

// apply takes the rows of each pair's first region and first token, one pair after the other.
func (l pools) apply(t *autograd.Tape, x *autograd.Var) (image, text *autograd.Var) {
	n := x.Value.Rows / 2
	image = t.ReLU(l.image.Apply(t, t.Rows(x, everySecond(n, 0))))
	text = l.text.apply(t, t.Rows(x, everySecond(n, 1)))
	return image, text
}

// everySecond returns n numbers from first on.
func everySecond(n int, first int32) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = first + 2*int32(i)
	}
	return rows
}

// stack returns the side of sequences that are made of rows of two.
func stack(t *autograd.Tape, a, b Side, rows []int32) Side {
	p := Side{input: t.StackRows(a.input, b.input, rows)}
	if a.query != nil {
		p.query, p.key, p.value = t.StackRows(a.query, b.query, rows), t.StackRows(a.key, b.key, rows), t.StackRows(a.value, b.value, rows)
	}
	return p
}

// lastLayerRows returns the last layer's output for the given rows, which queries divides into the
// sequences. begin makes what the first layer goes on from, which it is done with after that.
func (r *Retriever) lastLayerRows(t *autograd.Tape, offsets, rows, queries []int32, begin func() Side) *autograd.Var {
	e := r.encoder
	if len(e.layers) == 0 {
		return t.Rows(begin().input, rows)
	}
	a := e.attention(offsets, nil)
	if len(e.layers) == 1 {
		return t.Block(func() *autograd.Var {
			p, a := begin(), a
			a.Queries = queries
			x := t.Rows(p.input, rows)
			if p.query == nil {
				return e.layers[0].apply(t, e.cfg, x, p.input, a)
			}
			return e.layers[0].finish(t, e.cfg, x, t.Attention(t.Rows(p.query, rows), p.key, p.value, a))
		})
	}
	x := t.PostNormLayer(func() *autograd.Var {
		p := begin()
		if p.query == nil {
			return e.layers[0].attend(t, e.cfg, p.input, p.input, a)
		}
		return e.layers[0].attended(t, e.cfg, p.input, t.Attention(p.query, p.key, p.value, a))
	}, e.layers[0].feed(e.cfg))
	return e.runLayersRows(t, e.layers[1:], x, a, rows, queries)
}

// ImageVectors returns the vectors of images alone, B x D, of length 1. A model without them
// (contrast_size 0) panics.
func (r *Retriever) ImageVectors(t *autograd.Tape, images Side) *autograd.Var {
	return r.vectors(t, images, r.contrastImage)
}

// TextVectors returns the vectors of texts alone, B x D; see [Retriever.ImageVectors].
func (r *Retriever) TextVectors(t *autograd.Tape, texts Side) *autograd.Var {
	return r.vectors(t, texts, r.contrastText)
}

func (r *Retriever) vectors(t *autograd.Tape, s Side, project linear) *autograd.Var {
	if r.Config.ContrastSize == 0 {
		panic("model: vectors of a retriever whose contrast_size is 0")
	}
	return t.Block(func() *autograd.Var {
		x := r.lastLayerRows(t, s.offsets, s.offsets[:s.Sequences()], evenly(s.Sequences(), 1), func() Side { return s })
		return t.Normalize(project.Apply(t, x))
	})
}

// CircleLoss returns the circle loss of the scores (G·n x 1) of G groups of n pairs: the positive
// one, imageNegatives pairs of its text with other images, and pairs of its image with other texts. With
// sigmoid, of their sigmoids. See [autograd.Tape.CircleLoss] for the formula; the reference's recipe has margin 0.2,
// scale 1 and no sigmoid.
func (r *Retriever) CircleLoss(t *autograd.Tape, scores *autograd.Var, n, imageNegatives int, margin, scale float64, sigmoid bool) *autograd.Var {
	return t.Block(func() *autograd.Var {
		if sigmoid {
			scores = t.Sigmoid(scores)
		}
		return t.CircleLoss(scores, engine.CircleLoss{Group: n, ImageNegatives: imageNegatives, Margin: margin, Scale: scale})
	})
}

// ContrastiveLoss returns the mean of two cross-entropies over inner products divided by
// temperature. Text t belongs to image imageOf[t], or to none if that is -1; the means are over the texts that belong to one.
//
//	text to image   -log softmax over all images (of text t), at imageOf[t]
//	image to text   -log softmax over all texts (of image imageOf[t]), at t
//
// So an image with k texts is asked to share its probability evenly among them (the loss is then log k), and
// counts k times. Without any text that belongs to an image the loss is NaN.
func (r *Retriever) ContrastiveLoss(t *autograd.Tape, imageVectors, textVectors *autograd.Var, imageOf []int32, temperature float64) *autograd.Var {
	var texts, images []int32
	for text, image := range imageOf {
		if image >= 0 {
			texts, images = append(texts, int32(text)), append(images, image)
		}
	}
	return t.Block(func() *autograd.Var {
		scaled := t.Scale(textVectors, float32(1/temperature))
		toImage := t.CrossEntropy(t.ProductNT(t.Rows(scaled, texts), imageVectors), images, 0)
		toText := t.CrossEntropy(t.ProductNT(t.Rows(imageVectors, images), scaled), texts, 0)
		return t.Scale(t.Add(toImage, toText), 0.5)
	})
}
