package data

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/infile"
)

// Example is one row of a file.
type Example struct {
	ID           string // "" where the file has no such column
	TextA, TextB string // TextB is "" unless the schema has pairs; the bytes of the file
	Label        string // the class's name or the score as written, "" without label
	Class        int    // index into Schema.Labels, -1 without label and in regression
	Score        float64
	File         string // the path as given to Read
	Line         int    // the line the row begins at, from 1
}

// LabelPolicy says what reading does about labels.
type LabelPolicy uint8

// The policies.
const (
	LabelsRequired LabelPolicy = iota // training and evaluation: every row must have a valid one
	LabelsOptional                    // used and checked where the file has the column
	LabelsIgnored                     // test sets: a label column may hold anything, examples have none
)

// ReadOptions are the ways to read a file. The zero value is right for training
// and evaluation.
type ReadOptions struct {
	Labels LabelPolicy
	Format Format
}

// Read reads all examples of a file. Errors are [*FileError]: the file is
// missing or empty, the columns are not those of the schema, a row has too many
// or too few, a label is not valid, or the bytes are no text.
//
// Differs from the reference: a column that the schema does not know is an error
// instead of being passed over, and so is a label outside the task's.
func Read(path string, schema Schema, opt ReadOptions) ([]Example, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadFrom(f, path, schema, opt)
}

// Open opens a regular file of data. Errors are [*FileError], also those of a Git LFS
// pointer or a web page.
func Open(path string) (*os.File, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	head := make([]byte, infile.HeadBytes)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		f.Close()
		return nil, &FileError{File: path, Problem: fmt.Sprintf("cannot be read: %v", err), Err: err}
	}
	if err := infile.Foreign(path, head[:n]); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ReadFrom reads like [Read] from r; name stands for the file in examples and
// messages, and its ending decides the format where opt does not.
func ReadFrom(r io.Reader, name string, schema Schema, opt ReadOptions) ([]Example, error) {
	if err := schema.check(); err != nil {
		return nil, err
	}
	format := opt.Format
	if format == FormatByName {
		format = FormatTSV
		if strings.EqualFold(filepath.Ext(name), ".csv") {
			format = FormatCSV
		}
	}
	t := &reader{
		file: name, policy: opt.Labels, schema: &schema, format: format,
		labels: newLabels(&schema), rows: NewRows(r, name, format),
	}
	return t.read()
}

// reader is the state of reading one file.
type reader struct {
	file   string
	schema *Schema
	policy LabelPolicy
	format Format
	labels *labels
	rows   Rows
	plan   *columnPlan
}

func (t *reader) read() ([]Example, error) {
	first, line, err := t.rows.Next()
	if err == io.EOF {
		return nil, &FileError{File: t.file, Problem: "is empty", Remedy: "name a file with examples"}
	}
	if err != nil {
		return nil, err
	}
	if t.plan, err = recognise(first, t.schema, t.labels, t.format, t.policy); err != nil {
		return nil, at(err, t.file, line)
	}
	var out []Example
	if t.plan.layout != nil {
		e, err := t.example(first, line)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	for {
		fields, line, err := t.rows.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		e, err := t.example(fields, line)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, &FileError{File: t.file, Problem: "has a header and no examples", Remedy: "name a file with examples"}
	}
	return out, nil
}

// example reads one row.
func (t *reader) example(fields []string, line int) (Example, error) {
	if len(fields) != len(t.plan.roles) {
		return Example{}, t.fail(line, fmt.Sprintf("has %s, %s has %d", plural(len(fields), "column"), t.plan.origin(), len(t.plan.roles)),
			"every line needs the same columns; a tab or, in CSV, an unquoted comma within a text makes one too many")
	}
	e := Example{File: t.file, Line: line}
	e.clearLabel()
	e.ID = t.field(fields, ID)
	e.TextA = t.field(fields, TextA)
	e.TextB = t.field(fields, TextB)
	// Without a header the labels are what the layout was recognised by, so they
	// are checked whether or not they are wanted.
	if t.plan.index[Label] >= 0 && (t.policy != LabelsIgnored || t.plan.layout != nil) {
		if err := t.labels.resolve(&e, fields[t.plan.index[Label]]); err != nil {
			remedy := "correct it"
			if t.plan.layout != nil {
				remedy = "correct it, or put a header on top if the columns are not those of " + t.plan.layout.Name
			}
			return Example{}, t.fail(line, err.Error(), remedy)
		}
		if t.policy == LabelsIgnored {
			e.clearLabel()
		}
	}
	return e, nil
}

// field copies the column of a role out of the row, so that an example does not
// keep the columns nobody asked for (MNLI's parses are most of its file).
func (t *reader) field(fields []string, role Role) string {
	if i := t.plan.index[role]; i >= 0 {
		return strings.Clone(fields[i])
	}
	return ""
}

func (t *reader) fail(line int, problem, remedy string) error {
	return &FileError{File: t.file, Line: line, Problem: problem, Remedy: remedy}
}

// at completes an error of a part that does not know the place.
func at(err error, file string, line int) error {
	var e *FileError
	if errors.As(err, &e) {
		e.File, e.Line = file, line
	}
	return err
}
