package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/infile"
)

// jsonRows reads objects, one a line or in one list, as rows: the keys are the header. Unlike
// the rows of a table they need not have the same keys.
type jsonRows struct {
	*Objects
	keys   []string
	fields []string
	kinds  []byte // of each field: the first byte of its JSON
}

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

// newJSONRows reads in, which holds a list if its first character is "[".
func newJSONRows(in io.Reader, file string, list bool) (*jsonRows, error) {
	objects, err := NewObjects(in, file, list)
	return &jsonRows{Objects: objects}, err
}

// Next implements [Rows]. The names of the fields are keys.
func (r *jsonRows) Next() ([]string, int, error) {
	raw, line, err := r.Objects.Next()
	if err != nil {
		return nil, line, err
	}
	if problem := r.parse(raw); problem != "" {
		return nil, line, &FileError{File: r.file, Line: line, Problem: problem, Remedy: objectRemedy}
	}
	return r.fields, line, nil
}

// objectRemedy is what to do where a file of JSON has another form.
const objectRemedy = `write one object for each example, as in {"text": "...", "label": "..."} (pandas: to_json(FILE, orient='records', lines=True))`

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
		return &FileError{File: r.file, Line: r.in.line(r.in.read), Problem: "ends within the JSON list", Remedy: "fetch or write it again", Err: err}
	}
	var syntax *json.SyntaxError
	at := r.list.InputOffset()
	if errors.As(err, &syntax) {
		at = syntax.Offset
	}
	return &FileError{File: r.file, Line: r.in.line(at), Problem: explainJSON(err), Remedy: "correct it", Err: err}
}

// parse takes an object apart.
func (r *jsonRows) parse(raw []byte) (problem string) {
	r.keys, r.fields, r.kinds = r.keys[:0], r.fields[:0], r.kinds[:0]
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return "is " + infile.JSONKind(raw) + ", no JSON object"
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return explainJSON(err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return explainJSON(err)
		}
		text := string(value)
		switch value[0] {
		case '"':
			if err := json.Unmarshal(value, &text); err != nil {
				return explainJSON(err)
			}
			if strings.Contains(text, "\x00") {
				return fmt.Sprintf("the value of %s contains a NUL character", Quote(key.(string)))
			}
		case 'n':
			text = ""
		}
		r.keys, r.fields, r.kinds = append(r.keys, key.(string)), append(r.fields, text), append(r.kinds, value[0])
	}
	if _, err := dec.Token(); err != nil {
		return explainJSON(err)
	}
	if rest := bytes.TrimSpace(raw[dec.InputOffset():]); len(rest) > 0 {
		return fmt.Sprintf("has %s after the object", Quote(string(rest)))
	}
	return ""
}

func explainJSON(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "is not valid JSON: it ends within a value"
	}
	problem, _ := infile.ExplainJSON(err)
	return problem
}

// kind names the JSON type of field i where it is none that a column can hold.
func (r *jsonRows) kind(i int) string {
	switch r.kinds[i] {
	case '[':
		return "list"
	case '{':
		return "object"
	}
	return ""
}

// plans finds the columns of objects: those with the same keys have the same.
type plans struct {
	keys []string
	plan *columnPlan
}

func (p *plans) of(keys []string, make func() (*columnPlan, error)) (*columnPlan, error) {
	if p.plan == nil || !slices.Equal(p.keys, keys) {
		plan, err := make()
		if err != nil {
			return nil, err
		}
		p.keys, p.plan = slices.Clone(keys), plan
	}
	return p.plan, nil
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
