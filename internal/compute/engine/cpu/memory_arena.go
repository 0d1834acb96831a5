package cpu

import (
	"cmp"
	"slices"
)

// arena is the memory that tensors lie in: a few chunks, cut as requests come and
// joined again as they end. A request takes the first hole, in the order of chunks
// and addresses, that is large enough. So what is made first and stays, the
// parameters, lies at the bottom, the holes of ragged batches merge above it, and
// what was never needed stays untouched at the top, where the system has not given
// it pages yet. In training, the memory ever used was 5 to 12 % above what the
// largest batch needs; to take the smallest hole that fits was no better.
type arena struct {
	chunks []chunk
	total  int    // elements of all chunks
	holes  []span // by chunk and address; neighbours are merged
}

// chunk is one piece of Go memory.
type chunk struct {
	data []float32
	used int // from here on nothing was ever handed out: it is zero
}

// span is a piece of memory: chunks[chunk].data[start:end].
type span struct{ chunk, start, end int }

const (
	line = Line // the alignment of all memory

	// firstChunk is the elements of the smallest chunk, 256 KiB: enough for small models.
	firstChunk = 64 << 10

	// An arena grows at least by 1/growth of its size, so that chunks are few. What a
	// chunk has too much is never touched.
	growth = 4
)

// take returns a free span of at least n elements, rounded up to whole lines, and
// says whether it is memory that was never used, which is zero.
func (a *arena) take(n int) (s span, fresh bool) {
	n = max(1, (n+line-1)/line) * line
	i := slices.IndexFunc(a.holes, func(h span) bool { return h.end-h.start >= n })
	if i < 0 {
		i = a.grow(n)
	}
	h := &a.holes[i]
	s = span{h.chunk, h.start, h.start + n}
	if h.start = s.end; h.start == h.end {
		a.holes = slices.Delete(a.holes, i, i+1)
	}
	c := &a.chunks[s.chunk]
	fresh = s.start >= c.used
	c.used = max(c.used, s.end)
	return s, fresh
}

// give makes s, which take returned, free again.
func (a *arena) give(s span) {
	i, _ := slices.BinarySearchFunc(a.holes, s, func(h, s span) int {
		return cmp.Or(cmp.Compare(h.chunk, s.chunk), cmp.Compare(h.start, s.start))
	})
	before := i > 0 && a.holes[i-1].chunk == s.chunk && a.holes[i-1].end == s.start
	after := i < len(a.holes) && a.holes[i].chunk == s.chunk && a.holes[i].start == s.end
	switch {
	case before && after:
		a.holes[i-1].end = a.holes[i].end
		a.holes = slices.Delete(a.holes, i, i+1)
	case before:
		a.holes[i-1].end = s.end
	case after:
		a.holes[i].start = s.start
	default:
		a.holes = slices.Insert(a.holes, i, s)
	}
}

// grow adds a chunk with room for n elements and returns the index of its hole, the last.
func (a *arena) grow(n int) int {
	n = max(n, a.total/growth/line*line, firstChunk)
	a.total += n
	a.holes = append(a.holes, span{len(a.chunks), 0, n})
	a.chunks = append(a.chunks, chunk{data: Floats(n)})
	return len(a.holes) - 1
}

// memory returns the elements of s.
func (a *arena) memory(s span) []float32 {
	return a.chunks[s.chunk].data[s.start:s.end:s.end]
}
