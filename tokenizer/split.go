package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// The classes of characters that GPT-2's pattern tells apart.
const (
	classOther  = iota // [^\s\p{L}\p{N}]
	classLetter        // \p{L}
	classNumber        // \p{N}
	classSpace         // \s: Unicode White_Space, without U+001C to U+001F
	classMulti         // a byte of 0x80 or more: decode the rune first
)

var byteClass = func() (class [256]uint8) {
	for b := range class {
		if b < utf8.RuneSelf {
			class[b] = runeClass(rune(b))
		} else {
			class[b] = classMulti
		}
	}
	return class
}()

func runeClass(r rune) uint8 {
	switch {
	case unicode.IsLetter(r):
		return classLetter
	case unicode.IsNumber(r):
		return classNumber
	case unicode.IsSpace(r):
		return classSpace
	}
	return classOther
}

// classAt returns the class and the length of the character at s[i]. A byte that is
// not UTF-8 is a character of class other.
func classAt(s string, i int) (class uint8, size int) {
	if class = byteClass[s[i]]; class != classMulti {
		return class, 1
	}
	r, size := utf8.DecodeRuneInString(s[i:])
	return runeClass(r), size
}

// wordEnd returns where the word that starts at s[i] ends: the length of the match
// of GPT-2's pattern there, by hand. i must be below len(s) and the start of a word.
func wordEnd(s string, i int) int {
	start := i
	switch s[i] {
	case '\'':
		if n := contraction(s[i+1:]); n > 0 {
			return i + 1 + n
		}
	case ' ':
		// The space belongs to the word after it.
		if i++; i == len(s) {
			return i
		}
	}
	class, size := classAt(s, i)
	if class == classSpace {
		return spaceEnd(s, start)
	}
	for i += size; i < len(s); {
		c := byteClass[s[i]]
		if c == class {
			i++
			continue
		}
		if c != classMulti {
			break
		}
		if c, size = classAt(s, i); c != class {
			break
		}
		i += size
	}
	return i
}

// contraction returns the length of the English ending that s begins with, which
// stood behind an apostrophe, or 0. Upper case does not count, as in GPT-2.
func contraction(s string) int {
	if len(s) == 0 {
		return 0
	}
	switch s[0] {
	case 's', 't', 'm', 'd':
		return 1
	case 'r', 'v':
		if len(s) > 1 && s[1] == 'e' {
			return 2
		}
	case 'l':
		if len(s) > 1 && s[1] == 'l' {
			return 2
		}
	}
	return 0
}

// spaceEnd ends the word of white space at s[i]: at the end of the text it takes the
// whole run, otherwise it leaves the last character, unless that is the only one.
func spaceEnd(s string, i int) int {
	last, start := i, i
	for i < len(s) {
		class, size := classAt(s, i)
		if class != classSpace {
			if last == start {
				return i
			}
			return last
		}
		last = i
		i += size
	}
	return i
}
