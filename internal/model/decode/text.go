package decode

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Vocabulary is what generation needs of a tokenizer.
type Vocabulary interface {
	VocabSize() int
	CLS() int32  // starts a target
	MASK() int32 // ends it
	PAD() int32
	UNK() int32

	// StartsWord says whether the text of id starts with a space.
	StartsWord(id int32) bool

	// Decode appends the bytes that ids stand for; DecodeString gives them as valid UTF-8.
	Decode(dst []byte, ids []int32) []byte
	DecodeString(ids []int32) string
}

// Text returns the text that ids stand for: without special tokens ([SEP] is none here), and with
// each run of white space as one space.
func Text(v Vocabulary, ids []int32) string {
	s := stream{vocabulary: v}
	return s.write(ids) + s.close()
}

// stream makes text of ids that come one after another. What it returns, put together, is
// the text of all of them.
type stream struct {
	vocabulary Vocabulary
	pending    []int32 // whose bytes end inside a character
	last       []int32 // the token before them, if any: the text of a token may depend on it
	space      bool    // the text so far ends with white space
}

// write returns the text that more ids make final.
func (s *stream) write(ids []int32) string {
	for _, id := range ids {
		if !special(s.vocabulary, id) {
			s.pending = append(s.pending, id)
		}
	}
	if unfinished(s.vocabulary.Decode(nil, s.pending)) {
		return ""
	}
	return s.close()
}

// close returns the text of what is pending.
func (s *stream) close() string {
	var b strings.Builder
	before := len(s.vocabulary.DecodeString(s.last))
	for _, r := range s.vocabulary.DecodeString(append(s.last, s.pending...))[before:] {
		space := isSpace(r)
		switch {
		case !space:
			b.WriteRune(r)
		case !s.space:
			b.WriteByte(' ')
		}
		s.space = space
	}
	if n := len(s.pending); n > 0 {
		s.last = append(s.last[:0], s.pending[n-1])
	}
	s.pending = s.pending[:0]
	return b.String()
}

func special(v Vocabulary, id int32) bool {
	return id == v.CLS() || id == v.MASK() || id == v.PAD() || id == v.UNK()
}

// isSpace says whether r is white space as Python's re has it.
func isSpace(r rune) bool { return unicode.IsSpace(r) || 0x1C <= r && r <= 0x1F }

// unfinished says whether raw ends with the start of a character.
func unfinished(raw []byte) bool {
	for i := len(raw) - 1; i >= max(0, len(raw)-utf8.UTFMax+1); i-- {
		if utf8.RuneStart(raw[i]) {
			return !utf8.FullRune(raw[i:])
		}
	}
	return false
}
