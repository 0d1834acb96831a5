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

	poolText, poolImage         linear
	match                       linear
	contrastText, contrastImage linear
}

// build declares the parameters. Differs from the reference: the match head's bias starts from zero,
// as all others do, not from a random number.
func (r *Retriever) build(p declare) {
	cfg, h := r.Config, r.Config.HiddenSize
	r.encoder = newEncoder(p, cfg, r.form)
	r.poolText = newLinear(p, "pooled_fc_text", h, h)
	r.poolImage = newLinear(p, "pooled_fc_image", h, h)
	r.match = linear{w: autograd.NewWeight(p("match_fc.w_0", Xavier, h, 1), engine.NN), b: p("match_fc.b_0", Zeros, 1)}
	if cfg.ContrastSize > 0 {
		r.contrastText = newLinear(p, "contrast_fc_text", h, cfg.ContrastSize)
		r.contrastImage = newLinear(p, "contrast_fc_image", h, cfg.ContrastSize)
	}
}

// Part is what of images, or of texts, does not depend on what they are paired with: their
// embeddings, and the first layer's queries, keys and values. It is computed once and serves all pairs.
// It belongs to the pass of the tape it was made on; see [Part.Keep].
type Part struct {
	offsets                  []int32
	input, query, key, value *autograd.Var // a row for each region or token; of a model without layers the input only
}

// Pair is an image and a text, by their numbers in two parts.
type Pair struct{ Image, Text int32 }

// ImagePart returns the part of images. It borrows their offsets until the tape's pass ends.
func (r *Retriever) ImagePart(t *autograd.Tape, images Images) Part {
	return r.part(t, r.encoder.image.apply(t, r.Config, images), images.Offsets)
}

// TextPart returns the part of texts, which have no sources. It borrows text until the tape's pass ends.
func (r *Retriever) TextPart(t *autograd.Tape, text Text) Part {
	return r.part(t, r.encoder.embed(t, text), text.Offsets)
}

func (r *Retriever) part(t *autograd.Tape, x *autograd.Var, offsets []int32) Part {
	p := Part{offsets: offsets, input: x}
	if len(r.encoder.layers) > 0 {
		l := r.encoder.layers[0]
		p.query, p.key, p.value = l.query.apply(t, x), l.key.apply(t, x), l.value.apply(t, x)
	}
	return p
}

// Sequences returns the number of images or texts.
func (p Part) Sequences() int { return len(p.offsets) - 1 }

// Keep returns a copy, without gradients, that outlives the pass. It takes 16·H bytes for each
// region or token. Free it after use.
func (p Part) Keep(d engine.Device) Part {
	return p.each(func(v *autograd.Var) *autograd.Var {
		kept := d.New(v.Value.Rows, v.Value.Cols)
		d.Copy(kept, v.Value)
		return autograd.Const(kept)
	})
}

// Free gives the memory of a kept part back.
func (p Part) Free(d engine.Device) {
	p.each(func(v *autograd.Var) *autograd.Var {
		d.Free(v.Value)
		return nil
	})
}

// each returns a part whose variables are f of p's.
func (p Part) each(f func(v *autograd.Var) *autograd.Var) Part {
	q := Part{offsets: slices.Clone(p.offsets), input: f(p.input)}
	if p.query != nil {
		q.query, q.key, q.value = f(p.query), f(p.key), f(p.value)
	}
	return q
}

// Scores returns the scores of pairs, P x 1: the larger, the better they fit.
func (r *Retriever) Scores(t *autograd.Tape, images, texts Part, pairs []Pair) *autograd.Var {
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
		x := r.first(t, offsets, firsts, evenly(len(pairs), 2), func() Part { return stack(t, images, texts, rows) })
		image := t.ReLU(r.poolImage.apply(t, t.Rows(x, everySecond(len(pairs), 0))))
		text := t.ReLU(r.poolText.apply(t, t.Rows(x, everySecond(len(pairs), 1))))
		return r.match.apply(t, t.Dropout(t.Multiply(image, text), r.Config.HiddenDropout))
	})
}

// everySecond returns n numbers from first on.
func everySecond(n int, first int32) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = first + 2*int32(i)
	}
	return rows
}

// stack returns the part of sequences that are made of rows of two.
func stack(t *autograd.Tape, a, b Part, rows []int32) Part {
	p := Part{input: t.StackRows(a.input, b.input, rows)}
	if a.query != nil {
		p.query, p.key, p.value = t.StackRows(a.query, b.query, rows), t.StackRows(a.key, b.key, rows), t.StackRows(a.value, b.value, rows)
	}
	return p
}

// first returns the last layer's output for the given rows, which queries divides into the
// sequences. part makes what the first layer goes on from, which it is done with after that.
func (r *Retriever) first(t *autograd.Tape, offsets, rows, queries []int32, part func() Part) *autograd.Var {
	e := r.encoder
	if len(e.layers) == 0 {
		return t.Rows(part().input, rows)
	}
	a := e.attend(offsets, nil)
	x := t.Block(func() *autograd.Var {
		p, a := part(), a
		if len(e.layers) == 1 {
			p.input, p.query, a.Queries = t.Rows(p.input, rows), t.Rows(p.query, rows), queries
		}
		return e.layers[0].finish(t, e.cfg, p.input, t.Attention(p.query, p.key, p.value, a))
	})
	if len(e.layers) == 1 {
		return x
	}
	return e.throughSome(t, e.layers[1:], x, a, rows, queries)
}

// ImageVectors returns the vectors of images alone, B x D, of length 1. A model without them
// (contrast_size 0) panics.
func (r *Retriever) ImageVectors(t *autograd.Tape, images Part) *autograd.Var {
	return r.vectors(t, images, r.contrastImage)
}

// TextVectors returns the vectors of texts alone, B x D; see [Retriever.ImageVectors].
func (r *Retriever) TextVectors(t *autograd.Tape, texts Part) *autograd.Var {
	return r.vectors(t, texts, r.contrastText)
}

func (r *Retriever) vectors(t *autograd.Tape, p Part, project linear) *autograd.Var {
	if r.Config.ContrastSize == 0 {
		panic("model: vectors of a retriever whose contrast_size is 0")
	}
	return t.Block(func() *autograd.Var {
		x := r.first(t, p.offsets, p.offsets[:p.Sequences()], evenly(p.Sequences(), 1), func() Part { return p })
		return t.Normalize(project.apply(t, x))
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
		return t.CircleLoss(scores, autograd.CircleLoss{Group: n, ImageNegatives: imageNegatives, Margin: margin, Scale: scale})
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
		toImage := t.CrossEntropy(t.ProductNT(t.Rows(scaled, texts), imageVectors), images)
		toText := t.CrossEntropy(t.ProductNT(t.Rows(imageVectors, images), scaled), texts)
		return t.Scale(t.Add(toImage, toText), 0.5)
	})
}
