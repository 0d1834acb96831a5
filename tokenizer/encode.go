package tokenizer

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/text/unicode/norm"

	"github.com/unimo-go/unimo/internal/base/pytext"
)

// lowerChunk is how much text is lower-cased at a time: the copy stays in the
// first-level cache and the pooled buffers stay small.
const lowerChunk = 16 << 10

// longestStretch is how far, beyond a chunk, a place is looked for at which a text falls into two. Natural text has one every few
// words. What has none, such as data in base64, is cut there nevertheless, so that its length costs no memory.
const longestStretch = 64 << 10

// Encode appends the ids of text to dst and returns the extended slice. It adds no special tokens:
// put [Tokenizer.CLS] and [Tokenizer.SEP] around the ids where a model wants them. Added tokens are
// found in the text (see the package comment). Bytes that are not UTF-8 are encoded as the bytes they
// are; WordPiece drops them.
//
// If dst has the capacity, Encode does not allocate, except for words of 128 bytes and more, and where
// WordPiece strips accents off text that is not ASCII.
func (t *Tokenizer) Encode(dst []int32, text string) []int32 {
	return t.encodeTo(dst, text, math.MaxInt)
}

// EncodeUpTo appends the first ids of text to dst, at most most of them: exactly those with which
// [Tokenizer.Encode] begins. more says that the text has others. It looks at little more of the text
// than these ids stand for, however long the text is.
func (t *Tokenizer) EncodeUpTo(dst []int32, text string, most int) (ids []int32, more bool) {
	limit := len(dst) + min(max(0, most), math.MaxInt-len(dst))
	if dst = t.encodeTo(dst, text, limit); len(dst) > limit {
		return dst[:limit], true
	}
	return dst, false
}

// encodeTo appends ids of text until dst has more than limit, or all of them.
func (t *Tokenizer) encodeTo(dst []int32, text string, limit int) []int32 {
	s := t.scratch.Get().(*scratch)
	if len(t.added) > 0 {
		dst = t.encodeAdded(dst, s, text, limit)
	} else {
		dst = t.encodeText(dst, s, text, limit)
	}
	s.shrink()
	t.scratch.Put(s)
	return dst
}

// encodeText is encodeTo for a text in which no added token is looked for.
func (t *Tokenizer) encodeText(dst []int32, s *scratch, text string, limit int) []int32 {
	if t.unigram != nil {
		for len(text) > 0 && len(dst) <= limit {
			part := text[:t.unigram.cut(text, lowerChunk)]
			dst, text = t.encodeUnigram(dst, s, part, limit), text[len(part):]
		}
		return dst
	}
	s.startWord()
	for len(text) > 0 && len(dst) <= limit {
		part := text[:t.cut(text, lowerChunk)]
		text = text[len(part):]
		if t.wordPieces != nil {
			dst = t.encodeWordPieces(dst, s, part, limit)
			continue
		}
		if t.lowerCase {
			s.lower = pytext.AppendLower(s.lower[:0], part)
			// The buffer is not written to before encode is done with it.
			part = unsafe.String(unsafe.SliceData(s.lower), len(s.lower))
		}
		dst = t.encode(dst, s, part, limit)
	}
	if t.wordPieces != nil {
		dst = t.endWord(dst, s)
	}
	return dst
}

// cut returns a length of at least about n, at which text falls into two that can be
// lower-cased and encoded apart, or n+longestStretch or a little less. A word of a text that has nothing of [divides] so far is cut, which shows
// in its tokens (but not with WordPiece, where a word goes on in the next part).
func (t *Tokenizer) cut(text string, n int) int {
	end := min(len(text), n+longestStretch)
	for i := n; i < end; i++ {
		if divides(text, i) {
			return i
		}
	}
	if end >= len(text) {
		return len(text)
	}
	if t.wordPieces != nil { // accents stay with their letters
		if more := norm.NFD.FirstBoundaryInString(text[end:]); more >= 0 {
			return end + more
		}
		return len(text)
	}
	for back := 0; back < utf8.UTFMax-1 && !utf8.RuneStart(text[end]); back++ {
		end--
	}
	return end
}

// divides says whether text falls at i into two that can be lower-cased and encoded apart: before white space that
// follows another character, and before punctuation that follows a letter and never stands inside a word. A word ends
// there in any case, and no sigma looks past it.
func divides(text string, i int) bool {
	if c := text[i]; c > ' ' && c < utf8.RuneSelf && byteClass[c] != classOther || c >= utf8.RuneSelf && !utf8.RuneStart(c) {
		return false // most bytes
	}
	r, _ := utf8.DecodeRuneInString(text[i:])
	switch space := runeClass(r) == classSpace; {
	case space:
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		return !unicode.IsSpace(before)
	case strings.ContainsRune(endOfWord, r):
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		return unicode.IsLetter(before) && before != 'İ' // which becomes a letter and a mark
	}
	return false
}

// endOfWord is punctuation that case does not look past.
const endOfWord = ",;!?()[]{}\"、。，！？；（）《》「」"

// encode appends ids of text as it is.
func (t *Tokenizer) encode(dst []int32, s *scratch, text string, limit int) []int32 {
	whole := t.wholeWords(len(text))
	for i := 0; i < len(text) && len(dst) <= limit; {
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
