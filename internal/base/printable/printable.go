// Package printable keeps what data hold from acting on a terminal: names, labels and texts
// come from files of others, and a control character in one could move the cursor, recolour
// or rename the window, forge a line of output, or show text in another order.
//
// [String] is for a value within a line: it also makes line breaks and tabs visible. [Writer]
// is the last line of defence, for everything that is printed: it leaves line breaks and tabs
// as they are. [JSON] writes the same JSON without such characters.
package printable

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// String returns s with each character that can act on a terminal written as an escape of Go:
// \n, \t, \x1b, \u202e. Bytes that are not UTF-8 become \x followed by their value.
func String(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return acts(r) || r == utf8.RuneError }) {
		return s
	}
	out := make([]byte, 0, len(s)+8)
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		out = appendSafe(out, r, s[:size])
		s = s[size:]
	}
	return string(out)
}

// appendSafe appends the encoded rune r, or its escape.
func appendSafe(out []byte, r rune, encoded string) []byte {
	switch {
	case r == utf8.RuneError && len(encoded) == 1:
		return fmt.Appendf(out, `\x%02x`, encoded[0])
	case !acts(r):
		return append(out, encoded...)
	case r == '\n':
		return append(out, `\n`...)
	case r == '\r':
		return append(out, `\r`...)
	case r == '\t':
		return append(out, `\t`...)
	case r < 0x100:
		return fmt.Appendf(out, `\x%02x`, r)
	}
	return fmt.Appendf(out, `\u%04x`, r)
}

// acts says whether a terminal may do something else with a character than show it: the control
// characters C0, DEL and C1, separators of lines and paragraphs, and those that override or
// embed a direction of writing. Marks that only say the direction of themselves are text.
func acts(r rune) bool {
	return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}

// JSON returns JSON of the same value in which no character can act on a terminal: in strings they
// are written as \u escapes. Outside of strings JSON has none but white space.
func JSON(raw []byte) []byte {
	text := string(raw)
	if !strings.ContainsFunc(text, acts) {
		return raw
	}
	var b strings.Builder
	for _, r := range text {
		if acts(r) && r != '\n' && r != '\t' && r != '\r' {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return []byte(b.String())
}

// Writer passes text on with the characters that can act on a terminal written as escapes, but for
// line breaks (\n) and tabs. It is not safe for concurrent use.
type Writer struct {
	w    io.Writer
	rest []byte // of a character that a Write broke off
}

// NewWriter returns a writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write implements [io.Writer]. The bytes of a character that p breaks off wait for the next call.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	if len(w.rest) > 0 {
		p = append(w.rest, p...)
		w.rest = nil
	}
	out := make([]byte, 0, len(p))
	for len(p) > 0 {
		if !utf8.FullRune(p) {
			w.rest = append([]byte(nil), p...)
			break
		}
		r, size := utf8.DecodeRune(p)
		if r == '\n' || r == '\t' {
			out = append(out, byte(r))
		} else {
			out = appendSafe(out, r, string(p[:size]))
		}
		p = p[size:]
	}
	if len(out) == 0 {
		return n, nil
	}
	if _, err := w.w.Write(out); err != nil {
		return 0, err
	}
	return n, nil
}

// Flush writes what waits of a character that was never completed, as escapes.
func (w *Writer) Flush() error {
	if len(w.rest) == 0 {
		return nil
	}
	out := String(string(w.rest))
	w.rest = nil
	_, err := io.WriteString(w.w, out)
	return err
}

// Fprintf is [fmt.Fprintf] of arguments that data hold: strings, errors and what has a String method
// go through [String]. The format is the program's own.
func Fprintf(w io.Writer, format string, args ...any) (int, error) {
	safe := make([]any, len(args))
	for i, arg := range args {
		switch v := arg.(type) {
		case string:
			safe[i] = String(v)
		case error:
			safe[i] = String(v.Error())
		case fmt.Stringer:
			safe[i] = String(v.String())
		default:
			safe[i] = arg
		}
	}
	return fmt.Fprintf(w, format, safe...)
}
