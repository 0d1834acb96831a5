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

// wordTable finds the id of a word that merging makes one piece: of most words of
// ordinary text. It is filled at once, so that looking up needs no lock, and what it
// does not hold is merged. Its 16-byte slots are at most half full.
type wordTable struct {
	slots []wordSlot
	shift uint8 // 64 - log2(len(slots))
}

type wordSlot struct {
	key      uint64 // of wordKey
	start    uint32 // of the word's bytes in Tokenizer.raw
	idLength uint32 // id<<7 | length of the word; a length of 0 where there is nothing
}

// wordLengthBits is enough for words below longWord, and leaves room for every id.
const wordLengthBits = 7

func newWordTable(n int) wordTable {
	log := bits.Len(uint(n)) + 1
	return wordTable{make([]wordSlot, 1<<log), uint8(64 - log)}
}

// wordKey returns the bytes text[i:end] as one number if there are at most 8, otherwise
// a hash of their first and last 8. end must be above i.
func wordKey(text string, i, end int) uint64 {
	n := end - i
	if n > 8 {
		return load64(text, i)*fibonacci ^ bits.RotateLeft64(load64(text, end-8), 23)
	}
	if i+8 <= len(text) {
		return load64(text, i) & (1<<(8*n) - 1)
	}
	key := uint64(0)
	for n--; n >= 0; n-- {
		key = key<<8 | uint64(text[i+n])
	}
	return key
}

// load64 returns the 8 bytes at text[i], the first one lowest. The compiler makes one
// load of it.
func load64(text string, i int) uint64 {
	s := text[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// start returns where the search for a key begins; the length tells "a" from "a\x00".
func (t *wordTable) start(key uint64, length int) uint64 {
	return (key ^ uint64(length)) * fibonacci >> t.shift
}

// insert adds a word that the table does not hold.
func (t *wordTable) insert(word string, id int32, start uint32) {
	key, mask := wordKey(word, 0, len(word)), uint64(len(t.slots)-1)
	i := t.start(key, len(word))
	for t.slots[i&mask].idLength != 0 {
		i++
	}
	t.slots[i&mask] = wordSlot{key, start, uint32(id)<<wordLengthBits | uint32(len(word))}
}

// find returns the id of the word text[i:end]; raw holds the words' bytes.
func (t *wordTable) find(raw []byte, text string, i, end int) (id int32, ok bool) {
	key, length := wordKey(text, i, end), end-i
	mask := uint64(len(t.slots) - 1)
	for at := t.start(key, length); ; at++ {
		slot := &t.slots[at&mask]
		if slot.idLength == 0 {
			return 0, false
		}
		if slot.key == key && int(slot.idLength&(1<<wordLengthBits-1)) == length &&
			(length <= 8 || string(raw[slot.start:int(slot.start)+length]) == text[i:end]) {
			return int32(slot.idLength >> wordLengthBits), true
		}
	}
}
