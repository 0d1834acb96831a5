package captions

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// row is a caption as a file has it.
type row struct {
	image, text string
	tokens      []int32
	id          string
	split       string // "" where the file does not say
	line        int    // 0 where lines mean nothing
	// problem is what makes the row useless, "" if nothing does. The image is "" if it
	// could not be found out.
	problem string
}

// Bounds of a row: file systems bound names, and a longer caption is another kind of file.
const (
	maxName    = 1024
	maxCaption = 1 << 20
)

// checkName says what is wrong with the name of an image, "" if nothing is.
func checkName(name string) string {
	switch {
	case name == "":
		return "the name of the image is empty"
	case len(name) > maxName:
		return fmt.Sprintf("the name of the image has %d bytes, more than %d", len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, notInName):
		return fmt.Sprintf("the name of the image, %s, has bytes that are no text", textfile.Quote(name))
	case strings.Contains(name, `\`) || !filepath.IsLocal(filepath.FromSlash(name)) || filepath.ToSlash(filepath.Clean(name)) != name || name == ".":
		return fmt.Sprintf("the name of the image, %s, is no plain path within images/", textfile.Quote(name))
	}
	return ""
}

func notInName(r rune) bool { return unicode.IsControl(r) || r == '\ufeff' }

// check trims a row whose fields have been read and judges it.
func (r *row) check() {
	r.image, r.text, r.id = imageName(r.image), trim(r.text), trim(r.id)
	switch r.problem = checkName(r.image); {
	case r.problem != "":
	case r.text == "" && len(r.tokens) == 0:
		r.problem = fmt.Sprintf("the caption of image %s is empty", textfile.Quote(r.image))
	case len(r.text) > maxCaption || len(r.tokens) > maxCaption || len(r.id) > maxName:
		r.problem = fmt.Sprintf("the caption of image %s is too long", textfile.Quote(r.image))
	case strings.Contains(r.text+r.id, "\x00"):
		r.problem = fmt.Sprintf("the caption of image %s has a NUL byte", textfile.Quote(r.image))
	case slices.ContainsFunc(r.tokens, func(id int32) bool { return id < 0 }):
		r.problem = fmt.Sprintf("the caption of image %s has a negative token", textfile.Quote(r.image))
	}
}

// drive is what a path of Windows begins with.
var drive = regexp.MustCompile(`^[A-Za-z]:[/\\]`)

// imageName makes what a file calls an image a name within a folder of pictures, also a path of
// another machine.
func imageName(name string) string {
	name = trim(name)
	if strings.Contains(name, `\`) {
		name = strings.ReplaceAll(name, `\`, "/")
		name = drive.ReplaceAllString(name, "/")
	}
	if strings.HasPrefix(name, "/") {
		name = strings.TrimLeft(path.Clean(name), "/")
	}
	return picture.Key(name)
}

// fail returns the row's problem as an error.
func (r *row) fail(file string) error {
	return &textfile.FileError{File: file, Line: r.line, Problem: r.problem, Remedy: "correct it or remove it"}
}

func trim(s string) string { return strings.TrimSpace(s) }

// reader reads a file of captions and calls each for every row, judged. Its errors are about
// the file as a whole, or each's.
type reader func(in io.Reader, path string, each func(row) error) error

func (read reader) file(path string, each func(row) error) error {
	f, err := textfile.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return read(f, path, each)
}

// layoutReader is the reader of a folder's file of captions.
func layoutReader(path string) reader {
	if filepath.Ext(path) == ".jsonl" {
		return readJSONLines
	}
	return readTable
}

// jsonRow is an object of captions.jsonl as it is written.
type jsonRow struct {
	Image   string  `json:"image"`
	Caption string  `json:"caption,omitempty"`
	Tokens  []int32 `json:"tokens,omitempty"`
	ID      string  `json:"id,omitempty"`
}

func readJSONLines(in io.Reader, path string, each func(row) error) error {
	lines := textfile.NewLines(in, path)
	for {
		raw, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(raw)) == 0 {
			continue
		}
		r := row{line: lines.Number()}
		o, problem := columns.ParseObject(raw)
		if problem != "" {
			r.problem = problem
			err = each(r)
		} else {
			err = rows(o, r, each)
		}
		if err != nil {
			return err
		}
	}
}
