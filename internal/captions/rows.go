package captions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/data"
)

// row is a caption as a file has it.
type row struct {
	image, text string
	tokens      []int32
	id          string
	line        int
	problem     string // what makes the row useless, "" if nothing does
}

// maxName bounds the name of an image, as file systems do.
const maxName = 1024

// checkName says what is wrong with the name of an image, "" if nothing is.
func checkName(name string) string {
	switch {
	case name == "":
		return "the name of the image is empty"
	case len(name) > maxName:
		return fmt.Sprintf("the name of the image has %d bytes, more than %d", len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Sprintf("the name of the image, %s, has bytes that are no text", data.Quote(name))
	case strings.Contains(name, `\`) || !filepath.IsLocal(filepath.FromSlash(name)) || filepath.ToSlash(filepath.Clean(name)) != name || name == ".":
		return fmt.Sprintf("the name of the image, %s, is no plain path within images/", data.Quote(name))
	}
	return ""
}

// check completes a row whose fields have been read.
func (r *row) check() {
	r.image, r.text = trim(r.image), trim(r.text)
	switch r.problem = checkName(r.image); {
	case r.problem != "":
	case r.text == "" && len(r.tokens) == 0:
		r.problem = fmt.Sprintf("the caption of image %s is empty", data.Quote(r.image))
	case slices.ContainsFunc(r.tokens, func(id int32) bool { return id < 0 }):
		r.problem = "a token is negative"
	}
}

func trim(s string) string { return strings.TrimSpace(s) }

// readFile reads captions.csv or captions.jsonl and calls each for every row. Errors are
// about the file as a whole, or each's.
func readFile(path string, each func(row) error) error {
	f, err := data.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if filepath.Ext(path) == ".jsonl" {
		return readJSONLines(f, path, each)
	}
	return readCSV(f, path, each)
}

// readCSV reads the columns image, caption and id.
func readCSV(in io.Reader, path string, each func(row) error) error {
	rows := data.NewRows(in, path, data.FormatCSV)
	header, line, err := rows.Next()
	if err == io.EOF {
		return &data.FileError{File: path, Problem: "is empty", Remedy: csvColumns}
	}
	if err != nil {
		return err
	}
	at := map[string]int{}
	for i, name := range header {
		name = strings.ToLower(trim(name))
		if _, twice := at[name]; twice || name != "image" && name != "caption" && name != "id" {
			return &data.FileError{File: path, Line: line, Problem: fmt.Sprintf("the header has the column %s, unknown or twice", data.Quote(name)), Remedy: csvColumns}
		}
		at[name] = i
	}
	image, ok := at["image"]
	caption, ok2 := at["caption"]
	if !ok || !ok2 {
		return &data.FileError{File: path, Line: line, Problem: "the header lacks image or caption", Remedy: csvColumns}
	}
	width := len(header) // header is gone after the next row
	for {
		fields, line, err := rows.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(fields) != width {
			return &data.FileError{File: path, Line: line, Problem: fmt.Sprintf("has %d columns, the header has %d", len(fields), width),
				Remedy: "put captions with commas in double quotes"}
		}
		r := row{image: strings.Clone(fields[image]), text: strings.Clone(fields[caption]), line: line}
		if i, ok := at["id"]; ok {
			r.id = strings.Clone(fields[i])
		}
		r.check()
		if err := each(r); err != nil {
			return err
		}
	}
}

const csvColumns = "give it a first line image,caption, and id if there are any"

// jsonRow is an object of captions.jsonl.
type jsonRow struct {
	Image   string  `json:"image"`
	Caption string  `json:"caption,omitempty"`
	Tokens  []int32 `json:"tokens,omitempty"`
	ID      string  `json:"id,omitempty"`
}

func readJSONLines(in io.Reader, path string, each func(row) error) error {
	lines := data.NewLines(in, path)
	for {
		raw, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		var j jsonRow
		err = dec.Decode(&j)
		if err == nil && len(bytes.TrimSpace(raw[dec.InputOffset():])) > 0 {
			err = errors.New("something follows after the object")
		}
		if err != nil {
			return &data.FileError{File: path, Line: lines.Number(), Problem: fmt.Sprintf("is no JSON object of the known form: %v", err),
				Remedy: "accepted are the keys image, caption, tokens and id", Err: err}
		}
		r := row{image: j.Image, text: j.Caption, tokens: j.Tokens, id: j.ID, line: lines.Number()}
		r.check()
		if err := each(r); err != nil {
			return err
		}
	}
}
