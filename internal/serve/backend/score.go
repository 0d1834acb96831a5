package backend

import (
	"context"
	"slices"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
)

// text is a text as a model reads it; pair is a picture with one.
type text struct {
	tokens []int32
	cut    bool
}

type pair struct {
	image *regions.Image
	text  *text
}

// matching scores pairs, in which the same pictures and texts come again.
func matching(m run.Matcher) func(ctx context.Context, items []pair) ([]run.Matched, error) {
	return func(ctx context.Context, items []pair) ([]run.Matched, error) {
		var images []*regions.Image
		var texts rank.Texts
		places, words := map[*regions.Image]int32{}, map[*text]int32{}
		pairs := make([]model.Pair, len(items))
		for i, p := range items {
			if _, ok := places[p.image]; !ok {
				places[p.image], images = int32(len(images)), append(images, p.image)
			}
			if _, ok := words[p.text]; !ok {
				words[p.text], texts = int32(len(texts)), append(texts, p.text.tokens)
			}
			pairs[i] = model.Pair{Image: places[p.image], Text: words[p.text]}
		}
		return m.Pairs(ctx, images, texts, pairs, ignore)
	}
}

// Score implements [Model].
func (m *served) Score(ctx context.Context, query Item, documents []Item) (s Scores, err error) {
	err = m.r.use(m.name, func(v view) error {
		s, err = m.r.score(ctx, v, query, documents)
		return err
	})
	return s, err
}

func (r *Registry) score(ctx context.Context, v view, query Item, documents []Item) (s Scores, err error) {
	need, does := CanScore, "say how well texts fit a text"
	if pictureItem(query) || slices.ContainsFunc(documents, pictureItem) {
		need, does = CanMatch, "say how well pictures and texts fit"
	}
	h, err := v.with(need, does)
	if err != nil {
		return s, err
	}
	across := !slices.ContainsFunc(documents, func(d Item) bool { return (d.Picture != nil) == (query.Picture != nil) })
	switch {
	case h.Classify != nil:
		return r.scorePairs(ctx, v, h, query, documents)
	case h.Match != nil && across:
		return r.match(ctx, v, h, query, documents)
	case h.embedder == nil:
		return s, Errorf(Cannot, "model", "model %s says how well pictures and texts fit, not two pictures", v.id)
	}
	// By the vectors of both.
	all := append([]Item{query}, documents...)
	normal := true
	e, err := r.embed(ctx, view{v.folder, v.id, []*head{h}}, all, EmbedOptions{Normalize: &normal})
	if err != nil {
		return s, err
	}
	s.Usage, s.Similarity, s.List = e.Usage, true, make([]Score, len(documents))
	for i := range documents {
		s.List[i] = Score{Value: Cosine(e.Vectors[0], e.Vectors[i+1]), Truncated: e.Truncated[i+1]}
	}
	return s, nil
}

// match scores pictures with texts by the full model, or by the vectors of one that was trained for these alone.
func (r *Registry) match(ctx context.Context, v view, h *head, query Item, documents []Item) (s Scores, err error) {
	var raw [][]byte
	var texts []*text
	for _, it := range append([]Item{query}, documents...) {
		switch {
		case it.Picture != nil:
			raw = append(raw, it.Picture)
		case it.Tokens != nil:
			return s, Errorf(Cannot, "documents", "model %s scores texts, not tokens; send texts", v.id)
		default:
			tokens, cut := h.Match.Encode(it.Text)
			texts = append(texts, &text{tokens, cut})
			s.Usage.Tokens += len(tokens)
		}
	}
	s.Usage.Pictures = len(raw)
	images, err := r.decode(ctx, v, h, "documents", raw)
	if err != nil {
		return s, err
	}
	pairs, q := make([]pair, len(documents)), &request{group: h, rows: make([]int, len(documents)), usage: s.Usage}
	for i := range pairs { // either the picture or the text is the same in all
		pairs[i] = pair{images[min(i, len(images)-1)], texts[min(i, len(texts)-1)]}
		q.rows[i] = pairs[i].image.Regions() + len(pairs[i].text.tokens)
	}
	made, err := through(ctx, v, q, "score", pairs, matching(h.Match))
	s.List = make([]Score, len(documents))
	for i, x := range made {
		s.Similarity = x.Similarity // of all or of none
		s.List[i] = scoreOf(x)
		s.List[i].Truncated = pairs[i].text.cut
	}
	return s, err
}

func scoreOf(x run.Matched) Score {
	return Score{Value: float64(x.Score), Calibrated: x.Calibrated, Probability: x.Probability, Fits: x.Fits}
}

// scorePairs scores pairs of texts by a regression on them.
func (r *Registry) scorePairs(ctx context.Context, v view, h *head, query Item, documents []Item) (s Scores, err error) {
	var inputs []Input
	for _, d := range documents {
		if d.Tokens != nil || query.Tokens != nil {
			return s, Errorf(Cannot, "documents", "model %s scores texts, not tokens; send texts", v.id)
		}
		inputs = append(inputs, Input{Text: query.Text, Pair: d.Text})
	}
	said, use, err := r.classify(ctx, v, h, inputs)
	s.Usage = use
	for _, p := range said {
		s.List = append(s.List, Score{Value: p.Score, Truncated: p.Truncated})
	}
	return s, err
}
