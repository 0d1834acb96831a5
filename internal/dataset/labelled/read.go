package labelled

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// Example is one row of a file.
type Example struct {
	ID           string   // "" where the file has no such column
	TextA, TextB string   // TextB is "" unless there are two texts; the bytes of the file
	More         []string // further texts, where there are more than two
	Label        string   // the class's name or the score as written, "" without label
	Class        int      // index into Schema.Labels, -1 without label and in regression
	Score        float64
	File         string // the path as given to Read
	Line         int    // the line the row begins at, from 1
}

// Texts yields the texts of an example that are not empty, and the first in any case.
func (e *Example) Texts(yield func(string) bool) {
	if !yield(e.TextA) || e.TextB != "" && !yield(e.TextB) {
		return
	}
	for _, text := range e.More {
		if text != "" && !yield(text) {
			return
		}
	}
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
	Labels  LabelPolicy
	Format  textfile.Format
	Columns Columns
}

// Report is what reading found besides the examples.
type Report struct {
	Texts  []string // the columns of the texts, by their names in the file; nil without header
	Label  string   // that of the label
	Passed []string // columns that were passed over and may mean something

	Numbered bool // the columns are numbered, and the first line is an example

	Unlabelled int    // rows without label, left out
	FirstLine  int    // where the first of these is
	FirstValue string // and what stands there

	Empty   int // examples with an empty text
	Invalid int // with characters that are lost, or bytes that are not UTF-8
	Quoted  int // of TSV, with a text in the quotation marks of CSV

	Alike [2]string // two labels that may be meant to be one
}

// Notes says in sentences what people should know of what was read from file, besides [Report.PassedOver].
func (r Report) Notes(file string) (notes []string) {
	if note := r.LeftOut(file); note != "" {
		notes = append(notes, note)
	}
	for _, odd := range []struct {
		n          int
		what, then string
	}{
		{r.Empty, "example", " with an empty text"},
		{r.Invalid, "example", " with bytes that are not UTF-8; if that is not meant, write the file as UTF-8"},
		{r.Quoted, "example", " with texts in doubled quotation marks, as CSV has them, which are kept: a TSV file has no quoting; if they are not meant, save the file with commas"},
	} {
		if odd.n > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s%s", file, textfile.Plural(odd.n, odd.what), odd.then))
		}
	}
	if r.Alike[0] != "" {
		notes = append(notes, fmt.Sprintf("%s: the labels %s and %s are much alike, and two classes; if they are one, write them alike", file, textfile.Quote(r.Alike[0]), textfile.Quote(r.Alike[1])))
	}
	return notes
}

// LeftOut says in a sentence what was left out of file, "" if nothing was.
func (r Report) LeftOut(file string) string {
	if r.Unlabelled == 0 {
		return ""
	}
	value := "nothing"
	if r.FirstValue != "" {
		value = textfile.Quote(r.FirstValue)
	}
	return fmt.Sprintf("%s: %s without label left out (the first is line %d, which has %s)", file, textfile.Plural(r.Unlabelled, "example"), r.FirstLine, value)
}

// PassedOver says in a sentence which columns of file are not used, "" if there are none.
func (r Report) PassedOver(file string) string {
	if r.Numbered {
		return file + ": read without header, by the numbers of the columns: the first line is an example"
	}
	if len(r.Passed) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: read are %s; passed over: %s", file, r.columns(), textfile.QuoteAll(r.Passed))
}

// columns says which columns were read.
func (r Report) columns() string {
	texts := textfile.QuoteAll(r.Texts) + " (text)"
	if r.Label == "" {
		return texts
	}
	return texts + ", " + textfile.Quote(r.Label) + " (label)"
}

// Read reads all examples of a file: tab-separated, comma-separated, JSON lines or a JSON list,
// as its content says. Errors are [*FileError]: the file is
// missing or empty, the columns are not those of the schema or may be several, a row has too many
// or too few, a label is not valid, or the bytes are no text. Rows without label are left
// out where labels are needed.
//
// Differs from the reference: a label outside the task's is an error.
func Read(path string, schema Schema, opt ReadOptions) ([]Example, Report, error) {
	f, err := textfile.Open(path)
	if err != nil {
		return nil, Report{}, err
	}
	defer f.Close()
	return ReadFrom(f, path, schema, opt)
}

// ReadFrom reads like [Read] from r; name stands for the file in examples and
// messages.
func ReadFrom(r io.Reader, name string, schema Schema, opt ReadOptions) ([]Example, Report, error) {
	if err := schema.check(); err != nil {
		return nil, Report{}, err
	}
	in := bufio.NewReaderSize(r, headBytes)
	t := &reader{file: name, opt: &opt, schema: &schema, labels: newLabels(&schema)}
	head, _ := in.Peek(headBytes) // an error comes again
	if first, _, _ := bytes.Cut(head, []byte("\n")); bytes.HasPrefix(first, []byte("PAR1")) && !bytes.ContainsAny(first, "\t,;") {
		return nil, t.report, infile.Binary(name, []byte("PAR1\x00")) // no name of a column begins so
	}
	t.format = t.sniff(head)
	var err error
	if t.format == textfile.FormatJSON {
		t.json, err = newJSONRows(in, name, isJSONList(head))
		t.rows = t.json
	} else {
		t.rows = textfile.NewRows(in, name, t.format)
	}
	var out []Example
	if err == nil {
		out, err = t.read()
	}
	if err != nil {
		return nil, t.report, err
	}
	t.look(out)
	return out, t.report, nil
}

