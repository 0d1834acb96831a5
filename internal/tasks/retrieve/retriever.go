package retrieve

import (
	"context"
	"log/slog"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/calibration"
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
	stores  rank.OpenStore
	encoder images.Captions
	log     *slog.Logger
	digest  string // of weights and configuration; "" until it is needed

	// VectorsOnly says that the model was trained for vectors alone: its match scores are of chance.
	VectorsOnly bool
}

// UntrainedHead is what is said where a model for [Retriever.VectorsOnly] is asked for match scores.
const UntrainedHead = "the match head of this model was not trained: match scores are of chance; go by its vectors (search --candidates 0, evaluate --two-stage 1)"

// Open opens the model in the folder dir (or the best model of a run's
// folder). Its weights are mapped, not read.
func Open(dir string, env run.Env) (*Retriever, error) { return open(dir, env.Ready()) }

func open(dir string, env *run.Env) (*Retriever, error) {
	r := &Retriever{log: env.Log, stores: env.OpenStore}
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

// matched makes of a score what the calibration says of it; nil pairs say nothing.
func matched(p *calibration.Pairs, score float32) run.Matched {
	m := run.Matched{Score: score}
	if p != nil {
		m.Probability, m.Fits, m.Calibrated = p.Probability(float64(score)), p.Fits(float64(score)), true
	}
	return m
}

// Match returns how well an image fits each text. The score is that of the match head, or the similarity of vectors of a model that was
// trained for these alone. tick is called after each batch.
func (r *Retriever) Match(ctx context.Context, im *regions.Image, texts []string, tick run.Tick) ([]run.Matched, error) {
	tokens, pairs := make(rank.Texts, len(texts)), make([]model.Pair, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		tokens[i], _ = r.Encode(text)
		pairs[i].Text = int32(i)
	}
	return r.Pairs(ctx, []*regions.Image{im}, tokens, pairs, tick)
}

// Pairs is [Retriever.Match] for some pairs of some images and texts.
func (r *Retriever) Pairs(ctx context.Context, list []*regions.Image, texts rank.Texts, pairs []model.Pair, tick run.Tick) ([]run.Matched, error) {
	c, err := r.pairs()
	if err != nil {
		return nil, err
	}
	var scores []float32
	of, images := c.Match, rank.Listed(list)
	if r.VectorsOnly {
		of = c.Similarity
		scores, err = r.scorer.Similarities(ctx, rank.Set{Images: images, Texts: texts}, pairs, tick)
	} else {
		scores, err = r.scorer.Match(ctx, images, texts, pairs, tick)
	}
	if err != nil {
		return nil, err
	}
	matches := make([]run.Matched, len(pairs))
	for i, score := range scores {
		matches[i] = matched(of, score)
		matches[i].Similarity = r.VectorsOnly
	}
	return matches, nil
}

// Serve implements [run.Servable].
func (r *Retriever) Serve(*run.Task) (run.Serving, error) {
	s := run.Serving{Model: r.Opened, Pictures: r.Serves()}
	if s.Pictures != nil {
		s.Match = r
	}
	if r.Config.ContrastSize > 0 {
		s.Vectors = r
		s.OpenIndex = func(dir string) (run.Index, error) {
			x, err := r.OpenIndex(context.Background(), dir)
			if err != nil {
				return nil, err
			}
			return x, nil
		}
	}
	return s, nil
}

// pairs returns the calibration of the model's scores; one without any if there is none.
func (r *Retriever) pairs() (*calibration.Calibration, error) {
	c, err := r.Calibration()
	if c == nil {
		c = new(calibration.Calibration)
	}
	return c, err
}

// Encode returns a text as the model reads it, and whether it was cut. Many goroutines may call it.
func (r *Retriever) Encode(text string) (tokens []int32, cut bool) { return r.encoder.Encode(text) }

// TextVectors returns the vectors of texts, each of the model's contrast size and of length 1, behind each other. tick is called after
// each batch.
func (r *Retriever) TextVectors(ctx context.Context, texts rank.Texts, tick run.Tick) ([]float32, error) {
	return r.scorer.TextVectors(ctx, texts, tick)
}

// ImageVectors returns the vectors of images like [Retriever.TextVectors].
func (r *Retriever) ImageVectors(ctx context.Context, list []*regions.Image, tick run.Tick) ([]float32, error) {
	return r.scorer.ImageVectors(ctx, rank.Listed(list), tick)
}
