package tokenizer

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Decode appends the bytes that ids stand for to dst and returns the extended slice. Special tokens
// give their names. The bytes of a character may be spread over several ids, so a part of a text need
// not be UTF-8. An id outside the vocabulary gives the name of [UNK]; see [Tokenizer.Check].
//
// WordPiece does not know where spaces were: there is one before each word, but none at the start, where dst is empty,
// nor beside a character of Chinese or Japanese; what dst ends with counts.
func (t *Tokenizer) Decode(dst []byte, ids []int32) []byte {
	for _, id := range ids {
		text := t.bytes(id)
		if t.wordPieces != nil && len(text) > 1 && text[0] == ' ' {
			before, _ := utf8.DecodeLastRune(dst)
			if after, _ := utf8.DecodeRune(text[1:]); len(dst) == 0 || unspaced(before) || unspaced(after) {
				text = text[1:]
			}
		}
		dst = append(dst, text...)
	}
	return dst
}

// unspaced says whether r is of a script that is written without spaces, or its punctuation.
func unspaced(r rune) bool {
	return r > 0x2E7F && (unicode.Is(cjk, r) || unicode.In(r, unicode.Hiragana, unicode.Katakana) || 0x3000 <= r && r <= 0x303F || 0xFF00 <= r && r <= 0xFFEF && r != utf8.RuneError)
}

// DecodeString returns the text of ids as valid UTF-8. Bytes that are not UTF-8 become U+FFFD, one for
// each maximal part that starts a character without ending it, as with Python's errors="replace" and
// in the Unicode standard (table 3-8).
func (t *Tokenizer) DecodeString(ids []int32) string {
	raw := t.Decode(nil, ids)
	if utf8.Valid(raw) {
		return string(raw)
	}
	text := make([]byte, 0, len(raw)+16)
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		if r == utf8.RuneError && size == 1 {
			size = illFormed(raw)
		}
		text = utf8.AppendRune(text, r)
		raw = raw[size:]
	}
	return string(text)
}

// Check returns an error that names the first of ids outside the vocabulary, nil if all are in it.
func (t *Tokenizer) Check(ids []int32) error {
	for i, id := range ids {
		if uint32(id) >= uint32(t.VocabSize()) {
			return fmt.Errorf("token %d of %d: id %d is not in the vocabulary of %d", i, len(ids), id, t.VocabSize())
		}
	}
	return nil
}

// illFormed returns the length of the maximal subpart at the start of raw, which does
// not start with a character: the longest prefix that some character has too, or 1.
func illFormed(raw []byte) int {
	// The first continuation byte of some leading bytes has narrower bounds (table 3-7).
	need, low, high := 0, byte(0x80), byte(0xBF)
	switch c := raw[0]; {
	case 0xC2 <= c && c <= 0xDF:
		need = 1
	case 0xE0 <= c && c <= 0xEF:
		need = 2
		if c == 0xE0 {
			low = 0xA0
		} else if c == 0xED {
			high = 0x9F
		}
	case 0xF0 <= c && c <= 0xF4:
		need = 3
		if c == 0xF0 {
			low = 0x90
		} else if c == 0xF4 {
			high = 0x8F
		}
	}
	n := 1
	for n <= need && n < len(raw) && low <= raw[n] && raw[n] <= high {
		n++
		low, high = 0x80, 0xBF
	}
	return n
}
