package labelled

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// jsonRows reads objects, one a line or in one list, as rows: the keys are the header. Unlike
// the rows of a table they need not have the same keys.
type jsonRows struct {
	*textfile.Objects
	file   string
	keys   []string
	fields []string
	kinds  []byte // of each field: the first byte of its JSON
}

// newJSONRows reads in, which holds a list if its first character is "[".
func newJSONRows(in io.Reader, file string, list bool) (*jsonRows, error) {
	objects, err := textfile.NewObjects(in, file, list)
	return &jsonRows{Objects: objects, file: file}, err
}

// Next implements [Rows]. The names of the fields are keys.
func (r *jsonRows) Next() ([]string, int, error) {
	raw, line, err := r.Objects.Next()
	if err != nil {
		return nil, line, err
	}
	if problem := r.parse(raw); problem != "" {
		return nil, line, &textfile.FileError{File: r.file, Line: line, Problem: problem, Remedy: objectRemedy}
	}
	return r.fields, line, nil
}

// objectRemedy is what to do where a file of JSON has another form.
const objectRemedy = `write one object for each example, as in {"text": "...", "label": "..."} (pandas: to_json(FILE, orient='records', lines=True))`

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
			return textfile.ExplainJSON(err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return textfile.ExplainJSON(err)
		}
		text := string(value)
		switch value[0] {
		case '"':
			if err := json.Unmarshal(value, &text); err != nil {
				return textfile.ExplainJSON(err)
			}
			if strings.Contains(text, "\x00") {
				return fmt.Sprintf("the value of %s contains a NUL character", textfile.Quote(key.(string)))
			}
		case 'n':
			text = ""
		}
		r.keys, r.fields, r.kinds = append(r.keys, key.(string)), append(r.fields, text), append(r.kinds, value[0])
	}
	if _, err := dec.Token(); err != nil {
		return textfile.ExplainJSON(err)
	}
	if rest := bytes.TrimSpace(raw[dec.InputOffset():]); len(rest) > 0 {
		return fmt.Sprintf("has %s after the object", textfile.Quote(string(rest)))
	}
	return ""
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
