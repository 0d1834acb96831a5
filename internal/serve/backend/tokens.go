package backend

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/unimo-go/unimo/tokenizer"
)

// tokens cuts a text into tokens. A vocabulary may change letters (to small ones, without accents), so a token's place is found by its letters:
// where these are not next, it is not known.
func tokens(t *tokenizer.Tokenizer, text string, special bool) []Token {
	ids := t.Encode(nil, text)
	list := make([]Token, 0, len(ids)+2)
	if special {
		list = append(list, Token{ID: int(t.CLS()), Text: t.Token(t.CLS()), Special: true})
	}
	at := 0
	for _, id := range ids {
		tok := Token{ID: int(id), Text: t.Token(id), Special: t.Special(id), Start: -1, Stop: -1}
		if start, stop, ok := place(text, at, t.DecodeString([]int32{id})); ok {
			tok.Start, tok.Stop, at = start, stop, stop
		}
		list = append(list, tok)
	}
	if special {
		list = append(list, Token{ID: int(t.SEP()), Text: t.Token(t.SEP()), Special: true, Start: len(text), Stop: len(text)})
	}
	return list
}

// place finds letters in a text from a byte on, behind spaces and little else.
func place(text string, at int, letters string) (start, stop int, ok bool) {
	letters = strings.TrimSpace(letters)
	if letters == "" {
		return 0, 0, false
	}
	const near = 64 // bytes that may have been left out, or may be of a token whose place is not known
	for start = at; start < len(text) && start-at <= near; {
		if stop, ok = prefix(text, start, letters); ok {
			return start, stop, true
		}
		_, size := utf8.DecodeRuneInString(text[start:])
		start += size
	}
	return 0, 0, false
}

// prefix says whether the text goes on with letters, be they small or large, and where these end.
func prefix(text string, at int, letters string) (stop int, ok bool) {
	for _, want := range letters {
		r, size := utf8.DecodeRuneInString(text[at:])
		if size == 0 || r != want && unicode.ToLower(r) != unicode.ToLower(want) {
			return 0, false
		}
		at += size
	}
	return at, true
}
