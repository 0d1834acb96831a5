package metrics

import (
	"cmp"
	"math"
)

// Recall is how well a retrieval works: the share of queries whose right answer is among the first
// 1, 5 and 10, and the mean rank of the right answer, where 1 is the best.
type Recall struct{ At1, At5, At10, MeanRank float64 }

// Ranking ranks images for captions, and captions for images, from scores that arrive one by one. It
// counts what comes before the right answer of each query, and keeps no scores but those of the right
// pairs: a matrix of 1,000 images and 5,000 captions takes 40 kB.
//
//	r := metrics.NewRanking(images, imageOf)
//	// r.Positive(caption, score) for all right pairs, then r.Add(image, caption, score) for all pairs
//	byCaption, byImage := r.Results()
//
// As in the reference, of equal scores the image or caption with the greater number ranks first. The
// order in which scores are added has no influence. NaN is worse than every number (in the reference,
// better).
//
// It is not safe for concurrent use.
type Ranking struct {
	imageOf  []int
	positive []float32 // by caption: the score with its image
	best     []int     // by image: the caption that is the best right answer, -1 without
	before   struct{ images, captions []int32 }
}

// NewRanking ranks the images from 0 to images-1 and the captions from 0 to len(imageOf)-1. Caption c
// is right for image imageOf[c]; -1 says for none. A caption that is right for none, and an image
// without captions, are candidates and no queries.
func NewRanking(images int, imageOf []int) *Ranking {
	r := &Ranking{imageOf: imageOf, positive: make([]float32, len(imageOf)), best: make([]int, images)}
	for c := range r.positive {
		r.positive[c] = float32(math.NaN())
	}
	for i := range r.best {
		r.best[i] = -1
	}
	r.before.images, r.before.captions = make([]int32, len(imageOf)), make([]int32, images)
	return r
}

// Positive sets the score of a caption with its image. All of them must be set before the
// first Add; one that is not is NaN.
func (r *Ranking) Positive(caption int, score float32) {
	r.positive[caption] = score
	image := r.imageOf[caption]
	if best := r.best[image]; best < 0 || ahead(score, caption, r.positive[best], best) {
		r.best[image] = caption
	}
}

// Add takes the score of any pair, once. A right pair changes nothing: it may be added or left out.
func (r *Ranking) Add(image, caption int, score float32) {
	right := r.imageOf[caption]
	if image == right {
		return
	}
	if right >= 0 && ahead(score, image, r.positive[caption], right) {
		r.before.images[caption]++
	}
	if best := r.best[image]; best >= 0 && ahead(score, caption, r.positive[best], best) {
		r.before.captions[image]++
	}
}

// ahead says whether the candidate a with the score x ranks before b with y.
func ahead(x float32, a int, y float32, b int) bool {
	order := cmp.Compare(x, y) // NaN is the least
	return order > 0 || order == 0 && a > b
}

// ImageRank is the rank, from 1, of a caption's image among all images; 0 if the caption has none.
func (r *Ranking) ImageRank(caption int) int {
	if r.imageOf[caption] < 0 {
		return 0
	}
	return int(r.before.images[caption]) + 1
}

// TextRank is the rank, from 1, of the best of an image's captions among all captions; 0 if
// the image has none.
func (r *Ranking) TextRank(image int) int {
	if r.best[image] < 0 {
		return 0
	}
	return int(r.before.captions[image]) + 1
}

// Results sums up all ranks: of image retrieval, which looks for a caption's image, and of text
// retrieval, which looks for any of an image's captions. All are NaN without queries.
func (r *Ranking) Results() (image, text Recall) {
	return RecallOf(len(r.imageOf), r.ImageRank), RecallOf(len(r.best), r.TextRank)
}

// RecallOf sums up the ranks of n queries, where 1 is the best. A query of rank 0 has no right answer
// and is not counted. NaN where none is.
func RecallOf(n int, rank func(query int) int) (sum Recall) {
	queries := 0.0
	for q := range n {
		at := rank(q)
		if at == 0 {
			continue
		}
		queries++
		sum.MeanRank += float64(at)
		for _, level := range []struct {
			k     int
			count *float64
		}{{1, &sum.At1}, {5, &sum.At5}, {10, &sum.At10}} {
			if at <= level.k {
				*level.count++
			}
		}
	}
	return Recall{sum.At1 / queries, sum.At5 / queries, sum.At10 / queries, sum.MeanRank / queries}
}
