package rank

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
)

// Searcher answers queries from an index. It is safe for concurrent use.
type Searcher struct {
	scorer   *Scorer
	pictures regions.Source
	store    Store
}

// NewSearcher returns a searcher in ix.
func NewSearcher(s *Scorer, ix *Index) (*Searcher, error) {
	if ix.Info.Size != s.model.Config.ContrastSize {
		return nil, fmt.Errorf("the index has vectors of %d values, the model of %d; make the index again", ix.Info.Size, s.model.Config.ContrastSize)
	}
	if ix.database == nil {
		return s.Over(NewExact(s.dev, ix.rows()), ix.regions), nil
	}
	origins := make(map[string]Origin, len(ix.IDs))
	for i, id := range ix.IDs {
		origins[id] = ix.origins[i]
	}
	return s.Over(current{ix.database, origins}, ix.regions), nil
}

// Close frees what the searcher has on a device. The index is to be closed besides.
func (s *Searcher) Close() error {
	if x, ok := s.store.(*Exact); ok {
		return x.Close()
	}
	return nil
}

// Over returns a searcher among the vectors of a store, with the pictures that these are of.
func (s *Scorer) Over(store Store, pictures regions.Source) *Searcher {
	return &Searcher{s, pictures, store}
}

// Found is an image that was found.
type Found struct {
	ID         string
	Similarity float32 // of the vectors, -1 to 1
	Match      float32 // of the full model, where Ranked
	Ranked     bool    // it was among the candidates that the full model put in order
}

// Query is what is searched for: a text, or an image.
type Query struct {
	Text  []int32        // as the model reads it; nil of an image
	Image *regions.Image // nil of a text
	K     int            // how many images are wanted
	// Candidates are how many of a text's best images by vectors are put in the order of their match scores; the others follow by vectors.
	// Without candidates the vectors alone decide, as they do of an image.
	Candidates int
}

// Text is [Searcher.Search] for one text.
func (s *Searcher) Text(ctx context.Context, tokens []int32, k, candidates int) ([]Found, error) {
	return s.one(ctx, Query{Text: tokens, K: k, Candidates: candidates})
}

// Image is [Searcher.Search] for one image.
func (s *Searcher) Image(ctx context.Context, im *regions.Image, k int) ([]Found, error) {
	return s.one(ctx, Query{Image: im, K: k})
}

func (s *Searcher) one(ctx context.Context, q Query) ([]Found, error) {
	found, err := s.Search(ctx, []Query{q})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// Search finds images for each query, the best first. The queries go through the model together, and so do the candidates of all.
func (s *Searcher) Search(ctx context.Context, queries []Query) ([][]Found, error) {
	vectors, err := s.vectors(ctx, queries)
	if err != nil {
		return nil, err
	}
	found, texts := make([][]Found, len(queries)), make(Texts, len(queries))
	place := map[model.Pair]*Found{} // of the candidates
	var pairs []model.Pair
	candidates, number := Images{Source: s.pictures}, map[string]int32{}
	for i, q := range queries {
		near, err := s.store.Nearest(ctx, vectors[i], max(q.K, q.Candidates))
		if err != nil {
			return nil, err
		}
		texts[i], found[i] = q.Text, make([]Found, len(near))
		for k, n := range near {
			found[i][k] = Found{ID: n.ID, Similarity: cosine(n.Score)}
			if k >= q.Candidates {
				continue
			}
			if _, ok := number[n.ID]; !ok {
				number[n.ID] = int32(len(candidates.IDs))
				candidates.IDs = append(candidates.IDs, n.ID)
			}
			p := model.Pair{Image: number[n.ID], Text: int32(i)}
			pairs, place[p] = append(pairs, p), &found[i][k]
		}
	}
	err = s.scorer.Pairs(ctx, candidates, texts, pairs, func(p model.Pair, score float32) {
		place[p].Match, place[p].Ranked = score, true
	}, func(int, int) {})
	if err != nil {
		return nil, err
	}
	for i, q := range queries {
		slices.SortStableFunc(found[i][:min(q.Candidates, len(found[i]))], func(a, b Found) int { return cmp.Compare(b.Match, a.Match) })
		found[i] = found[i][:min(q.K, len(found[i]))]
	}
	return found, nil
}

// vectors returns that of each query.
func (s *Searcher) vectors(ctx context.Context, queries []Query) ([][]float32, error) {
	var texts Texts
	var images []*regions.Image
	for _, q := range queries {
		if q.Image != nil {
			images = append(images, q.Image)
		} else {
			texts = append(texts, q.Text)
		}
	}
	ofTexts, err := s.scorer.TextVectors(ctx, texts, func(int, int) {})
	if err != nil {
		return nil, err
	}
	ofImages, err := s.scorer.ImageVectors(ctx, Listed(images), func(int, int) {})
	if err != nil {
		return nil, err
	}
	vectors, size := make([][]float32, len(queries)), s.scorer.model.Config.ContrastSize
	for i, q := range queries {
		from := &ofTexts
		if q.Image != nil {
			from = &ofImages
		}
		vectors[i], *from = (*from)[:size], (*from)[size:]
	}
	return vectors, nil
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
