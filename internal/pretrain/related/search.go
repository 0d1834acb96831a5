package related

import (
	"context"
	"slices"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// query is what is looked for, and the best that have been found.
type query struct {
	vector []value
	not    []uint64 // identities that are not to be found
	best   []hit    // at most as many as wanted, best first
}

type hit struct {
	document int32
	score    float32
	id       uint64
}

// The sizes of a block bound its memory; scores of that many documents stay in a processor's cache.
const (
	blockDocuments = 1 << 16
	blockPostings  = 1 << 22
)

// search fills the queries with the best want documents each. size is the most documents of a block.
// tick hears how many pairs of a query and a document were compared.
func (c *collection) search(ctx context.Context, queries []query, want, size int, tick func(pairs int)) error {
	b := &block{c: c}
	flush := func() error {
		if err := b.search(ctx, queries, want, tick); err != nil {
			return err
		}
		b.first += len(b.ids)
		b.ids, b.ends, b.values = b.ids[:0], b.ends[:0], b.values[:0]
		return nil
	}
	err := c.each(func(_ int, d *document) error {
		b.ids = append(b.ids, d.id)
		b.values = c.vector(b.values, d.terms)
		b.ends = append(b.ends, len(b.values))
		if len(b.ids) == size || len(b.values) >= blockPostings {
			return flush()
		}
		return nil
	})
	if err != nil || len(b.ids) == 0 {
		return err
	}
	return flush()
}

// block is a part of a collection in memory.
type block struct {
	c      *collection
	first  int // the number of the first document
	ids    []uint64
	values []value // of all documents
	ends   []int   // of each, in values

	// The same by terms: those of term t are postings[starts[t]:starts[t+1]].
	postings []posting
	starts   []int32
}

type posting struct {
	document int32 // within the block
	weight   float32
}

// invert makes the postings of the values, by counting.
func (b *block) invert() {
	b.starts = slices.Grow(b.starts[:0], len(b.c.frequency)+2)[:len(b.c.frequency)+2]
	clear(b.starts)
	for _, v := range b.values {
		b.starts[v.term+2]++
	}
	for t := range b.c.frequency {
		b.starts[t+2] += b.starts[t+1]
	}
	b.postings = slices.Grow(b.postings[:0], len(b.values))[:len(b.values)]
	start := 0
	for d, end := range b.ends {
		for _, v := range b.values[start:end] {
			b.postings[b.starts[v.term+1]] = posting{int32(d), v.weight}
			b.starts[v.term+1]++
		}
		start = end
	}
}

func (b *block) search(ctx context.Context, queries []query, want int, tick func(int)) error {
	b.invert()
	const chunk, grain = 1024, 32
	for part := range slices.Chunk(queries, chunk) {
		if err := ctx.Err(); err != nil {
			return err
		}
		parallel.ForBlocks(len(part), grain, func(lo, hi int) {
			scores := make([]float32, len(b.ids))
			for i := lo; i < hi; i++ {
				b.ask(&part[i], want, scores)
			}
		})
		tick(len(part) * len(b.ids))
	}
	return nil
}

// ask looks for one query. scores are zero, before and after.
func (b *block) ask(q *query, want int, scores []float32) {
	for _, v := range q.vector {
		for _, p := range b.postings[b.starts[v.term]:b.starts[v.term+1]] {
			scores[p.document] += float32(v.weight * p.weight) // rounded: the same on processors that would fuse it
		}
	}
	for d, s := range scores {
		if s == 0 {
			continue
		}
		scores[d] = 0
		if len(q.best) < want || s > q.best[want-1].score {
			q.offer(hit{int32(b.first + d), s, b.ids[d]}, want)
		}
	}
}

// offer puts h among the best, unless it or what equals it is there. Documents come in order: the first of equals stays ahead.
func (q *query) offer(h hit, want int) {
	if slices.Contains(q.not, h.id) || slices.ContainsFunc(q.best, func(g hit) bool { return g.id == h.id }) {
		return
	}
	if len(q.best) == want {
		q.best = q.best[:want-1]
	}
	at := len(q.best)
	for at > 0 && q.best[at-1].score < h.score {
		at--
	}
	q.best = slices.Insert(q.best, at, h)
}
