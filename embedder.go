package unimo

import (
	"context"
	"errors"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/run"
)

// Embedder is an open model that makes vectors of texts, and of pictures if it is for retrieval: what means the same lies close together.
// It is safe for concurrent use; calls take turns, as each uses all cores, and a long one lets others in between its batches. A call that
// waits heeds its context.
type Embedder struct {
	handle *handle
	e      *embed.Embedder
	size   int
}

// OpenEmbedder opens the model in the folder dir: one of sentence-transformers, which says how its vectors are made; a BERT or its kin of
// Hugging Face's transformers; or a model of this program, or the best one of a run's folder. [Pooling], [Normalized] and [Prompt] say what
// the folder does not, or something else. A model for retrieval has vectors of its own, of texts and pictures. Without a folder (""),
// [Extractor] names a network, whose vectors of pictures are its pooled output.
func OpenEmbedder(dir string, list ...Option) (*Embedder, error) {
	from, err := embedding(dir, list)
	if err != nil {
		return nil, err
	}
	m := new(Embedder)
	m.handle, err = from.open(dir, func(env run.Env) (err error) {
		m.e, err = embed.Open(dir, from.embed, env)
		return err
	})
	if err != nil {
		return nil, err
	}
	m.size = m.e.Size
	return m, nil
}

// Close releases the model like [Model.Close].
func (m *Embedder) Close() error { return m.handle.close(func() error { return m.e.Close() }) }

// Size is the number of values of a vector. It may be called after Close.
func (m *Embedder) Size() int { return m.size }

// Embed returns the vectors of texts, in their order, each of [Embedder.Size] values. A text that is longer than the model reads is cut.
// Errors are ctx's, [ErrClosed], texts where there is a network that sees pictures alone ([ErrSetting]), and that the model's weights are broken.
func (m *Embedder) Embed(ctx context.Context, texts ...string) ([][]float32, error) {
	return m.vectors(ctx, func(ctx context.Context, c *call) ([]embed.Vector, error) {
		return m.e.Texts(ctx, texts, func(int, int) { c.giveWay() })
	})
}

// EmbedPictures returns the vectors of pictures, the contents of JPEG, PNG, GIF or WebP files, of at most 50 million pixels. A model that
// reads texts alone is [ErrSetting]; other errors are those of [Captioner.Caption].
func (m *Embedder) EmbedPictures(ctx context.Context, pictures ...[]byte) ([][]float32, error) {
	return m.vectors(ctx, func(ctx context.Context, c *call) ([]embed.Vector, error) {
		if !m.e.Reads() {
			return nil, embed.ErrNoPictures
		}
		images := make([]*regions.Image, len(pictures))
		for i, picture := range pictures {
			var err error
			if images[i], err = m.e.Decode(ctx, picture); err != nil {
				return nil, err
			}
		}
		return m.e.Pictures(ctx, images, func(int, int) { c.giveWay() })
	})
}

func (m *Embedder) vectors(ctx context.Context, work func(ctx context.Context, c *call) ([]embed.Vector, error)) ([][]float32, error) {
	var made []embed.Vector
	err := m.handle.use(ctx, func(ctx context.Context, c *call) (err error) {
		made, err = work(ctx, c)
		return err
	})
	if errors.Is(err, embed.ErrNoPictures) || errors.Is(err, embed.ErrNoTexts) {
		return nil, &settingError{err}
	}
	if err != nil {
		return nil, err
	}
	vectors := make([][]float32, len(made))
	for i, v := range made {
		vectors[i] = v.Values
	}
	return vectors, nil
}

// Pooling is for [OpenEmbedder] alone: what is made of the rows of a text's tokens, in place of what the folder says: "cls" (the first
// token), "mean", "max", "pooled" (the first token through the checkpoint's pooler), "mean_sqrt_len_tokens", "weightedmean" or "lasttoken".
// Where the folder says nothing it is "mean". Another name is [ErrSetting].
func Pooling(name string) Option {
	return func(o *options) error {
		if name == "" {
			return &settingError{errors.New("pooling has no name; give one, such as mean")}
		}
		o.embed.Pooling, o.embeds = name, true
		return nil
	}
}

// Normalized is for [OpenEmbedder] alone: vectors of length 1, or as they are, in place of what the folder says.
func Normalized(on bool) Option {
	return func(o *options) error {
		o.embed.Normalize, o.embeds = &on, true
		return nil
	}
}

// Prompt is for [OpenEmbedder] alone: the name of one of the prompts of a sentence-transformers folder, which is put before every text,
// in place of the folder's default. Another name is [ErrSetting].
func Prompt(name string) Option {
	return func(o *options) error {
		o.embed.Prompt, o.embeds = name, true
		return nil
	}
}
