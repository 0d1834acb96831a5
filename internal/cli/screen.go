package cli

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"github.com/unimo-go/unimo/internal/base/printable"
)

// output is standard output: nothing that data hold acts on a terminal. It remembers the first
// error of writing results, so that a full disk or a closed pipe never looks like success.
type output struct {
	w    io.Writer
	safe *printable.Writer
	err  error
}

func newOutput(w io.Writer) *output {
	o := &output{w: w}
	o.safe = printable.NewWriter(failing{o})
	return o
}

func (o *output) Write(p []byte) (int, error) { return o.safe.Write(p) }

// close writes what is left and returns the first error.
func (o *output) close() error { return errors.Join(o.safe.Flush(), o.err) }

// exact returns a writer of bytes as they are, for those that a program reads; a terminal
// gets the safe ones.
func (o *output) exact() io.Writer {
	if isTerminal(o.w) {
		return o
	}
	return failing{o}
}

// failing writes to an output's destination and remembers its first error.
type failing struct{ o *output }

func (f failing) Write(p []byte) (int, error) {
	n, err := f.o.w.Write(p)
	if f.o.err == nil {
		f.o.err = err
	}
	return n, err
}

// screen is standard error, where lines of text and a progress bar meet: text is made safe, and
// a bar that stands in the last line is wiped away first. It is safe for concurrent use.
type screen struct {
	mu     sync.Mutex
	w      io.Writer
	safe   *printable.Writer
	barred bool // the last line is a bar's
	plain  bool // lines only, also on a terminal
}

func newScreen(w io.Writer) *screen { return &screen{w: w, safe: printable.NewWriter(w)} }

// Write prints text: whole lines.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.barred {
		s.barred = false
		io.WriteString(s.w, "\r\x1b[K")
	}
	return s.safe.Write(p)
}

// status shows on a terminal what is being done, in a line that the next text or bar takes; "" takes it away.
func (s *screen) status(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal() || text == "" && !s.barred {
		return
	}
	s.barred = text != ""
	io.WriteString(s.w, "\r\x1b[K"+printable.String(text))
}

// bar returns the writer for a progress bar, which redraws its line itself.
func (s *screen) bar() io.Writer { return barWriter{s} }

type barWriter struct{ s *screen }

func (b barWriter) Write(p []byte) (int, error) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.s.barred = true
	return b.s.w.Write(p)
}

// columns returns the width of the terminal, 0 if it is not known or is none.
func (s *screen) columns() int { return terminalColumns(s.w) }

func terminalColumns(w any) int {
	if !isTerminal(w) {
		return 0
	}
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, _ := term.GetSize(int(f.Fd()))
	return width
}

func (s *screen) terminal() bool { return !s.plain && isTerminal(s.w) }

func isTerminal(w any) bool {
	if t, ok := w.(interface{ isTerminal() bool }); ok { // a test's
		return t.isTerminal()
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
