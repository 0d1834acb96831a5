package seq2seq

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/data"
)

// jsonLine is a line of JSON lines. Article and Highlights, or Document and Summary, are
// how others call source and target.
type jsonLine struct {
	ID         string   `json:"id,omitempty"`
	Source     texts    `json:"source,omitempty"`
	Turns      []string `json:"turns,omitempty"`
	Knowledge  string   `json:"knowledge,omitempty"`
	Target     *string  `json:"target,omitempty"`
	References []string `json:"references,omitempty"`
	Domain     string   `json:"domain,omitempty"`
	Group      string   `json:"group,omitempty"`
	Turn       int      `json:"turn,omitempty"`
	IDs        bool     `json:"ids,omitempty"`
	Article    *string  `json:"article,omitempty"`
	Highlights *string  `json:"highlights,omitempty"`
	Document   *string  `json:"document,omitempty"`
	Summary    *string  `json:"summary,omitempty"`
}

// jsonKeys is the remedy for a line of another form.
const jsonKeys = `accepted are the keys source (a text or a list of texts) and target, or turns (a list of texts), knowledge and target; with id, references, domain, group, turn and ids where there are any; or article and highlights, document and summary, with id`

// texts is one text or several.
type texts []string

// UnmarshalJSON accepts a string or a list of strings.
func (t *texts) UnmarshalJSON(raw []byte) error {
	if raw[0] == '"' {
		*t = make(texts, 1)
		return json.Unmarshal(raw, &(*t)[0])
	}
	return json.Unmarshal(raw, (*[]string)(t))
}

// MarshalJSON writes one text as a string.
func (t texts) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return marshal(t[0])
	}
	return marshal([]string(t))
}

// marshal is json.Marshal without the escapes that only HTML needs.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (r *reader) jsonLines(in io.Reader) error {
	lines := data.NewLines(in, r.file)
	for {
		raw, err := lines.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(raw)) == 0 {
			err = r.problem(lines.Number(), "the line is empty", "remove it")
		} else if x, problem := r.parseLine(raw); problem != "" {
			err = r.problem(lines.Number(), problem, jsonKeys)
		} else {
			x.Line = lines.Number()
			if !utf8.Valid(raw) {
				r.report.InvalidUTF8++ // JSON has no such bytes: they have become U+FFFD
			}
			err = r.add(x)
		}
		if err != nil {
			return err
		}
	}
}

// parseLine reads one object. The problem is "" if it is an example.
func (r *reader) parseLine(raw []byte) (Example, string) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var l jsonLine
	if err := dec.Decode(&l); err != nil {
		var wrong *json.UnmarshalTypeError
		switch {
		case errors.As(err, &wrong) && wrong.Field != "":
			return Example{}, fmt.Sprintf("%q is a JSON %s", wrong.Field, wrong.Value)
		case errors.As(err, &wrong):
			return Example{}, fmt.Sprintf("a JSON %s is where a text, a list of texts or an object is expected", wrong.Value)
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return Example{}, "is no JSON object: it ends within a value"
		}
		return Example{}, "is no JSON object of a known form: " + strings.TrimPrefix(err.Error(), "json: ")
	}
	if rest := bytes.TrimSpace(raw[dec.InputOffset():]); len(rest) > 0 {
		return Example{}, fmt.Sprintf("has %s after the object", data.Quote(string(rest)))
	}
	return r.example(&l)
}

func (r *reader) example(l *jsonLine) (Example, string) {
	x := Example{ID: l.ID, Sources: l.Source, Knowledge: l.Knowledge, References: l.References, Domain: l.Domain, Group: l.Group, Turn: l.Turn, IDs: l.IDs}
	forms := 0
	for _, given := range []bool{len(l.Source) > 0, len(l.Turns) > 0 || l.Knowledge != "", l.Article != nil, l.Document != nil} {
		if given {
			forms++
		}
	}
	switch {
	case forms > 1:
		return x, "has more than one of source, turns or knowledge, article and document"
	case len(l.Turns) > 0 || l.Knowledge != "":
		if !r.opt.Dialogue {
			return x, "has turns or knowledge, though the task has no dialogues"
		}
		x.Sources = l.Turns
	case len(l.Source) > maxSources && !r.opt.Dialogue:
		return x, fmt.Sprintf("has %d sources, more than %d", len(l.Source), maxSources)
	case l.Article != nil:
		x.Sources = []string{*l.Article}
	case l.Document != nil:
		x.Sources = []string{*l.Document}
	}
	switch {
	case l.Target != nil:
		x.Target = *l.Target
	case l.Highlights != nil:
		x.Target = sentences(*l.Highlights)
	case l.Summary != nil:
		x.Target = *l.Summary
	}
	if len(x.References) > 0 {
		if l.Target == nil {
			x.Target = x.References[0]
		}
		// The target comes first.
		if at := slices.Index(x.References, x.Target); at < 0 {
			x.References = slices.Insert(x.References, 0, x.Target)
		} else {
			x.References[0], x.References[at] = x.References[at], x.References[0]
		}
	}
	if l.Turn < 0 {
		return x, fmt.Sprintf("turn is %d", l.Turn)
	}
	return x, ""
}
