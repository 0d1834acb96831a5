package seq2seq

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/data"
)

// TurnSeparator stands between the turns of a dialogue in a file of rows.
const TurnSeparator = " [SEP] "

// maxSources bounds the source texts of an example that is no dialogue.
const maxSources = 16

// columns says which column of a file of rows is what, -1 for none.
type columns struct {
	width                 int
	sources               []int
	target, knowledge, id int
}

// rows reads TSV or CSV.
func (r *reader) rows(in io.Reader, format data.Format) error {
	rows := data.NewRows(in, r.file, format)
	header, line, err := rows.Next()
	if err == io.EOF {
		return &data.FileError{File: r.file, Problem: "is empty", Remedy: "name a file with examples"}
	}
	if err != nil {
		return err
	}
	c, problem := r.header(header, format)
	if problem != "" {
		return &data.FileError{File: r.file, Line: line, Problem: problem, Remedy: acceptedColumns(format)}
	}
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
func (r *reader) header(names []string, format data.Format) (columns, string) {
	c := columns{width: len(names), target: -1, knowledge: -1, id: -1}
	for i, name := range names {
		var place *int
		switch {
		case slices.Contains(names[:i], name):
			return c, fmt.Sprintf("the header has two columns %s", data.Quote(name))
		case format == data.FormatTSV && strings.HasPrefix(name, "src"), format == data.FormatCSV && name == "source":
			c.sources = append(c.sources, i)
			continue
		case format == data.FormatTSV && name == "tgt", format == data.FormatCSV && name == "target":
			place = &c.target
		case name == "knowledge":
			place = &c.knowledge
		case format == data.FormatCSV && name == "id":
			place = &c.id
		default:
			return c, fmt.Sprintf("the header has the unknown column %s", data.Quote(name))
		}
		*place = i
	}
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
	return c, ""
}

func acceptedColumns(format data.Format) string {
	if format == data.FormatCSV {
		return "accepted are the columns source, target, knowledge (dialogues) and id, comma-separated, in any order; put a first line with such names into the file"
	}
	return "accepted are the columns src (several: src1, src2, ...), tgt and knowledge (dialogues), tab-separated, in any order; put a first line with such names into the file"
}

func (r *reader) row(fields []string, c columns, line int) Example {
	field := func(i int) string {
		if i < 0 {
			return ""
		}
		return strings.Clone(fields[i]) // not the row
	}
	x := Example{Line: line, Target: field(c.target), Knowledge: field(c.knowledge), ID: field(c.id)}
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

func (d *idRows) look(fields []string, c columns, line int) {
	kind := 1
	for i, text := range fields {
		if i != c.id && !looksLikeIDs(text) {
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
func (r *reader) decideIDs(d *idRows, format data.Format) error {
	ids := r.opt.Texts == TextsIDs
	if r.opt.Texts == TextsAuto && format == data.FormatTSV {
		ids = d.count[1] > 0 && d.count[0] == 0
		if d.count[0] > 0 && d.count[1] > d.count[0] {
			// Taken as text, the ids would be spelt digit by digit, and nobody would notice.
			return &data.FileError{File: r.file, Line: d.first[0],
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
