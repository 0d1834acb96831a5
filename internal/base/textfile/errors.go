package textfile

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// FileError is what is wrong with a data file, where, and what to do about it.
type FileError = infile.Error

// Bounds of what a message quotes: enough to recognise a line, on one screen.
const (
	quotedBytes   = 40
	quotedColumns = 20
)

// Quote shows a value of a file within a message.
func Quote(s string) string {
	if len(s) <= quotedBytes {
		return fmt.Sprintf("%q", s)
	}
	cut := quotedBytes
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%q...", s[:cut])
}

// QuoteAll shows a row of a file within a message.
func QuoteAll(fields []string) string {
	var b strings.Builder
	for i, f := range fields {
		if i == quotedColumns {
			fmt.Fprintf(&b, ", and %d more", len(fields)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(Quote(f))
	}
	return b.String()
}

// Plural is a number of things in words.
func Plural(n int, noun string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
