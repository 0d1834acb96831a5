// Package ptb is the tokenizer that COCO's evaluation of captions calls: Stanford's PTBTokenizer of CoreNLP
// 3.4.1 with -preserveLines -lowerCase, and a list of punctuation to leave out.
//
// Its scanner is one deterministic automaton. The rules here give the same one, with the same outcome in
// every state.
package ptb

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"

	"github.com/unimo-go/unimo/internal/base/pytext"
)

var lexer = sync.OnceValue(newLexer)

// removed are the words that do not count. The program lists -LRB- and its like too, which do not occur
// in lower case.
var removed = map[string]bool{
	"''": true, "'": true, "``": true, "`": true, ".": true, "?": true, "!": true, ",": true, ":": true, "-": true, "--": true, "...": true, ";": true,
}

// maxWord bounds a word and what decides about it, in UTF-16 units: rules look far for an "@" or a quotation mark.
const maxWord = 1000

// Words returns the words of each caption. As in the program, what follows a caption is the next one:
// some full stops belong to a word or not depending on that.
func Words(captions []string) [][]string {
	l := lexer()
	var text []uint16
	ends := make([]int, len(captions))
	for i, c := range captions {
		text = append(text, utf16.Encode([]rune(strings.ReplaceAll(c, "\n", " ")))...)
		ends[i] = len(text)
		text = append(text, '\n')
	}
	text = text[:max(0, len(text)-1)] // the last line of the program's file has no end
	words := make([][]string, len(captions))
	i := 0
	for at := 0; at < len(text); {
		rule, end := l.Match(text[:min(len(text), at+maxWord)], at)
		if rule < 0 {
			at++ // no rule knows the character
			continue
		}
		for at > ends[i] {
			i++
		}
		if form := rules[rule].form; form != gap {
			token, back := form.token(text[at:end])
			end -= back
			words[i] = append(words[i], pytext.Lower(token))
		}
		at = end
	}
	for i, list := range words {
		if n := len(list); n > 0 { // the program strips its lines
			list[n-1] = strings.TrimRightFunc(list[n-1], pytext.IsSpace)
		}
		words[i] = slices.DeleteFunc(list, func(w string) bool { return removed[w] })
	}
	return words
}

// fixed are the tokens of forms that have one each.
var fixed = map[form]string{
	dash: "--", ellipsis: "...", less: "<", greater: ">", roundOpen: "-LRB-", roundClose: "-RRB-", squareOpen: "-LSB-", squareClose: "-RSB-",
	curlyOpen: "-LCB-", curlyClose: "-RCB-",
}

var (
	parentheses = strings.NewReplacer("(", "-LRB-", ")", "-RRB-")
	glyphs      = strings.NewReplacer("¼", `1/4`, "½", `1/2`, "¾", `3/4`, "⅓", `1/3`, "⅔", `2/3`)
	currencies  = strings.NewReplacer("¢", "cents", "£", "#", "\u0080", "$", "¤", "$", "₠", "$", "€", "$")
	ampersands  = regexp.MustCompile(`(?i)&amp;`)
	unspace     = strings.NewReplacer(" ", "\u00a0")
	quotes      = strings.NewReplacer("\u0091", "`", "‘", "`", "‛", "`", "‹", "`", "\u0092", "'", "’", "'", "›", "'",
		"\u0093", "``", "“", "``", "«", "``", "\u0094", "''", "”", "''", "»", "''")
	opened = strings.NewReplacer("&apos;", "`", "'", "`", `"`, "``", "&quot;", "``")
	closed = strings.NewReplacer("&apos;", "'", `"`, "''", "&quot;", "''")
)

// token returns what becomes of a match, and how much of its end is read again.
func (f form) token(match []uint16) (token string, again int) {
	s := string(utf16.Decode(match))
	if token, known := fixed[f]; known {
		return token, 0
	}
	switch f {
	case unhyphen:
		return unhyphened(s), 0
	case opening:
		return quotes.Replace(opened.Replace(s)), 0
	case closing:
		return quotes.Replace(closed.Replace(s)), 0
	case glyph:
		return glyphs.Replace(s), 0
	case money:
		return currencies.Replace(s), 0
	case ampersand:
		return ampersands.ReplaceAllString(s, "&"), 0
	case unspaced:
		return unspace.Replace(s), 0
	case brackets:
		return parentheses.Replace(unspace.Replace(s)), 0
	case dashes:
		if len(s) == 3 || len(s) == 4 {
			return "--", 0
		}
	case dotTwice:
		return s, 1
	case acronym:
		if len(s) == 2 {
			return s[:1], 1
		}
		return s, 1
	}
	return s, 0
}

// unhyphened drops soft hyphens; a word of nothing else is a hyphen.
func unhyphened(s string) string {
	if s = strings.ReplaceAll(s, "\u00ad", ""); s == "" {
		return "-"
	}
	return s
}
