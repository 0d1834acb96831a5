package data

import (
	"fmt"
	"slices"
)

// FirstPosition is the position id of the first token; 1 is padding.
const FirstPosition = 2

// MinSeqLen is the least length limit: [CLS], [SEP] and [SEP] of a pair.
const MinSeqLen = 3

// Tokenizer is what encoding needs of a vocabulary.
type Tokenizer interface {
	// Encode appends the ids of text to dst and returns it.
	Encode(dst []int32, text string) []int32
	CLS() int32
	SEP() int32
}

// Record is an example as the model reads it.
type Record struct {
	Tokens   []int32 // [CLS] a [SEP] or [CLS] a [SEP] b [SEP]
	SegmentB int     // index of the first token of b, len(Tokens) without one
	Class    int     // -1 without label and in regression
	Score    float32 // NaN without label and in classification
	ID       string  // the example's, "" without
	Index    int     // place among the examples, from 0
	Line     int     // the file's line, from 1
}

// Encoder makes records of examples.
type Encoder struct {
	Tokenizer Tokenizer
	MaxLen    int // most tokens of a record, at least MinSeqLen
}

// Encode tokenises one example; truncated says that tokens were cut.
//
// A single text is cut at its end. Of a pair the longer text loses its last
// token, the second one if both are equally long, until the record fits. A pair
// whose second text has no tokens becomes a single text, as in the reference.
// MaxLen below MinSeqLen panics.
func (e *Encoder) Encode(x Example) (r Record, truncated bool) {
	return e.encode(nil, x)
}

// encode is Encode into the memory of buf, which grows where needed.
func (e *Encoder) encode(buf []int32, x Example) (r Record, truncated bool) {
	if e.MaxLen < MinSeqLen {
		panic(fmt.Sprintf("data: length limit %d is below %d", e.MaxLen, MinSeqLen))
	}
	t := e.Tokenizer
	// First both texts whole, [CLS] a [SEP] b; then b moves to where a is cut.
	tokens := append(buf[:0], t.CLS())
	tokens = t.Encode(tokens, x.TextA)
	a := len(tokens) - 1
	tokens = append(tokens, t.SEP())
	startB := len(tokens)
	if x.TextB != "" {
		tokens = t.Encode(tokens, x.TextB)
	}
	b := len(tokens) - startB

	keepA, keepB := min(a, e.MaxLen-2), 0
	if b > 0 {
		keepA, keepB = truncatePair(a, b, e.MaxLen-3)
	}
	tokens[1+keepA] = t.SEP()
	segmentB := keepA + 2
	if b > 0 {
		copy(tokens[segmentB:], tokens[startB:startB+keepB])
		tokens = append(tokens[:segmentB+keepB], t.SEP())
	} else {
		tokens = tokens[:segmentB]
	}
	return Record{
		Tokens: tokens, SegmentB: segmentB, Class: x.Class, Score: float32(x.Score), ID: x.ID, Line: x.Line,
	}, keepA < a || keepB < b
}

// EncodeAll encodes all examples in order and counts those that were cut.
func (e *Encoder) EncodeAll(examples []Example) (records []Record, truncated int) {
	records = make([]Record, len(examples))
	var buf []int32 // records get copies of their exact size
	for i, x := range examples {
		r, cut := e.encode(buf, x)
		buf = r.Tokens
		r.Tokens = slices.Clone(r.Tokens)
		r.Index = i
		records[i] = r
		if cut {
			truncated++
		}
	}
	return records, truncated
}

// truncatePair returns how many tokens remain of texts of a and b tokens when
// the longer one, b in a tie, gives up its last until both fit into limit.
//
// Cutting down the longer one first ends either with the shorter one untouched,
// or with both at half the limit, where a tie costs b a token: a gets the
// rounded-up half.
func truncatePair(a, b, limit int) (keepA, keepB int) {
	if a+b <= limit {
		return a, b
	}
	half := (limit + 1) / 2
	switch {
	case b <= limit-half: // b is never the longer one, nor equal
		return limit - b, b
	case a <= half:
		return a, limit - a
	default:
		return half, limit - half
	}
}

// Lengths returns the number of tokens of every record.
func Lengths(records []Record) []int {
	out := make([]int, len(records))
	for i := range records {
		out[i] = len(records[i].Tokens)
	}
	return out
}
