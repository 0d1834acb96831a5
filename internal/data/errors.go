package data

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// FileError is what is wrong with a data file, where, and what to do about it.
type FileError struct {
	File    string
	Line    int    // from 1; 0 if the error is about the file as a whole
	Problem string // what was found
	Remedy  string // what to do
	Err     error  // the cause, where there is one beneath
}

// Error gives "file:line: problem; remedy".
func (e *FileError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	b.WriteString(": ")
	b.WriteString(e.Problem)
	if e.Remedy != "" {
		b.WriteString("; ")
		b.WriteString(e.Remedy)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

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

// quoteAll shows a row of a file within a message.
func quoteAll(fields []string) string {
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

func plural(n int, noun string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
