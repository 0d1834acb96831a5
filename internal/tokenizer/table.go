package tokenizer

import "math/bits"

// Bounds of what the tables can number. A slot of the pair table is one word: two
// symbols of 21 bits and a rank of 22.
const (
	symbolBits = 21
	rankBits   = 64 - 2*symbolBits
	maxSymbols = 1<<symbolBits - 1 // the last number is kept for the empty slot
	maxMerges  = 1<<rankBits - 1   // likewise
	noRank     = 1<<rankBits - 1   // "this pair is in no merge": above every rank
)

// fibonacci is 2^64 divided by the golden ratio: multiplying by it spreads
// consecutive keys over the upper bits.
const fibonacci = 0x9E3779B97F4A7C15

// pairTable finds the rank of a pair of symbols. Open addressing with linear
// probing, at most half full: most questions are for pairs that are in no
// merge, and each of those probes up to an empty slot. For GPT-2's 50,000
// merges it takes 1 MiB.
type pairTable struct {
	slots []uint64 // left<<43 | right<<22 | rank; emptySlot where there is nothing
	shift uint8    // 64 - log2(len(slots))
}

const emptySlot = ^uint64(0)

func newPairTable(n int) pairTable {
	log := bits.Len(uint(2*n)) + 1
	t := pairTable{slots: make([]uint64, 1<<log), shift: uint8(64 - log)}
	for i := range t.slots {
		t.slots[i] = emptySlot
	}
	return t
}

// rank returns the rank of the merge of left and right, or noRank.
func (t *pairTable) rank(left, right uint32) uint32 {
	key := uint64(left)<<symbolBits | uint64(right)
	mask := uint64(len(t.slots) - 1)
	for i := key * fibonacci >> t.shift; ; i++ {
		slot := t.slots[i&mask]
		// The low bits of an empty slot are noRank.
		if slot>>rankBits == key || slot == emptySlot {
			return uint32(slot & noRank)
		}
	}
}

// insert adds a pair that the table does not hold.
func (t *pairTable) insert(left, right, rank uint32) {
	key := uint64(left)<<symbolBits | uint64(right)
	mask := uint64(len(t.slots) - 1)
	i := key * fibonacci >> t.shift
	for t.slots[i&mask] != emptySlot {
		i++
	}
	t.slots[i&mask] = key<<rankBits | uint64(rank)
}
