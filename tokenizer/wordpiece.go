package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/text/unicode/norm"
)

// wordPieces is what the WordPiece of BERT has instead of merges.
type wordPieces struct {
	ids          map[string]int32 // by token, with its ##; added tokens that are no pieces are not in it
	size         int              // of vocab.txt: the ids from here on are added tokens
	longest      int              // token, in bytes
	stripAccents *bool            // nil: where text is lower-cased
	keepCJK      bool             // within words; BERT makes a word of every CJK character
	splitSymbols bool             // PaddleNLP makes a word of every symbol too
}

const (
	// prefix marks a piece that does not start a word.
	prefix = "##"
	// longestWord is the most characters of a word that is cut into pieces.
	longestWord = 100
)

// continuation says whether token is a piece that does not start a word.
func continuation(token string) bool {
	return len(token) > len(prefix) && strings.HasPrefix(token, prefix)
}

// newWordPiece builds the tables for the tokens of a vocabulary that the reader has checked:
// every special token is among them. Those from size on are added tokens. Of equal tokens the last
// one is used, as by Hugging Face.
func newWordPiece(tokens []string, size int) *Tokenizer {
	p := &wordPieces{ids: make(map[string]int32, size), size: size}
	words, pieces := make([]word, len(tokens)), make([]piece, 0, len(tokens))
	for id, token := range tokens {
		if id < size {
			p.ids[token] = int32(id)
			p.longest = max(p.longest, len(token))
		}
		if bracketed(token) {
			words[id] = word{symbol: special, name: token}
			continue
		}
		words[id].symbol = uint32(len(pieces))
		pieces = append(pieces, piece{token: token, bpe: int32(id)})
	}
	t := newWords(pieces, words, appendPiece)
	t.wordPieces = p
	return t
}

// appendPiece appends the text of a piece: its word's space, except before the
// punctuation that English writes without one, and what is left without the prefix.
func appendPiece(dst []byte, token string) []byte {
	switch {
	case continuation(token):
		return append(dst, token[len(prefix):]...)
	case len(token) == 1 && strings.Contains(".,!?", token):
		return append(dst, token...)
	}
	return append(append(dst, ' '), token...)
}

// stripsAccents says whether Encode drops marks such as accents.
func (t *Tokenizer) stripsAccents() bool {
	if strip := t.wordPieces.stripAccents; strip != nil {
		return *strip
	}
	return t.lowerCase
}

// encodeWordPieces appends the ids of text: its words, cut at white space, punctuation and CJK
// characters, each as the longest pieces from left to right. A word at the end may go on in the text that follows; endWord
// is its end.
func (t *Tokenizer) encodeWordPieces(dst []int32, s *scratch, text string, limit int) []int32 {
	strip := t.stripsAccents()
	if strip {
		s.lower = norm.NFD.AppendString(s.lower[:0], text)
		text = unsafe.String(unsafe.SliceData(s.lower), len(s.lower))
	}
	for i := 0; i < len(text) && len(dst) <= limit; {
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		class := t.wordPieces.class(r, strip)
		if class == bertOther && t.wordPieces.splitSymbols && t.isSymbol(r) {
			class = bertAlone
		}
		switch class {
		case bertDropped, bertMark:
			continue
		case bertSpace:
			dst = t.endWord(dst, s)
			continue
		case bertAlone, bertCJK:
			dst = t.endWord(dst, s)
		}
		if s.letters <= longestWord { // beyond, the word is too long, however long
			if t.lowerCase && r == 'İ' { // the one letter that becomes two
				s.word = append(s.word, 'i')
				s.letters++
				r = '\u0307'
			} else if t.lowerCase {
				r = unicode.ToLower(r)
			}
			s.word = utf8.AppendRune(s.word, r)
			s.letters++
		}
		if class != bertOther {
			dst = t.endWord(dst, s)
		}
	}
	return dst
}

// startWord makes room for a word. The prefix in front of its rest takes the place of the characters before it.
func (s *scratch) startWord() { s.word, s.letters = append(s.word[:0], prefix...), 0 }

