package tokenizer

import (
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/unimo-go/unimo/internal/pytext"
)

// lowerChunk is how much text is lower-cased at a time: the copy stays in the
// first-level cache and the pooled buffers stay small.
const lowerChunk = 16 << 10

// Encode appends the ids of text to dst and returns the extended slice. It adds no
// special tokens; the added tokens of the vocabulary are found in the text, those of UNIMO's
// own files excepted, where the name of a special token is text like any other. Bytes that
// are not UTF-8 are encoded as the bytes they are; WordPiece drops them. If dst has the
// capacity, Encode does not allocate, except for words of 128 bytes and more, and where
// WordPiece strips accents off text that is not ASCII. It may be called concurrently.
func (t *Tokenizer) Encode(dst []int32, text string) []int32 {
	s := t.scratch.Get().(*scratch)
	if len(t.added) > 0 {
		dst = t.encodeAdded(dst, s, text)
	} else {
		dst = t.encodeText(dst, s, text)
	}
	s.shrink()
	t.scratch.Put(s)
	return dst
}

// encodeText is Encode for a text in which no added token is looked for.
func (t *Tokenizer) encodeText(dst []int32, s *scratch, text string) []int32 {
	for len(text) > 0 {
		part := text[:cut(text, lowerChunk)]
		text = text[len(part):]
		if t.wordPieces != nil {
			dst = t.encodeWordPieces(dst, s, part)
			continue
		}
		if t.lowerCase {
			s.lower = pytext.AppendLower(s.lower[:0], part)
			// The buffer is not written to before encode is done with it.
			part = unsafe.String(unsafe.SliceData(s.lower), len(s.lower))
		}
		dst = t.encode(dst, s, part)
	}
	return dst
}

// cut returns a length of at least about n, at which text falls into two that can be
// lower-cased and encoded apart: before a space that follows another character. A word
// starts there in any case, and no sigma looks past a space.
func cut(text string, n int) int {
	for i := n; i < len(text); i++ {
		if text[i] != ' ' {
			continue
		}
		if before, _ := utf8.DecodeLastRuneInString(text[:i]); !unicode.IsSpace(before) {
			return i
		}
	}
	return len(text)
}

// encode appends the ids of text as it is.
func (t *Tokenizer) encode(dst []int32, s *scratch, text string) []int32 {
	whole := t.wholeWords(len(text))
	for i := 0; i < len(text); {
		end := wordEnd(text, i)
		if id, ok := whole.find(t.raw, text, i, end); ok {
			dst = append(dst, id)
			i = end
			continue
		}
		for _, symbol := range t.mergeWord(s, text[i:end]) {
			dst = append(dst, t.pieces[symbol].id)
		}
		i = end
	}
	return dst
}
