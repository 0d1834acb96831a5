package backend

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/embed"
)

// Embed implements [Model].
func (m *served) Embed(ctx context.Context, items []Item, o EmbedOptions) (e Embeddings, err error) {
	err = m.r.use(m.name, func(v view) error {
		e, err = m.r.embed(ctx, v, items, o)
		return err
	})
	return e, err
}

func pictureItem(it Item) bool { return it.Picture != nil }

// sorted are items with the pictures apart from the texts.
type sorted struct {
	texts         []embed.Text
	pictures      [][]byte
	textOf, picOf []int // numbers of items
}

func (r *Registry) embed(ctx context.Context, v view, items []Item, o EmbedOptions) (e Embeddings, err error) {
	var s sorted
	need, does := CanEmbedText, "make vectors of texts"
	if slices.ContainsFunc(items, pictureItem) {
		need, does = CanEmbedPicture, "make vectors of pictures"
	}
	h, err := v.with(need, does)
	if err != nil {
		return e, err
	}
	if o.Dimensions < 0 || o.Dimensions > h.embedder.Size {
		return e, &Error{Kind: Invalid, Param: "dimensions", Limit: h.embedder.Size, Message: fmt.Sprintf("%d dimensions; model %s has vectors of %d, of which 1 or more can be kept", o.Dimensions, v.id, h.embedder.Size)}
	}
	for i, it := range items {
		if ctx.Err() != nil {
			return e, Ended(ctx)
		}
		if it.Picture != nil {
			s.pictures, s.picOf = append(s.pictures, it.Picture), append(s.picOf, i)
			continue
		}
		text, err := h.read(i, it, o)
		if err != nil {
			return e, err
		}
		s.texts, s.textOf = append(s.texts, text), append(s.textOf, i)
		e.Usage.Tokens += len(text.Tokens)
	}
	e.Vectors, e.Truncated, e.Usage.Pictures = make([][]float32, len(items)), make([]bool, len(items)), len(s.pictures)
	vectors, err := r.vectors(ctx, v, h, s, o.Normalize)
	if err != nil {
		return e, err
	}
	for i, x := range vectors {
		e.Vectors[i], e.Truncated[i] = shortened(x.Values, o.Dimensions), x.Truncated
	}
	return e, nil
}

// read returns item i, which is a text, as the model reads it for its vectors.
func (h *head) read(i int, it Item, o EmbedOptions) (text embed.Text, err error) {
	e := h.embedder
	if it.Tokens == nil {
		text, err = e.Read(it.Text, o.Prompt)
	} else {
		ids, wrong := narrow("input", it.Tokens)
		if wrong != nil {
			return text, wrong
		}
		if text, err = e.ReadTokens(ids, o.Prompt); err != nil && o.Prompt == "" {
			return text, invalid("input", err)
		}
	}
	if err != nil {
		return text, invalid("prompt", err)
	}
	if text.Cut && o.Strict {
		return text, &Error{Kind: TooLarge, Param: "input", Limit: e.MaxTokens, Message: fmt.Sprintf("text %d is longer than the %d tokens that the model reads; shorten it, or let it be cut", i, e.MaxTokens)}
	}
	return text, nil
}

// form is the group of embeddings: vectors that are made in the same way.
type form struct {
	e             *embed.Embedder
	asked, normal bool
}

// vectors returns the vectors of all items, in their order.
func (r *Registry) vectors(ctx context.Context, v view, h *head, s sorted, normal *bool) ([]embed.Vector, error) {
	e, out := h.embedder, make([]embed.Vector, len(s.textOf)+len(s.picOf))
	q := &request{group: form{e, normal != nil, normal != nil && *normal}, rows: make([]int, len(s.texts))}
	for i, t := range s.texts {
		q.rows[i] = len(t.Tokens)
	}
	made, err := through(ctx, v, q, "embed", s.texts, func(ctx context.Context, texts []embed.Text) ([]embed.Vector, error) {
		list, err := e.Vectors(ctx, texts, normal, ignore)
		return list, settingsToInvalid("normalize", err)
	})
	if err != nil {
		return nil, err
	}
	for i, x := range made {
		out[s.textOf[i]] = x
	}
	images, err := r.decode(ctx, v, h, "input", s.pictures)
	if err != nil {
		return nil, err
	}
	q = &request{group: e, rows: rowsOf(images), usage: Usage{Pictures: len(images)}}
	made, err = through(ctx, v, q, "embed", images, func(ctx context.Context, images []*regions.Image) ([]embed.Vector, error) {
		return e.Pictures(ctx, images, ignore)
	})
	for i, x := range made {
		out[s.picOf[i]] = x
	}
	return out, err
}

func rowsOf(images []*regions.Image) []int {
	rows := make([]int, len(images))
	for i, im := range images {
		rows[i] = im.Regions() + 1
	}
	return rows
}

// shortened is the first n values of a vector, at length 1 again; 0 is all of it as it is.
func shortened(v []float32, n int) []float32 {
	if n == 0 || n >= len(v) {
		return v
	}
	v = slices.Clone(v[:n])
	sum := dot(v, v)
	if sum > 0 {
		for i := range v {
			v[i] = float32(float64(v[i]) / math.Sqrt(sum))
		}
	}
	return v
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
