package textfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// MaxLine bounds a record of a file, in bytes. The longest texts of the tasks are a
// few kilobytes; what exceeds 16 MiB is another kind of file, and reading on
// would only fill the memory.
const MaxLine = 16 << 20

// Lines reads checked lines: without byte order mark and line ends, within
// MaxLine, free of NUL.
type Lines struct {
	file string
	s    *bufio.Scanner
	n    int // the number of the line last returned, from 1
}

// NewLines reads the lines of r; file stands for it in errors, which are [*FileError].
func NewLines(r io.Reader, file string) *Lines {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), MaxLine)
	return &Lines{file: file, s: s}
}

// Number is the number of the line last returned, from 1.
func (l *Lines) Number() int { return l.n }

// Next returns the next line, valid until the next call, or io.EOF.
func (l *Lines) Next() ([]byte, error) {
	if !l.s.Scan() {
		var known *FileError
		switch err := l.s.Err(); {
		case err == nil:
			return nil, io.EOF
		case errors.As(err, &known):
			return nil, err
		case errors.Is(err, bufio.ErrTooLong):
			return nil, tooLong(l.file, l.n+1)
		default:
			return nil, &FileError{File: l.file, Line: l.n + 1, Problem: fmt.Sprintf("cannot be read on: %v", err), Err: err}
		}
	}
	line := l.s.Bytes()
	l.n++
	if l.n == 1 {
		if err := infile.Binary(l.file, line); err != nil {
			return nil, err
		}
		line = infile.TrimMark(line)
	}
	if bytes.IndexByte(line, 0) >= 0 {
		return nil, &FileError{File: l.file, Line: l.n, Problem: "contains a NUL byte, so it is not a text file in UTF-8",
			Remedy: "save it as UTF-8 (UTF-16 has such bytes), or name another file"}
	}
	return line, nil
}

func tooLong(file string, line int) error {
	return &FileError{File: file, Line: line, Problem: fmt.Sprintf("the record is longer than %d bytes", MaxLine),
		Remedy: "check that this is a text file with one example a line and, in CSV, that every quotation mark is closed"}
}

// Rows reads a file row by row, whatever separates its columns.
type Rows interface {
	// Next returns the fields of the next row, valid until the next call, and the
	// line it begins at. At the end it returns io.EOF.
	Next() (fields []string, line int, err error)
}

// NewRows reads the rows of r, FormatCSV, FormatSemicolon or tab-separated; file stands for it in
// errors, which are [*FileError].
func NewRows(r io.Reader, file string, format Format) Rows {
	comma := ','
	switch format {
	case FormatSemicolon:
		comma = ';'
	case FormatCSV:
	default:
		return &tsvRows{lines: NewLines(r, file)}
	}
	feed := &feeder{lines: NewLines(r, file)}
	c := newCSV(feed, comma)
	c.ReuseRecord = true
	return &csvRows{file: file, feed: feed, csv: c, expected: 1}
}

func newCSV(r io.Reader, comma rune) *csv.Reader {
	c := csv.NewReader(r)
	c.Comma = comma
	c.FieldsPerRecord = -1 // counted by the caller, who knows what the columns are
	return c
}

// tsvRows splits lines at tabs; nothing is quoted.
type tsvRows struct {
	lines  *Lines
	fields []string
	width  int // columns of the first row
}

func (t *tsvRows) Next() ([]string, int, error) {
	line, err := t.lines.Next()
	if err != nil {
		return nil, t.lines.n, err
	}
	at := t.lines.n
	if len(line) == 0 {
		return nil, at, t.blank(at)
	}
	t.fields = t.fields[:0]
	// One copy for the row; fields are cut out of it.
	for rest, more := string(line), true; more; {
		var field string
		field, rest, more = strings.Cut(rest, "\t")
		t.fields = append(t.fields, field)
	}
	if t.width == 0 {
		t.width = len(t.fields)
	}
	return t.fields, at, nil
}

// blank judges an empty line. Several columns are never empty without a tab, so
// it is no row; at the end of the file it is harmless. Of a single column it
// could be an empty text or a stray line, and nobody can tell.
func (t *tsvRows) blank(at int) error {
	if t.width == 1 {
		return &FileError{File: t.lines.file, Line: at, Problem: "the line is empty, which in a file of one column may be an empty text or a mistake",
			Remedy: "remove it, or add an id column"}
	}
	for {
		line, err := t.lines.Next()
		if err != nil {
			return err // io.EOF where all is well
		}
		if len(line) > 0 {
			return blankLine(t.lines.file, at)
		}
	}
}

func blankLine(file string, line int) error {
	return &FileError{File: file, Line: line, Problem: "the line is empty, though rows follow",
		Remedy: "remove it, or complete its columns"}
}

// csvRows reads RFC 4180 rows and, unlike encoding/csv, does not pass over blank
// lines between them.
type csvRows struct {
	file     string
	feed     *feeder
	csv      *csv.Reader
	expected int // the line at which the next row should begin
}

func (c *csvRows) Next() ([]string, int, error) {
	fields, err := c.csv.Read()
	if c.feed.err != nil && c.feed.err != io.EOF {
		return nil, c.feed.lines.n, c.feed.err
	}
	c.feed.pending = 0
	if err == io.EOF {
		return nil, c.expected, err
	}
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return nil, syntax.Line, &FileError{File: c.file, Line: syntax.StartLine, Err: err,
			Problem: fmt.Sprintf("is no valid CSV (line %d, column %d: %v)", syntax.Line, syntax.Column, syntax.Err),
			Remedy:  "put texts with commas, quotation marks or line ends in double quotes, and double the quotes inside"}
	}
	if err != nil {
		return nil, c.expected, err
	}
	start, _ := c.csv.FieldPos(0)
	if start > c.expected {
		return nil, c.expected, blankLine(c.file, c.expected)
	}
	last := len(fields) - 1
	end, _ := c.csv.FieldPos(last)
	c.expected = end + strings.Count(fields[last], "\n") + 1
	return fields, start, nil
}

// feeder hands checked lines to the CSV parser.
type feeder struct {
	lines   *Lines
	buf     []byte // the line read last
	rest    []byte // what of buf has not been handed over
	pending int    // bytes handed over since the last complete row
	err     error
}

func (f *feeder) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if len(f.rest) == 0 {
		line, err := f.lines.Next()
		if err != nil {
			f.err = err
			return 0, err
		}
		f.buf = append(append(f.buf[:0], line...), '\n')
		f.rest = f.buf
		if f.pending += len(f.rest); f.pending > MaxLine {
			// A quotation mark was opened and never closed.
			f.err = tooLong(f.lines.file, f.lines.n)
			return 0, f.err
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}
