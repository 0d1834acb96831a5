package infile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// mark is the byte order mark that some programs, mostly on Windows, write before UTF-8.
var mark = []byte("\xef\xbb\xbf")

// TrimMark returns text without the byte order mark before its first character.
func TrimMark(text []byte) []byte { return bytes.TrimPrefix(text, mark) }

// ReadJSON reads a file of at most limit bytes into v. Errors are those of [Read] and
// [DecodeJSON].
func ReadJSON(path string, limit int64, v any) error {
	raw, err := Read(path, limit)
	if err != nil {
		return err
	}
	return DecodeJSON(path, raw, v)
}

// DecodeJSON is [json.Unmarshal] for the content of a file: a byte order mark is dropped, and
// errors, which are [*Error], name the line and say what is wrong without Go's names for it.
func DecodeJSON(file string, raw []byte, v any) error {
	for _, look := range []func(string, []byte) error{Foreign, Binary} {
		if err := look(file, raw); err != nil {
			return err
		}
	}
	raw = TrimMark(raw)
	err := json.Unmarshal(raw, v)
	if err == nil {
		return nil
	}
	problem, offset := ExplainJSON(err)
	e := &Error{File: file, Problem: problem, Remedy: "correct it", Err: err}
	if len(bytes.TrimSpace(raw)) == 0 {
		e.Problem, e.Remedy = "is empty", "check that it was written whole"
	} else if offset > 0 {
		e.Line = 1 + bytes.Count(raw[:min(offset, int64(len(raw)))], []byte("\n"))
	}
	return e
}

// PlainJSON returns an error of encoding/json with the words of [ExplainJSON]; it wraps err.
func PlainJSON(err error) error {
	problem, _ := ExplainJSON(err)
	return &plainError{problem, err}
}

type plainError struct {
	problem string
	cause   error
}

func (e *plainError) Error() string { return e.problem }
func (e *plainError) Unwrap() error { return e.cause }

// ExplainJSON says what an error of encoding/json means in plain words, and before which byte
// it was found (0: unknown).
func ExplainJSON(err error) (problem string, offset int64) {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		where := "the value"
		if kind.Field != "" {
			where = fmt.Sprintf("%q", kind.Field)
		}
		return fmt.Sprintf("%s is %s, want %s", where, jsonKind(kind.Value), plainType(kind.Type)), kind.Offset
	case errors.As(err, &syntax):
		if errors.Is(err, io.ErrUnexpectedEOF) || syntax.Error() == "unexpected end of JSON input" {
			return "the JSON ends in the middle", syntax.Offset
		}
		return "is not valid JSON: " + plainSyntax(syntax.Error()), syntax.Offset
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON ends in the middle", 0
	}
	return err.Error(), 0
}

// plainSyntax says where the syntax of JSON was left. The decoder's own words are about its state.
func plainSyntax(problem string) string {
	found, ok := strings.CutPrefix(problem, "invalid character ")
	at := strings.Index(found, "' ")
	if !ok || at < 0 {
		return problem
	}
	found, state := found[:at+1], found[at+2:]
	switch {
	case strings.Contains("'N' 'I' 'T' 'F'", found) && (strings.Contains(state, "beginning of value") || strings.Contains(state, "numeric")):
		return "NaN, Infinity, None, True and False are Python's; JSON has null, true and false"
	case strings.Contains(state, "top-level"):
		return "something follows the value: " + strings.Trim(found, "'")
	case found == `'\''`:
		return "texts are in double quotes, not in single ones"
	case found == `'\n'` || found == `'\r'` || found == `'\t'`:
		return "a line end or a tab within a text, which is written " + strings.Trim(found, "'")
	}
	return "the character " + found + " is in the wrong place"
}

// SkipJSON reads over the next value of a decoder without keeping it. step, unless nil, is called
// before each of its parts.
func SkipJSON(dec *json.Decoder, step func()) error {
	for depth := 0; ; {
		if step != nil {
			step()
		}
		token, err := dec.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// JSONKind says what a JSON value is, by its first byte: "a text", "a list" and so on.
func JSONKind(raw []byte) string {
	switch raw = bytes.TrimLeft(raw, " \t\r\n"); {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '"':
		return "a text"
	case raw[0] == '[':
		return "a list"
	case raw[0] == '{':
		return "an object"
	case raw[0] == 't' || raw[0] == 'f':
		return "true or false"
	case raw[0] == 'n':
		return "null"
	}
	return "a number"
}

// jsonKind gives the decoder's word for a value an article: "string" and its like, or
// "number 1.5".
func jsonKind(value string) string {
	switch value {
	case "string":
		return "a text"
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "number":
		return "a number"
	}
	return "the " + value
}

// plainType says what a value of a Go type is in JSON.
func plainType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return plainType(t.Elem())
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	}
	return "another kind of value"
}
