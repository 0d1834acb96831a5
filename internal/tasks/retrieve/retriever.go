package retrieve

import (
	"context"
	"log/slog"

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
	images.Reader

	scorer  *rank.Scorer
	encoder images.Captions
	log     *slog.Logger
	digest  string // of weights and configuration; "" until it is needed

	// VectorsOnly says that the model was trained for vectors alone: its match scores are of chance.
	VectorsOnly bool
}

// UntrainedHead is what is said of the match scores of a model for [Retriever.VectorsOnly].
const UntrainedHead = "the match head of this model was not trained: match scores are of chance; go by its vectors (search --candidates 0, evaluate --two-stage 1)"

// Open opens the model in the folder dir (or the best model of a run's
// folder). Its weights are mapped, not read.
func Open(dir string, env run.Env) (*Retriever, error) { return open(dir, env.Ready()) }

func open(dir string, env *run.Env) (*Retriever, error) {
	r := &Retriever{log: env.Log}
	var err error
	r.Opened, err = run.Open(dir, env, func(o *run.Opened) (model.Parameters, error) {
		m, err := model.Open[*model.Retriever](o.Device, o.Config, o.Folder.Weights)
		if err != nil {
			return nil, err
		}
		r.scorer = rank.NewScorer(o.Device, m)
		r.VectorsOnly = o.Config.ContrastSize > 0 && !m.Matches(o.Device)
		r.encoder = images.Captions{Tokenizer: o.Folder.Tokenizer, MaxLen: o.Config.TextTokens()}
		r.Reader, err = images.NewReader(o, env)
		return m.Params, err
	}, model.Retrieval)
	if err != nil {
		return nil, err
	}
	return r, nil
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

// TextVectors returns the vectors of texts, each of the model's contrast size and of length 1, behind each other, and says which texts
// were cut. tick is called after each batch.
func (r *Retriever) TextVectors(ctx context.Context, texts []string, tick run.Tick) (vectors []float32, cut []bool, err error) {
	tokens, cut := make(rank.Texts, len(texts)), make([]bool, len(texts))
	for i, text := range texts {
		tokens[i], cut[i] = r.encoder.Encode(text)
	}
	vectors, err = r.scorer.TextVectors(ctx, tokens, tick)
	return vectors, cut, err
}

// ImageVectors returns the vectors of images like [Retriever.TextVectors].
func (r *Retriever) ImageVectors(ctx context.Context, list []*regions.Image, tick run.Tick) ([]float32, error) {
	return r.scorer.ImageVectors(ctx, rank.Listed(list), tick)
}
