package rank

import (
	"cmp"
	"slices"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Hit is an item found: its number and how well it fits.
type Hit struct {
	Number int32
	Score  float32
}

// better orders hits: the higher score first, of equal ones the lower number.
func better(a, b Hit) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Number, b.Number))
}

// similarities returns the inner products of every query with every item, a row a query. Queries are vectors behind each other.
func similarities(dev engine.Device, queries []float32, items *engine.Tensor) []float32 {
	q := len(queries) / items.Cols
	if q == 0 || items.Rows == 0 {
		return nil
	}
	products, asked := dev.New(q, items.Rows), dev.Wrap(q, items.Cols, queries)
	defer dev.Free(products)
	defer dev.Free(asked)
	dev.MatMul(products, asked, items, engine.NT, false)
	return slices.Clone(engine.Values(dev, products))
}

// cosine is the product of two vectors of length 1 without what rounding leaves beyond 1, such as 1.0000001: who takes 1 minus it for a
// distance, or its arc, must not meet that.
func cosine(product float32) float32 { return min(max(product, -1), 1) }

// best returns the k best of scores, the best first.
func best(limit parallel.Limit, scores []float32, k int) []Hit {
	k = min(k, len(scores))
	// Each part of the scores offers its own k best; a heap of that size would do the
	// same with less memory and more comparisons.
	const part = 1 << 14
	parts := (len(scores) + part - 1) / part
	offers := make([][]Hit, parts)
	limit.For(parts, func(p int) {
		lo, hi := p*part, min((p+1)*part, len(scores))
		offers[p] = bestOf(scores[lo:hi], int32(lo), k)
	})
	all := slices.Concat(offers...)
	slices.SortFunc(all, better)
	return all[:k]
}

// bestOf is best for the scores of a stretch that begins at the number first.
func bestOf(scores []float32, first int32, k int) []Hit {
	hits := make([]Hit, 0, k+1)
	for i, score := range scores {
		hits = keepBest(hits, Hit{first + int32(i), score}, k)
	}
	return hits
}

// keepBest adds h to hits, the best first, of which k are kept. Nearly every hit is refused by
// one comparison.
func keepBest(hits []Hit, h Hit, k int) []Hit {
	if len(hits) == k && (k == 0 || better(h, hits[k-1]) >= 0) {
		return hits
	}
	at, _ := slices.BinarySearchFunc(hits, h, better)
	hits = slices.Insert(hits, at, h)
	return hits[:min(len(hits), k)]
}
