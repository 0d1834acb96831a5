package engine

import (
	"fmt"
	"slices"
)

// Attention describes one multi-head attention over packed sequences. Each
// sequence's queries look at its own keys and no others. It may have another
// number of queries than of keys (one query for the class of a text, say, or new
// tokens after a cache), and either may be none.
type Attention struct {
	Heads   int
	Queries []int32 // where each sequence's rows of q and y begin: len B+1, from 0 to their rows, never falling
	Keys    []int32 // the same for k and v; equal to Queries in self-attention over whole texts

	// Prefix, if not nil (len B), makes attention causal behind a prefix: every query sees the
	// first Prefix[s] keys of its sequence, and of the keys after them those up to its own place. Queries
	// and keys are aligned at their ends: query i of n sees the first max(Prefix[s], K-n+i+1) of K
	// keys. There are no more queries than keys then, unless there are no keys.
	Prefix []int32

	Dropout Dropout // of the probabilities, indexed by sequence, head, query, key in this order, without gaps
}

// CachedAttention describes one step of decoding: each hypothesis has one new token,
// whose query looks at all keys of the hypothesis's source and at those of the tokens written
// so far, which lie anywhere in a pool that all hypotheses share.
type CachedAttention struct {
	Heads      int
	Hypotheses []int32 // where each source's rows of q and y begin: len B+1, from 0 to their rows, never falling
	Sources    []int32 // the same for sk and sv
	Paths      []int32 // R x Steps: the rows of k and v that each hypothesis sees besides its source's
	Steps      int
}

// Check panics with a [ShapeError] unless the operands of attention fit. likeQ are as large as q, likeK as k; stats may be nil.
func (a Attention) Check(op string, stats, q, k, v *Tensor, likeQ, likeK []*Tensor) {
	checkHeads(op, a.Heads, q)
	if len(a.Queries) != len(a.Keys) {
		panic(ShapeError{op, fmt.Sprintf("offsets of %d sequences of queries and %d of keys", len(a.Queries)-1, len(a.Keys)-1)})
	}
	checkOffsets(op, "queries", a.Queries, q.Rows)
	checkOffsets(op, "keys", a.Keys, k.Rows)
	CheckShape(op, "k", k, k.Rows, q.Cols)
	CheckShape(op, "v", v, k.Rows, q.Cols)
	a.checkPrefix(op)
	for _, t := range likeQ {
		CheckShape(op, "an operand like q", t, q.Rows, q.Cols)
	}
	for _, t := range likeK {
		CheckShape(op, "an operand like k", t, k.Rows, k.Cols)
	}
	if stats != nil {
		CheckShape(op, "stats", stats, q.Rows, a.Heads)
	}
}

func checkHeads(op string, heads int, q *Tensor) {
	if heads < 1 || q.Cols%heads != 0 {
		panic(ShapeError{op, fmt.Sprintf("%d heads do not divide %d columns", heads, q.Cols)})
	}
}

func checkOffsets(op, name string, offsets []int32, rows int) {
	if n := len(offsets); n < 1 || offsets[0] != 0 || int(offsets[n-1]) != rows || !slices.IsSorted(offsets) {
		panic(ShapeError{op, fmt.Sprintf("offsets %v do not divide %d rows of %s", offsets, rows, name)})
	}
}

// checkPrefix follows the check of offsets.
func (a Attention) checkPrefix(op string) {
	if a.Prefix == nil {
		return
	}
	if len(a.Prefix) != len(a.Keys)-1 {
		panic(ShapeError{op, fmt.Sprintf("prefixes of %d sequences, want %d", len(a.Prefix), len(a.Keys)-1)})
	}
	for s, prefix := range a.Prefix {
		queries, keys := a.Queries[s+1]-a.Queries[s], a.Keys[s+1]-a.Keys[s]
		if prefix < 0 || prefix > keys || queries > keys && keys > 0 {
			panic(ShapeError{op, fmt.Sprintf("a prefix of %d for %d queries and %d keys of sequence %d", prefix, queries, keys, s)})
		}
	}
}

// Check panics with a [ShapeError] unless the operands of cached attention fit.
func (a CachedAttention) Check(op string, y, q, sk, sv, k, v *Tensor) {
	checkHeads(op, a.Heads, q)
	if len(a.Hypotheses) != len(a.Sources) {
		panic(ShapeError{op, fmt.Sprintf("offsets of %d sources with hypotheses and %d with keys", len(a.Hypotheses)-1, len(a.Sources)-1)})
	}
	checkOffsets(op, "hypotheses", a.Hypotheses, q.Rows)
	checkOffsets(op, "sources", a.Sources, sk.Rows)
	CheckShape(op, "y", y, q.Rows, q.Cols)
	CheckShape(op, "sk", sk, sk.Rows, q.Cols)
	CheckShape(op, "sv", sv, sk.Rows, q.Cols)
	CheckShape(op, "k", k, k.Rows, q.Cols)
	CheckShape(op, "v", v, k.Rows, q.Cols)
	if a.Steps < 0 || len(a.Paths) != q.Rows*a.Steps {
		panic(ShapeError{op, fmt.Sprintf("paths of %d rows for %d hypotheses and %d steps", len(a.Paths), q.Rows, a.Steps)})
	}
	CheckIndices(op, a.Paths, k.Rows)
}
