package infile

import (
	"fmt"
	"strings"
)

// Error is what is wrong with a file, where, and what to do about it.
type Error struct {
	File    string
	Line    int    // from 1; 0 if the error is about the file as a whole
	Problem string // what was found
	Remedy  string // what to do
	Err     error  // the cause, where there is one beneath
}

// Error gives "file:line: problem; remedy".
func (e *Error) Error() string {
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
func (e *Error) Unwrap() error { return e.Err }
