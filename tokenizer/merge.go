package tokenizer

import "slices"

// merge is one line of the list of merges; its index is its rank.
type merge struct{ left, right, result uint32 }

// longWord is the length in bytes from which a word is merged with a heap. Below
// it a scan over the ranks of all pairs is faster, above it its quadratic cost is not bearable.
const longWord = 128

// scratch is what one call of Encode needs besides its arguments.
type scratch struct {
	normal  []byte   // the text in which added tokens are looked for
	lower   []byte   // the lower-cased text
	symbols []uint32 // of the word being merged
	ranks   []uint32 // ranks[i] belongs to the pair symbols[i], symbols[i+1]
	word    []byte   // of WordPiece: the word that is being read, behind the prefix; of Unigram: the word
	letters int      // of word
	paths   []path   // of Unigram: the best ones to every place in the word
}

// keptScratch is the most bytes of a buffer that stay in the pool: more than ordinary
// text needs, and little enough to keep one for every goroutine.
const keptScratch = 64 << 10

// shrink drops buffers that an extraordinary text made large.
func (s *scratch) shrink() {
	if cap(s.normal) > keptScratch {
		s.normal = nil
	}
	if cap(s.lower) > keptScratch {
		s.lower = nil
	}
	if cap(s.symbols) > keptScratch/4 {
		s.symbols = nil
	}
	if cap(s.paths) > keptScratch/24 {
		s.word, s.paths = nil, nil
	}
}

// mergeWord returns the symbols of word, in s.symbols.
//
// The rule: take the pair with the lowest rank; join all its occurrences from left to
// right; repeat. Joining one pair at a time is not the same for a list of merges in which
// a result is used before it is made, and files may hold such lists.
func (t *Tokenizer) mergeWord(s *scratch, word string) []uint32 {
	if len(word) >= longWord {
		return t.mergeLong(s, word)
	}
	symbols := s.symbols[:0]
	for i := range len(word) {
		symbols = append(symbols, t.byteSymbol[word[i]])
	}
	ranks := s.ranks[:0]
	for i := range len(word) - 1 {
		// A table of their own, since it keeps pairs of letters close together, while the
		// pair table scatters them over a megabyte.
		ranks = append(ranks, t.bytePairs[int(word[i])<<8|int(word[i+1])])
	}
	for len(ranks) > 0 {
		best := slices.Min(ranks)
		if best == noRank {
			break
		}
		result := t.merges[best].result
		for i := 0; i < len(ranks); i++ {
			if ranks[i] != best {
				continue
			}
			symbols[i] = result
			symbols = slices.Delete(symbols, i+1, i+2)
			ranks = slices.Delete(ranks, i, i+1)
			if i > 0 {
				ranks[i-1] = t.pairs.rank(symbols[i-1], result)
			}
			if i < len(ranks) {
				ranks[i] = t.pairs.rank(result, symbols[i+1])
			}
		}
	}
	s.symbols, s.ranks = symbols, ranks
	return symbols
}

// none is the neighbour of the symbols at the ends of a word.
const none = ^uint32(0)

// mergeLong is mergeWord for long words, in O(n log n): the symbols are a doubly
// linked list, and a heap holds the pairs that are in a merge, by rank and place.
// It allocates.
func (t *Tokenizer) mergeLong(s *scratch, word string) []uint32 {
	type node struct{ symbol, prev, next uint32 }
	list := make([]node, len(word))
	for i := range list {
		list[i] = node{t.byteSymbol[word[i]], uint32(i) - 1, uint32(i) + 1}
	}
	list[len(list)-1].next = none // list[0].prev is none already

	rankAt := func(i uint32) uint32 {
		if next := list[i].next; next != none && list[i].symbol != none {
			return t.pairs.rank(list[i].symbol, list[next].symbol)
		}
		return noRank
	}
	// An entry is rank<<32 | place. Entries are never removed: one whose place has
	// another rank by now is stale.
	queue := heapOf[uint64]{less: func(a, b uint64) bool { return a < b }}
	push := func(i uint32) {
		if rank := rankAt(i); rank != noRank {
			queue.push(uint64(rank)<<32 | uint64(i))
		}
	}
	for i := range list {
		push(uint32(i))
	}
	var places []uint32
	for queue.len() > 0 {
		best := uint32(queue.top() >> 32)
		for places = places[:0]; queue.len() > 0 && uint32(queue.top()>>32) == best; {
			places = append(places, uint32(queue.pop()))
		}
		for _, i := range places {
			if rankAt(i) != best {
				continue
			}
			gone := list[i].next
			list[i].symbol = t.merges[best].result
			list[i].next = list[gone].next
			list[gone].symbol = none
			if next := list[i].next; next != none {
				list[next].prev = i
			}
			if prev := list[i].prev; prev != none {
				push(prev)
			}
			push(i)
		}
	}
	symbols := s.symbols[:0]
	for i := uint32(0); i != none; i = list[i].next {
		symbols = append(symbols, list[i].symbol)
	}
	s.symbols = symbols
	return symbols
}