// look counts what is odd about the texts, and compares the labels.
func (t *reader) look(examples []Example) {
	if t.schema.Open && !t.schema.Regression && t.schema.Labels == nil {
		alike := map[string]string{}
		for i := range examples {
			label := examples[i].Label
			if label == "" || strings.Trim(label, "-+.0123456789") == "" {
				continue
			}
			folded := columns.Fold(label)
			if other, ok := alike[folded]; ok && other != label && t.report.Alike[0] == "" {
				t.report.Alike = [2]string{other, label}
			}
			if len(alike) < MaxLabels {
				alike[folded] = label
			}
		}
	}
	for i := range examples {
		e := &examples[i]
		empty, invalid, quoted := e.TextA == "" || e.TextB == "" && t.plan != nil && len(t.plan.texts) > 1, false, false
		for text := range e.Texts {
			empty = empty || strings.TrimSpace(text) == ""
			invalid = invalid || strings.ContainsRune(text, utf8.RuneError) // also what JSON made of it
			quoted = quoted || t.format == textfile.FormatTSV && csvQuoted(text)
		}
		for n, is := range map[*int]bool{&t.report.Empty: empty, &t.report.Invalid: invalid, &t.report.Quoted: quoted} {
			if is {
				*n++
			}
		}
	}
}

// csvQuoted says whether a text is in quotation marks, with those inside doubled.
func csvQuoted(text string) bool {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return false
	}
	inner := text[1 : len(text)-1]
	return strings.Contains(inner, `""`) && !strings.Contains(strings.ReplaceAll(inner, `""`, ""), `"`)
}

// headBytes is what the form of a file is recognised by.
const headBytes = 64 << 10

// sniff decides on the form of a file that begins with head. An ending may lie: what counts is
// with which separator the first line is a header; the ending's goes first.
func (t *reader) sniff(head []byte) textfile.Format {
	if t.opt.Format != textfile.FormatAuto {
		return t.opt.Format
	}
	head = bytes.TrimLeft(infile.TrimMark(head), " \t\r\n")
	ending := strings.ToLower(filepath.Ext(t.file))
	if slices.Contains([]string{".json", ".jsonl", ".ndjson"}, ending) || looksLikeJSON(head) {
		return textfile.FormatJSON
	}
	formats := []textfile.Format{textfile.FormatTSV, textfile.FormatCSV, textfile.FormatSemicolon}
	if ending == ".csv" {
		formats = []textfile.Format{textfile.FormatCSV, textfile.FormatTSV, textfile.FormatSemicolon}
	}
	for _, format := range formats {
		first, _, err := textfile.NewRows(bytes.NewReader(head), t.file, format).Next()
		if err != nil {
			continue
		}
		if _, problem := headerPlan(first, t.schema, t.opt); problem == "" || numberPlan(first, t.opt) != nil {
			return format
		}
	}
	return formats[0]
}

// looksLikeJSON says whether the first bytes of a file are an object with a key, or a list of them.
func looksLikeJSON(head []byte) bool {
	if rest, ok := bytes.CutPrefix(head, []byte("[")); ok {
		head = bytes.TrimLeft(rest, " \t\r\n")
	}
	rest, ok := bytes.CutPrefix(head, []byte("{"))
	return ok && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(`"`))
}

func isJSONList(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(infile.TrimMark(head), " \t\r\n"), []byte("["))
}

// reader is the state of reading one file.
type reader struct {
	file   string
	schema *Schema
	opt    *ReadOptions
	format textfile.Format
	labels *labels
	rows   textfile.Rows
	json   *jsonRows // the rows, of a file of JSON
	plan   *columnPlan
	plans  plans
	report Report
}

func (t *reader) read() ([]Example, error) {
	first, line, err := t.rows.Next()
	if err == io.EOF {
		return nil, &textfile.FileError{File: t.file, Problem: "is empty", Remedy: "name a file with examples"}
	}
	if err != nil {
		return nil, err
	}
	if t.json == nil {
		if t.plan, err = recognise(first, t.schema, t.labels, t.format, t.opt); err != nil {
			return nil, at(err, t.file, line)
		}
		t.name(first)
	}
	var out []Example
	var header []string
	if t.json == nil && !t.plan.noHeader {
		header = slices.Clone(first)
		first, line, err = t.rows.Next()
	}
	for ; err == nil; first, line, err = t.rows.Next() {
		if t.schema.Open && header != nil && slices.Equal(first, header) { // elsewhere its label is none
			return nil, t.fail(line, "is the header again", "remove the line: such files come from joining several")
		}
		e, ok, err := t.example(first, line)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, e)
		}
	}
	if err != io.EOF {
		return nil, err
	}
	switch {
	case len(out) == 0 && t.report.Unlabelled > 0:
		return nil, &textfile.FileError{File: t.file, Line: t.report.FirstLine, Problem: fmt.Sprintf("has %s and no label", textfile.Plural(t.report.Unlabelled, "example")),
			Remedy: "name a file with labels (test sets often have none), or the column that holds them with --columns label=NAME"}
	case len(out) == 0:
		return nil, &textfile.FileError{File: t.file, Problem: "has a header and no examples", Remedy: "name a file with examples"}
	}
	return out, nil
}