// endWord appends the ids of the word that was read, if there is one.
func (t *Tokenizer) endWord(dst []int32, s *scratch) []int32 {
	if s.letters > 0 {
		dst = t.appendPieces(dst, s.word, s.letters)
		s.startWord()
	}
	return dst
}

// appendPieces appends the ids of a word, which stands in buffer after the prefix, or
// [UNK] if it is too long or no pieces make it up. It changes the buffer.
func (t *Tokenizer) appendPieces(dst []int32, buffer []byte, characters int) []int32 {
	start, first := len(dst), len(prefix)
	if characters > longestWord {
		return append(dst, t.unk)
	}
	for at := first; at < len(buffer); {
		from := at
		if at > first {
			from -= copy(buffer[at-len(prefix):], prefix)
		}
		id, ok := int32(0), false
		end := min(len(buffer), from+t.wordPieces.longest)
		for ; end > at && !ok; end-- {
			id, ok = t.wordPieces.ids[string(buffer[from:end])]
		}
		if !ok {
			return append(dst[:start], t.unk)
		}
		dst = append(dst, id)
		at = end + 1
	}
	return dst
}

// The classes of characters that BERT tells apart.
const (
	bertOther   = iota
	bertDropped // controls, formats, private use, U+FFFD, and so what is not UTF-8
	bertSpace   // white space
	bertAlone   // punctuation
	bertCJK
	bertMark // a nonspacing mark, dropped with accents
)

// class is bertClass with the settings in force.
func (p *wordPieces) class(r rune, strip bool) uint8 {
	class := bertClass(r)
	if class == bertCJK && p.keepCJK || class == bertMark && !strip {
		class = bertOther
	}
	return class
}

// isSymbol says whether r, which is no punctuation, stands alone in PaddleNLP.
func (t *Tokenizer) isSymbol(r rune) bool {
	if t.lowerCase {
		r = unicode.ToLower(r)
	}
	return unicode.IsSymbol(r) || strings.ContainsRune("\u00b2\u00ba\u3007\u00b5\u00d8\u014b\u01b1", r) || 0x2B820 <= r && r <= 0x2B91F // CJK; see cjk
}

// appendLowerRune appends r in lower case, by itself.
func appendLowerRune(dst []byte, r rune) []byte {
	if r == 'İ' { // the one letter that becomes two
		return append(dst, "i\u0307"...)
	}
	return utf8.AppendRune(dst, unicode.ToLower(r))
}

var asciiBERTClass = func() (class [utf8.RuneSelf]uint8) {
	for r := range rune(utf8.RuneSelf) {
		switch {
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			class[r] = bertSpace
		case r < ' ' || r == 0x7F:
			class[r] = bertDropped
		case unicode.IsPunct(r) || unicode.IsSymbol(r):
			class[r] = bertAlone
		}
	}
	return class
}()

func bertClass(r rune) uint8 {
	switch {
	case r < utf8.RuneSelf:
		return asciiBERTClass[r]
	case r == utf8.RuneError, unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
		return bertDropped
	case unicode.IsSpace(r):
		return bertSpace
	case unicode.IsPunct(r):
		return bertAlone
	case unicode.Is(cjk, r):
		return bertCJK
	case unicode.Is(unicode.Mn, r):
		return bertMark
	}
	return bertOther
}

// cjk is what Hugging Face's BERT takes for CJK ideographs; Google's had U+2B820 to U+2B91F too.
var cjk = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x3400, Hi: 0x4DBF, Stride: 1}, {Lo: 0x4E00, Hi: 0x9FFF, Stride: 1}, {Lo: 0xF900, Hi: 0xFAFF, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0x20000, Hi: 0x2A6DF, Stride: 1}, {Lo: 0x2A700, Hi: 0x2B73F, Stride: 1}, {Lo: 0x2B740, Hi: 0x2B81F, Stride: 1},
		{Lo: 0x2B920, Hi: 0x2CEAF, Stride: 1}, {Lo: 0x2F800, Hi: 0x2FA1F, Stride: 1}},
}
