package labelled

import (
	"fmt"
	"slices"
	"sort"

	"github.com/unimo-go/unimo/internal/dataset/batches"
)

// Record is an example as the model reads it.
type Record struct {
	Tokens []int32 // [CLS] a [SEP], and b [SEP] for each further text
	First  int     // of them, those of [CLS] a [SEP]
	Class  int     // -1 without label and in regression
	Score  float32 // NaN without label and in classification
	ID     string  // the example's, "" without
	Line   int     // the file's line, from 1
}

// Encoder makes records of examples.
type Encoder struct {
	Tokenizer batches.Tokenizer
	MaxLen    int // most tokens of a record, at least MinSeqLen

	// Separators are those between two texts; 0 means one, as BERT and UNIMO have it. RoBERTa has two.
	Separators int
}

// Encode tokenises one example as far as it is read; truncated says that tokens were cut.
//
// A single text is cut at its end. Of several the longest loses its last
// token, the later one of equally long ones, until the record fits. A second or further
// text that has no tokens is left out, so that a pair becomes a single text, as in the reference.
// MaxLen below MinSeqLen panics.
func (e *Encoder) Encode(x Example) (r Record, truncated bool) {
	return e.encode(nil, x)
}

// encode is Encode into the memory of buf, which grows where needed.
func (e *Encoder) encode(buf []int32, x Example) (r Record, truncated bool) {
	if e.MaxLen < batches.MinSeqLen {
		panic(fmt.Sprintf("labelled: length limit %d is below %d", e.MaxLen, batches.MinSeqLen))
	}
	t, more := e.Tokenizer, max(e.Separators, 1)-1
	// First as much of each text as there is room for, [CLS] a [SEP] b [SEP]; then what follows a cut moves to it.
	tokens := append(buf[:0], t.CLS())
	var one [2]int
	lengths := one[:0]
	for text := range x.Texts {
		start := len(tokens)
		if len(lengths) > 0 {
			for range more {
				tokens = append(tokens, t.SEP())
			}
		}
		begin := len(tokens)
		// One token more than there is room for tells as much of a text as all of them.
		tokens, _ = t.EncodeUpTo(tokens, text, e.MaxLen-1)
		n := len(tokens) - begin
		if n == 0 && len(lengths) > 0 {
			tokens = tokens[:start]
			continue
		}
		// More texts than have room for their separator are cut to nothing with it.
		if len(lengths)*(1+more)+2 > e.MaxLen {
			tokens, truncated = tokens[:start], true
			break
		}
		tokens = append(tokens, t.SEP())
		lengths = append(lengths, n)
	}
	var whole [2]int
	kept := append(whole[:0], lengths...)
	truncate(kept, e.MaxLen-1-len(lengths)-more*(len(lengths)-1))
	from, to, first := 1, 1, 0
	for i, n := range lengths {
		if i > 0 {
			for range more {
				tokens[to] = t.SEP()
				from, to = from+1, to+1
			}
		}
		copy(tokens[to:], tokens[from:from+kept[i]])
		from, to = from+n+1, to+kept[i]+1
		tokens[to-1] = t.SEP()
		if i == 0 {
			first = to
		}
		truncated = truncated || kept[i] < n
	}
	return Record{Tokens: tokens[:to], First: first, Class: x.Class, Score: float32(x.Score), ID: x.ID, Line: x.Line}, truncated
}

// EncodeAll encodes all examples in order and counts those that were cut.
func (e *Encoder) EncodeAll(examples []Example) (records []Record, truncated int) {
	records = make([]Record, len(examples))
	var buf []int32 // records get copies of their exact size
	for i, x := range examples {
		r, cut := e.encode(buf, x)
		buf = r.Tokens
		r.Tokens = slices.Clone(r.Tokens)
		records[i] = r
		if cut {
			truncated++
		}
	}
	return records, truncated
}

// truncate shortens texts of these numbers of tokens until they have limit in all: the longest
// loses its last, the later one of equally long ones.
func truncate(lengths []int, limit int) {
	sum := 0
	for _, n := range lengths {
		sum += n
	}
	if sum <= limit {
		return
	}
	// All above some length come down to it, and the first of them keep one token more.
	cut := func(level int) (sum int) {
		for _, n := range lengths {
			sum += min(n, level)
		}
		return sum
	}
	level := sort.Search(limit, func(level int) bool { return cut(level+1) > limit })
	more := limit - cut(level)
	for i, n := range lengths {
		lengths[i] = min(n, level)
		if n > level && more > 0 {
			lengths[i]++
			more--
		}
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
