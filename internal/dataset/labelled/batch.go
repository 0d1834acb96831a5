package labelled

import (
	"github.com/unimo-go/unimo/internal/dataset/batches"
)

// Batch is B sequences behind each other, T tokens in all, without padding.
// Sequence i is Tokens[Offsets[i]:Offsets[i+1]].
type Batch struct {
	Tokens    []int32   // [T]
	Positions []int32   // [T], from FirstPosition in every sequence
	Offsets   []int32   // [B+1], Offsets[0] = 0, Offsets[B] = T
	Classes   []int32   // [B], -1 without
	Scores    []float32 // [B], NaN without
}

// Pack fills the batch with the records of the given numbers, in that order. The
// slices of b are overwritten and grow where needed: what was taken from b before
// is no longer valid, and after the longest batch nothing is allocated. Nothing
// refers to records or idx afterwards.
func (b *Batch) Pack(records []Record, idx []int) {
	b.Tokens, b.Positions = b.Tokens[:0], b.Positions[:0]
	b.Offsets = append(b.Offsets[:0], 0)
	b.Classes, b.Scores = b.Classes[:0], b.Scores[:0]
	for _, i := range idx {
		r := &records[i]
		b.Tokens = append(b.Tokens, r.Tokens...)
		for p := range r.Tokens {
			b.Positions = append(b.Positions, batches.FirstPosition+int32(p))
		}
		b.Offsets = append(b.Offsets, int32(len(b.Tokens)))
		b.Classes = append(b.Classes, int32(r.Class))
		b.Scores = append(b.Scores, r.Score)
	}
}

// Len is B, the number of sequences.
func (b *Batch) Len() int { return len(b.Classes) }
