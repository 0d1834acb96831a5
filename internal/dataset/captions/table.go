package captions

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// columnPlaces says which column of a table is what, -1 for none.
type columnPlaces struct {
	separator                 string
	width                     int
	image, caption, id, split int
}

// parseHeader finds the separator with which line is a header. The problem says which columns
// could both be the same.
func parseHeader(line string) (c columnPlaces, problem string, ok bool) {
	for _, separator := range []string{",", "|", "\t", ";"} {
		names := strings.Split(line, separator)
		for i, name := range names {
			names[i] = strings.Trim(trim(name), `"`)
		}
		c = columnPlaces{separator: separator, width: len(names)}
		for role, place := range map[columns.Role]*int{columns.Image: &c.image, columns.Caption: &c.caption, columns.ID: &c.id, columns.Split: &c.split} {
			var err error
			if *place, err = columns.Find(names, role); err != nil {
				problem = err.Error()
			}
		}
		if c.image >= 0 && c.caption >= 0 {
			return c, "", true
		}
	}
	return c, problem, false
}

// headerBytes is where a header must have ended.
const headerBytes = 4 << 10

// firstLine returns the line that in begins with, cut at headerBytes.
func firstLine(in *bufio.Reader) string {
	head, _ := in.Peek(headerBytes) // an error comes again
	line, _, _ := strings.Cut(string(head), "\n")
	return strings.TrimPrefix(strings.TrimSuffix(line, "\r"), "\ufeff")
}

// readTable reads rows of columns with a header, separated by commas or semicolons (CSV), "|" or tabs.
func readTable(in io.Reader, path string, each func(row) error) error {
	buffered := bufio.NewReaderSize(in, headerBytes)
	c, problem, ok := parseHeader(firstLine(buffered))
	if !ok {
		return &textfile.FileError{File: path, Line: 1, Problem: cmp.Or(problem, "is no header with a column image and a column caption"),
			Remedy: "give the file a first line image,caption (and id if there are any)"}
	}
	rows := c.rows(buffered, path)
	if _, _, err := rows.Next(); err != nil {
		return err
	}
	for {
		fields, line, err := rows.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.each(fields, line, each); err != nil {
			return err
		}
	}
}

func (c columnPlaces) rows(in io.Reader, path string) textfile.Rows {
	switch c.separator {
	case ",":
		return textfile.NewRows(in, path, textfile.FormatCSV)
	case ";":
		return textfile.NewRows(in, path, textfile.FormatSemicolon)
	case "\t":
		return textfile.NewRows(in, path, textfile.FormatTSV)
	}
	return &barRows{lines: textfile.NewLines(in, path), width: c.width}
}

// each calls yield for the captions of a row: one, or several in a JSON list.
func (c columnPlaces) each(fields []string, line int, yield func(row) error) error {
	if len(fields) != c.width {
		return yield(row{line: line, problem: fmt.Sprintf("has %d columns, the header has %d: a caption with commas must be in double quotes", len(fields), c.width)})
	}
	field := func(i int) string {
		if i < 0 {
			return ""
		}
		return strings.Clone(fields[i]) // not the whole line
	}
	r := row{image: field(c.image), id: field(c.id), split: trim(field(c.split)), line: line}
	texts := []string{field(c.caption)}
	if list, ok := columns.List(texts[0]); ok {
		texts = list
	}
	for _, text := range texts {
		r := r
		r.text = text
		r.check()
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

// barRows splits lines at "|". The last column has what is left.
type barRows struct {
	lines *textfile.Lines
	width int
}

// unseparated is the end of a row of Flickr30k's results.csv, one of which lacks its last "|".
var unseparated = regexp.MustCompile(`^\s*(\d+)\s+(\S.*)$`)

// Next implements data.Rows.
func (b *barRows) Next() ([]string, int, error) {
	raw, err := b.lines.Next()
	if err != nil {
		return nil, b.lines.Number(), err
	}
	fields := strings.SplitN(string(raw), "|", b.width)
	if last := len(fields) - 1; len(fields) == b.width-1 {
		if m := unseparated.FindStringSubmatch(fields[last]); m != nil {
			fields = append(fields[:last], m[1], m[2])
		}
	}
	return fields, b.lines.Number(), nil
}
