package retrieve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

// Retriever is a finished model that compares images with texts. It is not safe for
// concurrent use.
type Retriever struct {
	*run.Opened
	Limits picture.Limits // of pictures that are read

	scorer  *rank.Scorer
	encoder images.Captions
	log     *slog.Logger
	digest  string            // of weights and configuration; "" until it is needed
	images  regions.Extractor // nil: the model knows only features from elsewhere
}

// Open opens the model in the folder dir (or the best model of a run's
// folder). Its weights are mapped, not read.
func Open(dir string, env run.Env) (*Retriever, error) { return open(dir, env.Ready()) }

func open(dir string, env *run.Env) (*Retriever, error) {
	r := &Retriever{Limits: picture.DefaultLimits, log: env.Log}
	var err error
	r.Opened, err = run.Open(dir, env, func(o *run.Opened) (model.Parameters, error) {
		m, err := model.Open[*model.Retriever](o.Device, o.Config, o.Folder.Weights)
		if err != nil {
			return nil, err
		}
		r.scorer = rank.NewScorer(o.Device, m)
		r.encoder = images.Captions{Tokenizer: o.Folder.Tokenizer, MaxLen: o.Config.MaxTokens()}
		r.images, err = extractorOf(o)
		return m.Params, err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// extractorOf returns what cuts pictures up for a model, nil if that was made for features from elsewhere.
func extractorOf(o *run.Opened) (regions.Extractor, error) {
	spec, err := regions.ReadSpec(o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	x, err := regions.NewExtractor(spec)
	if err != nil {
		return nil, err
	}
	if x.Dim() != o.Config.ImageEmbeddingSize {
		return nil, fmt.Errorf("%s makes features of %d values, but image_embedding_size is %d: they belong to different models", regions.SpecFile, x.Dim(), o.Config.ImageEmbeddingSize)
	}
	return x, nil
}

// extractor returns what cuts pictures up for the model.
func (r *Retriever) extractor() (regions.Extractor, error) {
	if r.images == nil {
		return nil, fmt.Errorf("model %s has no %s: it was made for region features from elsewhere; name them with --features", r.Dir, regions.SpecFile)
	}
	return r.images, nil
}

// Picture reads a picture as the model sees it.
func (r *Retriever) Picture(path string) (*regions.Image, error) {
	x, err := r.extractor()
	if err != nil {
		return nil, err
	}
	im := &regions.Image{ID: path}
	return im, picture.VisitFile(path, r.Limits, func(p *picture.Picture) { x.Extract(x.Prepare(p), p.Width, p.Height, im) })
}

// Decode is Picture for the content of a file.
func (r *Retriever) Decode(raw []byte) (*regions.Image, error) {
	x, err := r.extractor()
	if err != nil {
		return nil, err
	}
	im := &regions.Image{ID: "picture"}
	return im, picture.Visit(raw, r.Limits, func(p *picture.Picture) { x.Extract(x.Prepare(p), p.Width, p.Height, im) })
}

// Features reads an image's region features from a file or folder.
func (r *Retriever) Features(path, id string) (*regions.Image, error) {
	source, _, err := regions.Open(path, regions.Options{})
	if err != nil {
		return nil, err
	}
	defer source.Close()
	im := &regions.Image{}
	return im, source.Image(id, im)
}

// Match returns how well an image fits each text: the higher, the better. Scores compare texts
// or images with each other; they are no probabilities.
// tick is called after each batch.
func (r *Retriever) Match(ctx context.Context, im *regions.Image, texts []string, tick run.Tick) ([]float32, error) {
	tokens := make(rank.Texts, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		tokens[i], _ = r.encoder.Encode(text)
	}
	return r.scorer.Match(ctx, im, tokens, tick)
}

// Thumbnail returns a picture as the data: URI of one whose longer side has so many pixels at
// most; "" if it cannot be read.
func (r *Retriever) Thumbnail(file string, side int) string { return thumbnail(file, side, r.Limits) }

func thumbnail(file string, side int, l picture.Limits) (uri string) {
	err := picture.VisitFile(file, l, func(p *picture.Picture) { uri, _ = p.DataURI(side) })
	if err != nil {
		return ""
	}
	return uri
}
