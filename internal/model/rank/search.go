package rank

import (
	"context"
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
)

// Searcher answers queries from an index. It is not safe for concurrent use.
type Searcher struct {
	scorer *Scorer
	index  *Index
}

// NewSearcher returns a searcher in ix.
func NewSearcher(s *Scorer, ix *Index) (*Searcher, error) {
	if ix.Info.Size != s.model.Config.ContrastSize {
		return nil, fmt.Errorf("the index has vectors of %d values, the model of %d; make the index again", ix.Info.Size, s.model.Config.ContrastSize)
	}
	return &Searcher{s, ix}, nil
}

// Found is an image that was found.
type Found struct {
	ID         string
	Similarity float32 // of the vectors, -1 to 1
	Match      float32 // of the full model, where Ranked
	Ranked     bool    // it was among the candidates that the full model put in order
}

// Text finds k images for a text: the candidates best ones by vectors, in the order of their match
// scores, then others by vectors. Without candidates the vectors alone decide.
func (s *Searcher) Text(ctx context.Context, tokens []int32, k, candidates int) ([]Found, error) {
	texts := Texts{tokens}
	query, err := s.scorer.TextVectors(ctx, texts, func(int, int) {})
	if err != nil {
		return nil, err
	}
	hits, err := s.nearest(query, max(k, candidates))
	if err != nil {
		return nil, err
	}
	found := make([]Found, len(hits))
	pairs := make([]model.Pair, min(candidates, len(hits)))
	place := make(map[int32]int, len(pairs))
	for i, h := range hits {
		found[i] = Found{ID: s.index.IDs[h.Number], Similarity: h.Score}
		if i < len(pairs) {
			pairs[i] = model.Pair{Image: h.Number}
			place[h.Number] = i
		}
	}
	err = s.scorer.Pairs(ctx, Images{s.index.regions, s.index.IDs}, texts, pairs, func(p model.Pair, score float32) {
		f := &found[place[p.Image]]
		f.Match, f.Ranked = score, true
	}, func(int, int) {})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found[:len(pairs)], func(a, b Found) int { return better(Hit{0, a.Match}, Hit{0, b.Match}) })
	return found[:min(k, len(found))], nil
}

// Image finds the k images most like one, by vectors.
func (s *Searcher) Image(ctx context.Context, im *regions.Image, k int) ([]Found, error) {
	query, err := s.scorer.ImageVectors(ctx, Single(im), func(int, int) {})
	if err != nil {
		return nil, err
	}
	hits, err := s.nearest(query, k)
	if err != nil {
		return nil, err
	}
	var found []Found
	for _, h := range hits {
		found = append(found, Found{ID: s.index.IDs[h.Number], Similarity: h.Score})
	}
	return found, nil
}

func (s *Searcher) nearest(query []float32, k int) ([]Hit, error) {
	dev := s.scorer.dev
	products := similarities(dev, query, s.index.vectors, s.index.Info.Size)
	if sum := dev.SumSquares(dev.Wrap(1, len(products), products), nil); sum-sum != 0 { // the query's vector was looked at
		return nil, fmt.Errorf("the index holds vectors that are not numbers, as a broken model or a damaged file gives; remove its folder and make it again")
	}
	return best(dev.Limit(), products, k), nil
}

// Match returns the match scores of pairs, in their order. tick is called after each batch.
func (s *Scorer) Match(ctx context.Context, im Images, texts Texts, pairs []model.Pair, tick func(done, total int)) ([]float32, error) {
	found := make(map[model.Pair]float32, len(pairs))
	err := s.Pairs(ctx, im, texts, pairs, func(p model.Pair, score float32) { found[p] = score }, tick)
	if err != nil {
		return nil, err
	}
	scores := make([]float32, len(pairs))
	for i, p := range pairs {
		scores[i] = found[p]
	}
	return scores, nil
}

// Single returns one image as a source of its own.
func Single(im *regions.Image) Images { return Listed([]*regions.Image{im}) }

// Listed returns images that are in memory as a source. Those that share an id get ids of their own.
func Listed(list []*regions.Image) Images {
	s := listed{list, make([]string, len(list)), make(map[string]int, len(list))}
	for i, im := range list {
		id := im.ID
		if _, twice := s.place[id]; twice {
			id = fmt.Sprintf("%s (number %d)", id, i+1)
		}
		s.ids[i], s.place[id] = id, i
	}
	return Images{s, s.ids}
}

type listed struct {
	images []*regions.Image
	ids    []string
	place  map[string]int
}

func (s listed) Dim() int      { return len(s.images[0].Features) / max(1, s.images[0].Regions()) }
func (s listed) IDs() []string { return s.ids }
func (s listed) Close() error  { return nil }
func (s listed) Image(id string, dst *regions.Image) error {
	*dst = *s.images[s.place[id]]
	return nil
}
