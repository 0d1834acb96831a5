package textfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// Objects reads JSON values, one a line or in one list, each within MaxLine.
type Objects struct {
	file  string
	lines *Lines        // of JSON lines
	list  *json.Decoder // of a list
	in    *countingReader
}

// NewObjects reads in, which holds a list if that is said. Errors are [*FileError].
func NewObjects(in io.Reader, file string, list bool) (*Objects, error) {
	if !list {
		return &Objects{file: file, lines: NewLines(in, file)}, nil
	}
	counting := &countingReader{r: infile.Text(in, file), file: file}
	r := &Objects{file: file, list: json.NewDecoder(counting), in: counting}
	_, err := r.list.Token() // the bracket
	return r, r.explain(err)
}

// Next returns the bytes of the next value, valid until the next call, and the line it begins
// at, or io.EOF. Of JSON lines, blank ones are passed over and the bytes may be no JSON.
func (r *Objects) Next() (json.RawMessage, int, error) {
	if r.lines != nil {
		for {
			raw, err := r.lines.Next()
			if err != nil || len(bytes.TrimSpace(raw)) > 0 {
				return raw, r.lines.Number(), err
			}
		}
	}
	if !r.list.More() {
		if _, err := r.list.Token(); err != nil {
			return nil, r.in.line(r.list.InputOffset()), r.explain(err)
		}
		if _, err := r.list.Token(); err != io.EOF {
			return nil, r.in.line(r.list.InputOffset()), &FileError{File: r.file, Line: r.in.line(r.list.InputOffset()), Problem: "something follows after the JSON list", Remedy: "remove it"}
		}
		return nil, 0, io.EOF
	}
	r.in.left = MaxLine
	var raw json.RawMessage
	err := r.list.Decode(&raw)
	line := r.in.line(r.list.InputOffset() - int64(len(raw)))
	return raw, line, r.explain(err)
}

func (r *Objects) explain(err error) error {
	var known *FileError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return &FileError{File: r.file, Line: r.in.line(r.in.read), Problem: "ends within the JSON", Remedy: "fetch or write it again", Err: err}
	}
	var syntax *json.SyntaxError
	at := r.list.InputOffset()
	if errors.As(err, &syntax) {
		at = syntax.Offset
	}
	return &FileError{File: r.file, Line: r.in.line(at), Problem: ExplainJSON(err), Remedy: "correct it", Err: err}
}

// ExplainJSON says what is wrong with a value of JSON.
func ExplainJSON(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "is not valid JSON: it ends within a value"
	}
	problem, _ := infile.ExplainJSON(err)
	return problem
}

// countingReader knows the lines of what a decoder reads through it, and ends what grows
// beyond a record.
type countingReader struct {
	r     io.Reader
	file  string
	left  int     // bytes that may be read before the next object
	read  int64   // bytes read
	ends  []int64 // where the lines that were read end, those at the front dropped
	count int     // lines dropped
}

func (c *countingReader) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, tooLong(c.file, c.line(c.read))
	}
	n, err := c.r.Read(p)
	for i, b := range p[:n] {
		if b == '\n' {
			c.ends = append(c.ends, c.read+int64(i))
		}
	}
	c.read += int64(n)
	c.left -= n
	return n, err
}

// line is the number of the line with the byte at offset, which must not lie before that of
// an earlier call.
func (c *countingReader) line(offset int64) int {
	passed := 0
	for passed < len(c.ends) && c.ends[passed] < offset {
		passed++
	}
	c.ends = c.ends[passed:]
	c.count += passed
	return c.count + 1
}
