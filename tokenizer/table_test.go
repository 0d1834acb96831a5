package tokenizer

import (
	"strings"
	"testing"
)

func TestWordTable(t *testing.T) {
	words := []string{
		"a", "a\x00", "\x00", "\x00\x00", "abcdefg", "abcdefgh", "abcdefghi",
		// The same first and last 8 bytes and so the same key.
		"abcdefghXabcdefgh", "abcdefghYabcdefgh", strings.Repeat("w", longWord-1),
	}
	// A table of two starting slots makes all words collide.
	table := wordTable{make([]wordSlot, 16), 63}
	raw := []byte{}
	for id, w := range words {
		table.insert(w, int32(id), uint32(len(raw)))
		raw = append(raw, w...)
	}
	for id, w := range words {
		for _, around := range [][2]string{{"", ""}, {"x", ""}, {"", "x"}, {"xyz", "0123456789"}} {
			text, start := around[0]+w+around[1], len(around[0])
			if got, ok := table.find(raw, text, start, start+len(w)); !ok || got != int32(id) {
				t.Errorf("find(%q) in %q = %d, %v, want %d", w, text, got, ok, id)
			}
		}
	}
	for _, w := range []string{"b", "a\x00\x00", "\x00\x00\x00", "abcdefghZabcdefgh", "abcdefg\x00", strings.Repeat("w", longWord)} {
		if id, ok := table.find(raw, w, 0, len(w)); ok {
			t.Errorf("find(%q) = %d, which is %q", w, id, words[id])
		}
	}
}

func TestPairTable(t *testing.T) {
	const n = 1000
	table := newPairTable(n)
	for rank := range uint32(n) {
		table.insert(rank*7%maxSymbols, maxSymbols-1-rank, rank)
	}
	for rank := range uint32(n) {
		if got := table.rank(rank*7%maxSymbols, maxSymbols-1-rank); got != rank {
			t.Errorf("rank %d is found as %d", rank, got)
		}
		if got := table.rank(rank*7+1, maxSymbols-1-rank); got != noRank {
			t.Errorf("a pair that is not there has the rank %d", got)
		}
	}
}