// name notes the names of the columns.
func (t *reader) name(header []string) {
	if t.plan.noHeader {
		t.report.Numbered = t.plan.layout == nil
		return
	}
	if t.report.Texts != nil {
		return
	}
	for _, i := range t.plan.texts {
		t.report.Texts = append(t.report.Texts, header[i])
	}
	if t.plan.label >= 0 {
		t.report.Label = header[t.plan.label]
	}
	t.report.Passed = t.plan.passed
}

// keys finds the columns of an object.
func (t *reader) keys(line int) error {
	var err error
	t.plan, err = t.plans.of(t.json.keys, func() (*columnPlan, error) {
		opt := *t.opt
		if opt.Labels == LabelsRequired {
			opt.Labels = LabelsOptional // an object without the key has no label
		}
		plan, problem := headerPlan(t.json.keys, t.schema, &opt)
		if problem != "" {
			return nil, t.fail(line, "the object "+problem, acceptedForms(t.schema, t.format))
		}
		return plan, nil
	})
	if err != nil {
		return err
	}
	t.name(t.json.keys)
	used := t.plan.texts
	if t.plan.label >= 0 && t.opt.Labels != LabelsIgnored {
		used = append(slices.Clone(used), t.plan.label)
	}
	for i, column := range used {
		switch kind := t.json.kind(column); {
		case kind != "":
			return t.fail(line, fmt.Sprintf("the value of %s is a JSON %s", textfile.Quote(t.json.keys[column]), kind), "give it a text or a number; "+objectRemedy)
		case i < len(t.plan.texts) && t.json.kinds[column] == 'n':
			return t.fail(line, fmt.Sprintf("the value of %s is null", textfile.Quote(t.json.keys[column])), "write the text, or remove the example")
		}
	}
	return nil
}

// example reads one row; it is not ok if the row has no label and needs one.
func (t *reader) example(fields []string, line int) (e Example, ok bool, err error) {
	if t.json != nil {
		if err := t.keys(line); err != nil {
			return e, false, err
		}
	} else if len(fields) != t.plan.width {
		return e, false, t.fail(line, fmt.Sprintf("has %s, %s has %d", textfile.Plural(len(fields), "column"), t.plan.origin(), t.plan.width),
			"every line needs the same columns; a tab or, in CSV, an unquoted comma within a text makes one too many")
	}
	e = Example{File: t.file, Line: line, ID: t.field(fields, t.plan.id)}
	e.clearLabel()
	for i, column := range t.plan.texts {
		switch text := t.field(fields, column); i {
		case 0:
			e.TextA = text
		case 1:
			e.TextB = text
		default:
			e.More = append(e.More, text)
		}
	}
	// Without a header the labels are what the layout was recognised by, so they
	// are checked whether or not they are wanted.
	if t.opt.Labels == LabelsIgnored && t.plan.layout == nil {
		return e, true, nil
	}
	value := ""
	if t.plan.label >= 0 {
		value = strings.TrimSpace(fields[t.plan.label])
	}
	if t.labels.missing(value, t.plan.gold) {
		if t.opt.Labels != LabelsRequired {
			return e, true, nil
		}
		if t.report.Unlabelled++; t.report.Unlabelled == 1 {
			t.report.FirstLine, t.report.FirstValue = line, strings.Clone(value)
		}
		return e, false, nil
	}
	if err := t.labels.resolve(&e, value); err != nil {
		remedy := "correct it"
		if t.schema.Open && t.schema.Labels != nil {
			remedy = "correct it, or train with examples of it: the model was trained with these labels"
		}
		if t.plan.layout != nil {
			remedy = "correct it, or put a header on top if the columns are not those of " + t.plan.layout.Name
		}
		return e, false, t.fail(line, err.Error(), remedy)
	}
	if t.opt.Labels == LabelsIgnored {
		e.clearLabel()
	}
	return e, true, nil
}

// field copies a column out of the row, so that an example does not
// keep the columns nobody asked for (MNLI's parses are most of its file).
func (t *reader) field(fields []string, column int) string {
	if column < 0 {
		return ""
	}
	return strings.Clone(fields[column])
}

func (t *reader) fail(line int, problem, remedy string) error {
	return &textfile.FileError{File: t.file, Line: line, Problem: problem, Remedy: remedy}
}

// at completes an error of a part that does not know the place.
func at(err error, file string, line int) error {
	var e *textfile.FileError
	if errors.As(err, &e) {
		e.File, e.Line = file, line
	}
	return err
}
