package seq2seq

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// TurnSeparator stands between the turns of a dialogue in a file of rows.
const TurnSeparator = " [SEP] "

// maxSources bounds the source texts of an example that is no dialogue.
const maxSources = 16

// places says which column of a file of rows is what, -1 for none.
type places struct {
	width                 int
	sources               []int
	target, knowledge, id int
	highlights            bool // the target is lines, as those of a story are
}

// headBytes is what the separator of a file of rows is told by.
const headBytes = 64 << 10

// separator returns the format of rows with which the beginning of a file is a header: an ending
// may lie. The one that the ending says goes first.
func (r *reader) separator(head []byte, format textfile.Format) textfile.Format {
	for _, other := range []textfile.Format{format, textfile.FormatCSV, textfile.FormatTSV, textfile.FormatSemicolon} {
		names, _, err := textfile.NewRows(bytes.NewReader(head), r.file, other).Next()
		if err != nil || len(names) < 2 {
			continue
		}
		if _, problem := r.header(names, other); problem == "" {
			return other
		}
	}
	return format
}

// rows reads TSV or CSV.
func (r *reader) rows(in io.Reader, format textfile.Format) error {
	buffered := bufio.NewReaderSize(in, headBytes)
	head, _ := buffered.Peek(headBytes) // an error comes again
	format = r.separator(head, format)
	r.report.Passed = nil
	rows := textfile.NewRows(buffered, r.file, format)
	header, line, err := rows.Next()
	if err == io.EOF {
		return &textfile.FileError{File: r.file, Problem: "is empty", Remedy: "name a file with examples"}
	}
	if err != nil {
		return err
	}
	c, problem := r.header(header, format)
	if problem != "" {
		return &textfile.FileError{File: r.file, Line: line, Problem: problem, Remedy: acceptedColumns(format)}
	}
	header = slices.Clone(header)
	var ids idRows
	for {
		fields, line, err := rows.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if len(fields) != c.width {
			err = r.problem(line, fmt.Sprintf("has %d columns, the header has %d", len(fields), c.width),
				"every line needs the same columns; a tab or, in CSV, an unquoted comma within a text makes one too many")
		} else if slices.Equal(fields, header) {
			err = r.problem(line, "is the header again", "remove the line: such files come from joining several")
		} else {
			ids.look(fields, c, line)
			err = r.add(r.row(fields, c, line))
		}
		if err != nil {
			return err
		}
	}
	return r.decideIDs(&ids, format)
}

// header reads the first row. The problem is "" if it is a header.
func (r *reader) header(names []string, format textfile.Format) (c places, problem string) {
	c = places{width: len(names), target: -1, knowledge: -1, id: -1}
	var err error
	for i, name := range names {
		// Any name that begins with "src" is a source, as in the reference's files; "source1" and the like as well.
		if folded := columns.Fold(name); strings.HasPrefix(folded, "src") || strings.Trim(folded, "0123456789") == "source" {
			if slices.ContainsFunc(names[:i], func(other string) bool { return columns.Fold(other) == folded }) {
				return c, fmt.Sprintf("the header has two columns %s", textfile.Quote(name))
			}
			c.sources = append(c.sources, i)
		}
	}
	if len(c.sources) == 0 {
		i, err := columns.Find(names, columns.Source)
		if err != nil {
			return c, "the header " + err.Error()
		}
		if i >= 0 {
			c.sources = []int{i}
		}
	}
	for role, place := range map[columns.Role]*int{columns.Target: &c.target, columns.Knowledge: &c.knowledge, columns.ID: &c.id} {
		if *place, err = columns.Find(names, role); err != nil {
			return c, "the header " + err.Error()
		}
	}
	c.highlights = c.target >= 0 && columns.Fold(names[c.target]) == "highlights"
	switch n := len(c.sources); {
	case n == 0:
		return c, "the header has no column for the source"
	case n > maxSources:
		return c, fmt.Sprintf("the header has %d columns for sources, more than %d", n, maxSources)
	case r.opt.Dialogue && n > 1:
		return c, fmt.Sprintf("the header has %d columns for sources, though a dialogue has all its turns in one", n)
	case !r.opt.Dialogue && c.knowledge >= 0:
		return c, "the header has a column knowledge, which only a dialogue has"
	case r.opt.NeedTarget && c.target < 0:
		return c, "the header has no column for the target"
	}
	r.passOver(columns.Unused(names, append([]int{c.target, c.knowledge, c.id}, c.sources...)...))
	return c, ""
}

func acceptedColumns(format textfile.Format) string {
	separator := "tab-separated"
	if format == textfile.FormatCSV {
		separator = "comma-separated"
	}
	return "accepted are the columns source or src (several: src1, src2, ...), target or tgt, knowledge (dialogues) and id, " + separator + ", in any order, or what others call them: article and highlights, document and summary, " +
		"input and output; put a first line with such names into the file"
}

func (r *reader) row(fields []string, c places, line int) Example {
	field := func(i int) string {
		if i < 0 {
			return ""
		}
		return strings.Clone(fields[i]) // not the row
	}
	x := Example{Line: line, Target: field(c.target), Knowledge: field(c.knowledge), ID: field(c.id)}
	if c.highlights {
		x.Target = sentences(x.Target)
	}
	for _, i := range c.sources {
		x.Sources = append(x.Sources, field(i))
	}
	if r.opt.Dialogue {
		x.Sources = strings.Split(x.Sources[0], TurnSeparator)
	}
	return x
}

// idRows counts the rows that look like ids and those that do not.
type idRows struct {
	count [2]int // of text, of ids
	first [2]int // the line of the first
}

func (d *idRows) look(fields []string, c places, line int) {
	kind := 1
	for i, text := range fields {
		if (slices.Contains(c.sources, i) || i == c.target || i == c.knowledge) && !looksLikeIDs(text) {
			kind = 0
			break
		}
	}
	if d.count[kind]++; d.count[kind] == 1 {
		d.first[kind] = line
	}
}

// looksLikeIDs says whether text is nothing but decimal numbers, with turns between.
func looksLikeIDs(text string) bool {
	for piece := range strings.FieldsSeq(text) {
		if piece != "[SEP]" && strings.Trim(piece, "0123456789") != "" {
			return false
		}
	}
	return true
}

// decideIDs marks the examples as ids if the file is one of ids.
func (r *reader) decideIDs(d *idRows, format textfile.Format) error {
	ids := r.opt.Texts == TextsIDs
	if r.opt.Texts == TextsAuto && format == textfile.FormatTSV {
		ids = d.count[1] > 0 && d.count[0] == 0
		if d.count[0] > 0 && d.count[1] > d.count[0] {
			// Taken as text, the ids would be spelt digit by digit, and nobody would notice.
			return &textfile.FileError{File: r.file, Line: d.first[0],
				Problem: fmt.Sprintf("is text, though %d lines are ids of tokens (the first is line %d)", d.count[1], d.first[1]),
				Remedy:  "make it all text or all ids, or say which it is"}
		}
	}
	r.report.IDs = ids
	for i := range r.out {
		r.out[i].IDs = ids
	}
	return nil
}
