package pytext

import (
	"unicode"
	"unicode/utf8"
)

// Lower returns s in lower case, see [AppendLower].
func Lower(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return string(AppendLower(make([]byte, 0, len(s)), s))
		}
	}
	return s
}

// AppendLower appends s in lower case as Python's str.lower writes it: the simple
// mapping of each character, except that 'İ' becomes an i and a dot (U+0307) and a
// 'Σ' that ends a word becomes 'ς'. Bytes that are not UTF-8 stay as they are.
func AppendLower(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, c)
		case r == 'İ':
			dst = append(dst, "i\u0307"...)
		case r == 'Σ' && endsWord(s, i, i+size):
			dst = append(dst, "ς"...)
		default:
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
		i += size
	}
	return dst
}

// endsWord says whether the character s[start:end] is in the context Final_Sigma of
// the Unicode standard (table 3-17): a cased letter before it and none after it,
// looking past characters that case ignores.
func endsWord(s string, start, end int) bool {
	before, after := false, false
	for start > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:start])
		if !caseIgnorable(r) {
			before = cased(r)
			break
		}
		start -= size
	}
	for before && end < len(s) {
		r, size := utf8.DecodeRuneInString(s[end:])
		if !caseIgnorable(r) {
			after = cased(r)
			break
		}
		end += size
	}
	return before && !after
}

// cased is the Unicode property Cased.
func cased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

// caseIgnorable is the Unicode property Case_Ignorable: marks, format characters,
// modifiers, and the punctuation that stands inside words.
func caseIgnorable(r rune) bool {
	switch r {
	case '\'', '.', ':', '\u00B7', '\u0387', '\u055F', '\u05F4', '\u2018', '\u2019',
		'\u2024', '\u2027', '\uFE13', '\uFE52', '\uFE55', '\uFF07', '\uFF0E', '\uFF1A':
		return true
	}
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
}
