package seq2seq

// Batch is B sequences behind each other, T tokens in all, without padding.
// Sequence i is Tokens[Offsets[i]:Offsets[i+1]], and its first Sources[i] tokens are the source.
type Batch struct {
	Tokens    []int32 // [T]
	Positions []int32 // [T]
	Roles     []int32 // [T], empty unless dialogue
	Turns     []int32 // [T], empty unless dialogue
	Offsets   []int32 // [B+1], Offsets[0] = 0, Offsets[B] = T
	Sources   []int32 // [B]
	Labels    []int32 // [L], the next token for every row after a source, in the order of the rows; empty without targets
	Records   []int   // [B], the records' numbers
}

// Pack fills the batch with the records of the given numbers, in that order. The
// slices of b are overwritten and grow where needed: what was taken from b before is no
// longer valid, and after the longest batch nothing is allocated. Nothing refers to
// records or idx afterwards.
func (b *Batch) Pack(records []Record, idx []int) {
	b.Tokens, b.Positions = b.Tokens[:0], b.Positions[:0]
	b.Roles, b.Turns = b.Roles[:0], b.Turns[:0]
	b.Offsets = append(b.Offsets[:0], 0)
	b.Sources, b.Labels = b.Sources[:0], b.Labels[:0]
	b.Records = append(b.Records[:0], idx...)
	for _, i := range idx {
		r := &records[i]
		b.Tokens = append(b.Tokens, r.Tokens...)
		b.Positions = append(b.Positions, r.Positions...)
		b.Roles = append(b.Roles, r.Roles...)
		b.Turns = append(b.Turns, r.Turns...)
		b.Offsets = append(b.Offsets, int32(len(b.Tokens)))
		b.Sources = append(b.Sources, int32(r.Source))
		b.Labels = append(b.Labels, r.Labels...)
	}
}

// Len is B, the number of sequences.
func (b *Batch) Len() int { return len(b.Records) }
