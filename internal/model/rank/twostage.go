package rank

import (
	"context"
	"maps"
	"slices"

	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/metrics"
)

// Vectors are those of a set's images and texts.
type Vectors struct{ Images, Texts []float32 }

// Vectors computes the vectors of all images and texts of set.
func (s *Scorer) Vectors(ctx context.Context, set Set, tick func(done, total int)) (Vectors, error) {
	total := len(set.Images.IDs) + len(set.Texts)
	images, err := s.ImageVectors(ctx, set.Images, func(done, _ int) { tick(done, total) })
	if err != nil {
		return Vectors{}, err
	}
	texts, err := s.TextVectors(ctx, set.Texts, func(done, _ int) { tick(len(set.Images.IDs)+done, total) })
	return Vectors{images, texts}, err
}

// Similarities returns the similarity of the vectors of each of some pairs. Only the pictures and texts in them are read.
func (s *Scorer) Similarities(ctx context.Context, set Set, pairs []model.Pair, tick func(done, total int)) ([]float32, error) {
	part := Set{Images: Images{Source: set.Images.Source}}
	images, texts := map[int32]int{}, map[int32]int{}
	for _, p := range pairs {
		if _, ok := images[p.Image]; !ok {
			images[p.Image] = len(part.Images.IDs)
			part.Images.IDs = append(part.Images.IDs, set.Images.IDs[p.Image])
		}
		if _, ok := texts[p.Text]; !ok {
			texts[p.Text] = len(part.Texts)
			part.Texts = append(part.Texts, set.Texts[p.Text])
		}
	}
	v, err := s.Vectors(ctx, part, tick)
	if err != nil {
		return nil, err
	}
	size, list := s.model.Config.ContrastSize, make([]float32, len(pairs))
	for k, p := range pairs {
		i, t := images[p.Image]*size, texts[p.Text]*size
		for c := range size {
			list[k] += v.Images[i+c] * v.Texts[t+c]
		}
		list[k] = cosine(list[k])
	}
	return list, nil
}

// TwoStage ranks by vectors and puts the n best of each query in order by their match
// scores; what vectors rank below stays where it is. With n = 0 vectors alone decide.
func (s *Scorer) TwoStage(ctx context.Context, set Set, v Vectors, n int, tick func(done, total int)) (Outcome, error) {
	size := s.model.Config.ContrastSize
	out := Outcome{}
	var textRanks, imageRanks []int // of the right answers; at first by vectors
	keep := max(n, shownHits)
	out.Images, imageRanks = s.candidates(v.Texts, v.Images, size, keep, func(text int) []int { return set.ImageOf[text : text+1] })
	textsOf := make([][]int, len(set.Images.IDs))
	for text, image := range set.ImageOf {
		textsOf[image] = append(textsOf[image], text)
	}
	out.Texts, textRanks = s.candidates(v.Images, v.Texts, size, keep, func(image int) []int { return textsOf[image] })
	if n > 0 {
		if err := s.rerank(ctx, set, &out, n, tick); err != nil {
			return Outcome{}, err
		}
		for text, hits := range out.Images {
			imageRanks[text] = rankAmong(hits[:min(n, len(hits))], set.ImageOf[text:text+1], imageRanks[text])
		}
		for image, hits := range out.Texts {
			textRanks[image] = rankAmong(hits[:min(n, len(hits))], textsOf[image], textRanks[image])
		}
	}
	out.Recalls = Recalls{recallOf(imageRanks), recallOf(textRanks)}
	return out, nil
}

// candidates returns, for every query, its n best items, and the rank (from 1) of the best right one
// among all of them.
func (s *Scorer) candidates(queries, items []float32, size, n int, right func(query int) []int) (hits [][]Hit, ranks []int) {
	const block = 64 // queries
	all := s.dev.Wrap(len(items)/size, size, items)
	defer s.dev.Free(all)
	for lo := 0; lo < len(queries)/size; lo += block {
		hi := min(lo+block, len(queries)/size)
		products := similarities(s.dev, queries[lo*size:hi*size], all)
		columns := len(products) / (hi - lo)
		for q := lo; q < hi; q++ {
			row := products[(q-lo)*columns : (q-lo+1)*columns]
			hits = append(hits, best(s.dev.Limit(), row, n))
			ranks = append(ranks, rank(row, right(q)))
		}
	}
	return hits, ranks
}

// rank returns the rank, from 1, of the best of the right items among scores.
func rank(scores []float32, right []int) int {
	if len(right) == 0 {
		return len(scores) + 1
	}
	top := Hit{int32(right[0]), scores[right[0]]}
	for _, i := range right[1:] {
		if h := (Hit{int32(i), scores[i]}); better(h, top) < 0 {
			top = h
		}
	}
	r := 1
	for i, score := range scores {
		if better(Hit{int32(i), score}, top) < 0 {
			r++
		}
	}
	return r
}

// rerank replaces the scores of the first n hits of every query by match scores and puts these
// hits in order.
func (s *Scorer) rerank(ctx context.Context, set Set, out *Outcome, n int, tick func(done, total int)) error {
	scores := map[model.Pair]float32{}
	for text, hits := range out.Images {
		for _, h := range hits[:min(n, len(hits))] {
			scores[model.Pair{Image: h.Number, Text: int32(text)}] = 0
		}
	}
	for image, hits := range out.Texts {
		for _, h := range hits[:min(n, len(hits))] {
			scores[model.Pair{Image: int32(image), Text: h.Number}] = 0
		}
	}
	err := s.Pairs(ctx, set.Images, set.Texts, slices.Collect(maps.Keys(scores)), func(p model.Pair, score float32) { scores[p] = score }, tick)
	if err != nil {
		return err
	}
	for text, hits := range out.Images {
		reorder(hits[:min(n, len(hits))], func(h Hit) float32 { return scores[model.Pair{Image: h.Number, Text: int32(text)}] })
	}
	for image, hits := range out.Texts {
		reorder(hits[:min(n, len(hits))], func(h Hit) float32 { return scores[model.Pair{Image: int32(image), Text: h.Number}] })
	}
	return nil
}

func reorder(hits []Hit, score func(h Hit) float32) {
	for i := range hits {
		hits[i].Score = score(hits[i])
	}
	slices.SortFunc(hits, better)
}

// rankAmong returns the place, from 1, of the first right item among hits, or other if there is none.
func rankAmong(hits []Hit, right []int, other int) int {
	for i, h := range hits {
		if slices.Contains(right, int(h.Number)) {
			return i + 1
		}
	}
	return other
}

func recallOf(ranks []int) metrics.Recall {
	return metrics.RecallOf(len(ranks), func(query int) int { return ranks[query] })
}
