package rank

import (
	"context"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/metrics"
)

// Set is what is scored: images, and texts of which each belongs to one of them.
type Set struct {
	Images  Images
	Texts   Texts
	ImageOf []int // of every text
}

// Recalls are the results of both directions.
type Recalls struct {
	Image metrics.Recall // the image of a text
	Text  metrics.Recall // a text of an image, the best of them
}

// First returns the set of the first n images and their texts; all of it for n = 0.
func (s Set) First(n int) Set {
	if n == 0 || n >= len(s.Images.IDs) {
		return s
	}
	part := Set{Images: Images{s.Images.Source, s.Images.IDs[:n]}}
	for i, image := range s.ImageOf {
		if image < n {
			part.Texts = append(part.Texts, s.Texts[i])
			part.ImageOf = append(part.ImageOf, image)
		}
	}
	return part
}

// Pairs is the number of all pairs.
func (s Set) Pairs() int { return len(s.Images.IDs) * len(s.Texts) }

// Outcome is the outcome of a ranking: what it found for each query, the best first, and how
// good that is.
type Outcome struct {
	Images  [][]Hit // for every text
	Texts   [][]Hit // for every image
	Recalls Recalls
}

// shownHits is how many hits of a query are kept at least, for people to look at and for files
// of predictions: what recall@10 is of.
const shownHits = 10

// Exhaustive ranks by the match score of every image with every text. Scores that folder
// holds are not computed again, others are kept there; it may be nil.
func (s *Scorer) Exhaustive(ctx context.Context, set Set, folder *ScoreFolder, tick func(done, total int)) (Outcome, error) {
	out := Outcome{Images: make([][]Hit, len(set.Texts)), Texts: make([][]Hit, len(set.Images.IDs))}
	ranking := metrics.NewRanking(len(set.Images.IDs), set.ImageOf)
	right := make([]model.Pair, len(set.Texts))
	for text, image := range set.ImageOf {
		right[text] = model.Pair{Image: int32(image), Text: int32(text)}
	}
	// The right pairs come first: with their scores at hand no other has to be kept.
	err := s.Pairs(ctx, set.Images, set.Texts, right, func(p model.Pair, score float32) { ranking.Positive(int(p.Text), score) }, func(int, int) {})
	if err != nil {
		return Outcome{}, err
	}
	done, shared := 0, s.Group().Size() > 1
	end := func(block int) int { return min((block+1)*imageBlock, len(set.Images.IDs)) }
	err = collective.Spread(s.Group(), (len(set.Images.IDs)+imageBlock-1)/imageBlock, func(i int) ([]float32, error) {
		return s.scores(ctx, set, folder, i*imageBlock, end(i), func(n int) {
			if !shared {
				tick(done+n, set.Pairs())
			}
		})
	}, func(block int, scores []float32) {
		lo := block * imageBlock
		for i := range end(block) - lo {
			row := scores[i*len(set.Texts) : (i+1)*len(set.Texts)]
			out.Texts[lo+i] = bestOf(row, 0, shownHits)
			for text, score := range row {
				ranking.Add(lo+i, text, score)
				out.Images[text] = keepBest(out.Images[text], Hit{int32(lo + i), score}, shownHits)
			}
		}
		done += len(scores)
		tick(done, set.Pairs())
	})
	if err != nil {
		return Outcome{}, err
	}
	out.Recalls.Image, out.Recalls.Text = ranking.Results()
	return out, nil
}

// scores returns the scores of the images lo to hi-1 with all texts, a row an image.
func (s *Scorer) scores(ctx context.Context, set Set, folder *ScoreFolder, lo, hi int, tick func(n int)) ([]float32, error) {
	texts := len(set.Texts)
	if folder != nil {
		if scores, err := folder.load(lo, hi-lo, texts); scores != nil || err != nil {
			return scores, err
		}
	}
	pairs := make([]model.Pair, 0, (hi-lo)*texts)
	for text := range texts {
		for image := lo; image < hi; image++ {
			pairs = append(pairs, model.Pair{Image: int32(image), Text: int32(text)})
		}
	}
	scores := make([]float32, len(pairs))
	n := 0
	own, end := s.begin()
	defer end()
	err := own.imagePairs(ctx, set.Images, set.Texts, sequence(lo, hi), pairs, func(p model.Pair, score float32) {
		scores[(int(p.Image)-lo)*texts+int(p.Text)] = score
	}, func(more int) { n += more; tick(n) })
	if err != nil {
		return nil, err
	}
	if folder == nil {
		return scores, nil
	}
	return scores, folder.save(lo, hi-lo, texts, scores)
}
