package tokenizer

import (
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Names of the special tokens that every vocabulary has.
const (
	nameCLS  = "[CLS]"
	namePAD  = "[PAD]"
	nameSEP  = "[SEP]"
	nameUNK  = "[UNK]"
	nameMASK = "[MASK]"
)

// Tokenizer turns text into ids and back. [Load], [LoadHuggingFace] and [Train] make one. It does not
// change: any number of goroutines may use it at once. The zero value is not usable.
type Tokenizer struct {
	parts

	whole   atomic.Pointer[wordTable] // nil until wholeWords makes it
	fill    sync.Once                 // of whole
	encoded atomic.Int64              // bytes of text until then

	scratch sync.Pool // of *scratch
}

// parts is what a tokenizer is made of.
type parts struct {
	lowerCase bool
	caseKnown bool                       // the files say so; else it is the default
	config    map[string]json.RawMessage // tokenizer_config.json, for Save to keep

	added         []addedToken // by id; see added.go
	plain, normal *trie        // of those looked for before and after normalizing, nil without any
	splitSpecial  bool         // special ones in a text are text

	words                    []word
	raw                      []byte // the bytes of all words, one after another
	cls, pad, sep, unk, mask int32

	wordPieces *wordPieces // of WordPiece, else nil
	unigram    *unigram    // of Unigram, else nil; byte-level BPE alone has merges

	pieces     []piece // by symbol, in ascending order of BPE id
	byteSymbol [256]uint32
	merges     []merge // by rank
	pairs      pairTable
	bytePairs  []uint32 // the ranks of pairs of bytes, by left<<8 | right
}

// newOf makes a tokenizer of its parts.
func newOf(p parts) *Tokenizer {
	t := &Tokenizer{parts: p}
	t.scratch.New = func() any { return new(scratch) }
	return t
}

// word is what one UNIMO id stands for.
type word struct {
	symbol     uint32 // the piece, or special
	name       string // of a special token
	start, end uint32 // its bytes in raw
}

// special is the symbol of a word that is a special token.
const special = ^uint32(0)

// piece is a byte string that merging can end in, an entry of encoder.json; or a piece
// of WordPiece.
type piece struct {
	token string // in the characters of the alphabet; of WordPiece, as in vocab.txt
	bpe   int32
	id    int32 // UNIMO id; that of [UNK] if vocab.txt leaves the piece out
}

// newTokenizer builds the tables for parts that the readers have checked: pieces in
// ascending order of BPE id with every byte among them, merges between pieces, words
// with every special token. Of pieces that are added tokens the name is the text.
func newTokenizer(pieces []piece, merges []merge, words []word, added []addedToken) *Tokenizer {
	asTheyAre := make(map[string]bool, len(added))
	for _, a := range added {
		asTheyAre[a.Content] = true
	}
	for _, m := range merges { // what merging makes is written in the alphabet
		delete(asTheyAre, pieces[m.result].token)
	}
	t := newWords(pieces, words, func(dst []byte, token string) []byte {
		if asTheyAre[token] {
			return append(dst, token...)
		}
		dst, _ = appendRaw(dst, token)
		return dst
	})
	t.merges = merges
	for symbol, p := range pieces {
		if b, ok := singleByte(p.token); ok {
			t.byteSymbol[b] = uint32(symbol)
		}
	}
	t.pairs = newPairTable(len(merges))
	for rank, m := range merges {
		t.pairs.insert(m.left, m.right, uint32(rank))
	}
	t.bytePairs = make([]uint32, 1<<16)
	for left, l := range t.byteSymbol {
		for right, r := range t.byteSymbol {
			t.bytePairs[left<<8|right] = t.pairs.rank(l, r)
		}
	}
	return t
}

// newWords is what newTokenizer does for both kinds; appendText appends the text of a
// piece.
func newWords(pieces []piece, words []word, appendText func(dst []byte, token string) []byte) *Tokenizer {
	t := newOf(parts{lowerCase: true, words: words, pieces: pieces})
	for id, w := range words {
		if w.symbol != special {
			continue
		}
		switch w.name {
		case nameCLS:
			t.cls = int32(id)
		case namePAD:
			t.pad = int32(id)
		case nameSEP:
			t.sep = int32(id)
		case nameUNK:
			t.unk = int32(id)
		case nameMASK:
			t.mask = int32(id)
		}
	}
	for i := range pieces {
		pieces[i].id = t.unk
	}
	for id := range words {
		w := &words[id]
		w.start = uint32(len(t.raw))
		if w.symbol == special {
			t.raw = append(t.raw, w.name...)
		} else {
			pieces[w.symbol].id = int32(id)
			t.raw = appendText(t.raw, pieces[w.symbol].token)
		}
		w.end = uint32(len(t.raw))
	}
	return t
}

// manyBytes is the amount of text from which on [Tokenizer.findWholeWords] pays: for the
// released vocabulary it takes 20 ms and then saves 22 ns a byte. A program that
// answers one question does without.
const manyBytes = 1 << 20

// noWords is an empty table.
var noWords = newWordTable(0)

// wholeWords returns the table of words that are one piece, for a text of n bytes; it
// is empty until there was much text.
func (t *Tokenizer) wholeWords(n int) *wordTable {
	if whole := t.whole.Load(); whole != nil {
		return whole
	}
	if t.encoded.Add(int64(n)) < manyBytes {
		return &noWords
	}
	t.fill.Do(func() { t.whole.Store(t.findWholeWords()) })
	return t.whole.Load()
}

// findWholeWords makes the table of words that are one piece. Being a piece is not
// enough: the merges must lead to it.
func (t *Tokenizer) findWholeWords() *wordTable {
	whole := newWordTable(len(t.words))
	var s scratch
	for id := range t.words {
		w := &t.words[id]
		text := string(t.raw[w.start:w.end])
		if w.symbol == special || len(text) >= longWord || wordEnd(text, 0) != len(text) {
			continue
		}
		if symbols := t.mergeWord(&s, text); len(symbols) == 1 && symbols[0] == w.symbol {
			whole.insert(text, int32(id), w.start)
		}
	}
	return &whole
}

// singleByte returns the byte that token stands for, if it is one.
func singleByte(token string) (byte, bool) {
	var buffer [4]byte
	if len(token) > len("ń") {
		return 0, false
	}
	raw, ok := appendRaw(buffer[:0], token)
	if !ok || len(raw) != 1 {
		return 0, false
	}
	return raw[0], true
}

// VocabSize returns the number of ids: they run from 0 to VocabSize()-1.
func (t *Tokenizer) VocabSize() int { return len(t.words) }

// CLS returns the id of [CLS], which starts a sequence.
func (t *Tokenizer) CLS() int32 { return t.cls }

// PAD returns the id of [PAD], which fills a batch.
func (t *Tokenizer) PAD() int32 { return t.pad }

// SEP returns the id of [SEP], which ends a segment.
func (t *Tokenizer) SEP() int32 { return t.sep }

// UNK returns the id of [UNK], for a piece that is not in the vocabulary.
func (t *Tokenizer) UNK() int32 { return t.unk }

// MASK returns the id of [MASK], which hides a token and ends a generated text.
func (t *Tokenizer) MASK() int32 { return t.mask }

// LowerCase says whether [Tokenizer.Encode] lower-cases.
func (t *Tokenizer) LowerCase() bool { return t.lowerCase }

// WithLowerCase returns a tokenizer of the same vocabulary whose Encode lower-cases if on, and keeps
// letter case otherwise. It shares the tables of t, and is t where nothing changes.
func (t *Tokenizer) WithLowerCase(on bool) *Tokenizer {
	if t.lowerCase == on {
		return t
	}
	other := newOf(t.parts)
	other.lowerCase = on
	other.matchAdded()
	other.whole.Store(t.whole.Load()) // which does not depend on it
	return other
}

// Token returns the printable form of id, one character a byte ("Ġ" for a space), or the name of a
// special token such as [CLS]. An id outside the vocabulary gives the name of [UNK].
func (t *Tokenizer) Token(id int32) string {
	switch w := t.word(id); {
	case w.symbol == special:
		return w.name
	default:
		return t.pieces[w.symbol].token
	}
}

// VocabLine returns the line of vocab.txt for id, as files of data encoded for UNIMO's own programs
// have it: the BPE id in decimal, or the name of a special token; of WordPiece, the token itself. An id
// outside the vocabulary gives the name of [UNK].
func (t *Tokenizer) VocabLine(id int32) string {
	w := t.word(id)
	if w.symbol == special || t.wordPieces != nil {
		return t.Token(id)
	}
	return strconv.Itoa(int(t.pieces[w.symbol].bpe))
}

// FromVocabLine returns the id for a line of vocab.txt, the inverse of [Tokenizer.VocabLine]. ok is
// false for what vocab.txt does not have.
func (t *Tokenizer) FromVocabLine(line string) (id int32, ok bool) {
	if t.wordPieces != nil {
		if id, ok = t.wordPieces.ids[line]; ok {
			return id, true
		}
		return t.findAdded(line)
	}
	bpe, ok := decimal(line)
	if !ok {
		at := slices.IndexFunc(t.words, func(w word) bool { return w.symbol == special && w.name == line })
		return int32(at), at >= 0
	}
	symbol, ok := findPiece(t.pieces, bpe)
	if !ok {
		return -1, false
	}
	id = t.pieces[symbol].id
	return id, t.words[id].symbol == uint32(symbol) // not [UNK] for a piece left out
}

// StartsWord says whether the text of id starts with a space, as that of the first piece of a word
// does unless the word begins the text.
func (t *Tokenizer) StartsWord(id int32) bool {
	raw := t.bytes(id)
	return len(raw) > 0 && raw[0] == ' '
}

// Special says whether id is a special token such as [CLS], or outside the vocabulary.
func (t *Tokenizer) Special(id int32) bool { return t.word(id).symbol == special }

// Continues says whether the text of id goes on with the word of the token before it, such as "ing"
// after " sing": it begins with a letter, a digit or a byte that is not ASCII.
func (t *Tokenizer) Continues(id int32) bool {
	raw := t.bytes(id)
	return !t.Special(id) && len(raw) > 0 && inWord(raw[0])
}

// Punctuation says whether the text of id is marks and white space alone, such as " (": no letter, no
// digit and no byte that is not ASCII. It is false for special tokens.
func (t *Tokenizer) Punctuation(id int32) bool {
	return !t.Special(id) && !slices.ContainsFunc(t.bytes(id), inWord)
}

// inWord says whether b is an ASCII letter or digit, or not ASCII.
func inWord(b byte) bool {
	return b >= utf8.RuneSelf || byteClass[b] == classLetter || byteClass[b] == classNumber
}

// word returns the word of id, or that of [UNK].
func (t *Tokenizer) word(id int32) *word {
	if uint32(id) >= uint32(len(t.words)) {
		id = t.unk
	}
	return &t.words[id]
}

// bytes returns the bytes of id, which the caller must not change.
func (t *Tokenizer) bytes(id int32) []byte {
	w := t.word(id)
	return t.raw[w.start:w.end]
}
