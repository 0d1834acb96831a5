package labelled

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// Columns are names of columns that are to be taken whatever package columns says, or the numbers
// of those of a file without header, from 1. The zero value names none.
type Columns struct {
	Texts     []string // in order; nil: found by their names
	Label, ID string   // "": found by its name
}

// ParseColumns reads "text=review,label=stars". A role that is given several times, text=title,text=body, is one
// of several texts. A name with a comma goes into double quotes: "text=a, b".
func ParseColumns(s string) (Columns, error) {
	var c Columns
	if s == "" {
		return c, nil
	}
	pieces, err := splitQuoted(s)
	if err != nil {
		return c, fmt.Errorf("columns %q: %w", s, err)
	}
	for _, piece := range pieces {
		role, name, ok := strings.Cut(piece, "=")
		if role, name = strings.TrimSpace(role), strings.TrimSpace(name); !ok || name == "" {
			return c, fmt.Errorf("columns %q: %q is not of the form ROLE=NAME, as in text=review,label=stars", s, piece)
		}
		var place *string
		switch role {
		case "text":
			c.Texts = append(c.Texts, name)
			continue
		case "label", "score":
			place = &c.Label
		case "id":
			place = &c.ID
		default:
			return c, fmt.Errorf("columns %q: %w", s, names.Unknown("role", role, []string{"text", "label", "score", "id"}))
		}
		if *place != "" {
			return c, fmt.Errorf("columns %q: two columns for the %s", s, role)
		}
		*place = name
	}
	if len(c.Texts) > maxTexts {
		return c, fmt.Errorf("columns %q: %d texts, want at most %d", s, len(c.Texts), maxTexts)
	}
	return c, nil
}

// maxTexts bounds the texts of an example.
const maxTexts = 16

// splitQuoted splits at commas outside of double quotes.
func splitQuoted(s string) ([]string, error) {
	row, err := csv.NewReader(strings.NewReader(s + "\n")).Read()
	if err != nil {
		return nil, errors.New("quotation marks do not match")
	}
	return row, nil
}

// columnPlan says which column of a file has which role.
type columnPlan struct {
	width     int
	texts     []int // in order
	label, id int   // -1 without
	gold      bool  // the label is what people agreed on: "-" where they did not
	noHeader  bool  // the first line is an example
	layout    *Layout
	passed    []string // columns that are not used
}

// origin says in a message where the number of columns comes from.
func (p *columnPlan) origin() string {
	if p.noHeader && p.layout == nil {
		return "the first line"
	}
	if p.layout != nil {
		return "the layout without header, " + p.layout.Name + ","
	}
	return "the header"
}

func layoutPlan(l *Layout) *columnPlan {
	p := &columnPlan{width: len(l.Columns), noHeader: true, layout: l, label: slices.Index(l.Columns, Label), id: slices.Index(l.Columns, ID)}
	for _, role := range []Role{TextA, TextB} {
		if i := slices.Index(l.Columns, role); i >= 0 {
			p.texts = append(p.texts, i)
		}
	}
	return p
}

// headerPlan reads names of columns or keys. The problem is "" if all are there that are needed.
func headerPlan(header []string, schema *Schema, opt *ReadOptions) (p *columnPlan, problem string) {
	p = &columnPlan{width: len(header), label: -1, id: -1}
	rest := slices.Clone(header) // without the columns that have a role
	if problem := p.named(header, rest, opt); problem != "" {
		return nil, problem
	}
	if p.texts == nil {
		if p.texts, problem = findTexts(rest, schema); problem != "" {
			return nil, problem
		}
		for _, i := range p.texts {
			rest[i] = ""
		}
	} else if want := textCount(schema); want > 0 && len(p.texts) != want {
		return nil, fmt.Sprintf("has %s named, the task needs %d", textfile.Plural(len(p.texts), "text"), want)
	}
	var err error
	if p.label < 0 {
		p.label, err = columns.Find(rest, labelRole(schema))
		if err != nil && opt.Labels != LabelsIgnored {
			return nil, err.Error()
		}
	}
	if p.label < 0 && opt.Labels == LabelsRequired {
		return nil, missingRole(labelRole(schema), header)
	}
	if p.id < 0 {
		p.id, _ = columns.Find(rest, columns.ID) // two of the same: none is needed
	}
	if !schema.Pair && !schema.Open && len(opt.Columns.Texts) == 0 {
		if i, err := columns.Find(rest, columns.SecondText); err == nil && i >= 0 && columns.Usual(rest[i], columns.SecondText) {
			return nil, fmt.Sprintf("has a second text, %s, though the task has examples of one: found %s", textfile.Quote(rest[i]), textfile.QuoteAll(header))
		}
	}
	p.gold = p.label >= 0 && columns.Fold(header[p.label]) == columns.Fold("gold_label")
	p.passed = columns.Unused(header, append([]int{p.label, p.id}, p.texts...)...)
	return p, ""
}

// named takes the columns that opt names, out of rest.
func (p *columnPlan) named(header, rest []string, opt *ReadOptions) (problem string) {
	take := func(name, role string) int {
		i := slices.Index(header, name)
		if i < 0 {
			i = slices.IndexFunc(header, func(h string) bool { return columns.Fold(h) == columns.Fold(name) })
		}
		if i >= 0 {
			rest[i] = ""
		} else if problem == "" {
			problem = fmt.Sprintf("has no column %s, which is named for the %s: found %s", textfile.Quote(name), role, textfile.QuoteAll(header))
		}
		return i
	}
	for _, name := range opt.Columns.Texts {
		p.texts = append(p.texts, take(name, "text"))
	}
	if opt.Columns.ID != "" {
		p.id = take(opt.Columns.ID, "id")
	}
	if opt.Columns.Label != "" {
		others := problem
		p.label = take(opt.Columns.Label, "label")
		if opt.Labels != LabelsRequired { // a test set has none
			problem = others
		}
	}
	return problem
}

func labelRole(schema *Schema) columns.Role {
	if schema.Regression {
		return columns.Score
	}
	return columns.Label
}

// numberPlan reads the names that opt gives as numbers of columns. It is nil if they are none, or if the
// first row has fewer.
func numberPlan(first []string, opt *ReadOptions) *columnPlan {
	place := func(name string) int {
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 || n > len(first) {
			return -1
		}
		return n - 1
	}
	p := &columnPlan{width: len(first), noHeader: true, label: place(opt.Columns.Label), id: place(opt.Columns.ID)}
	for _, name := range opt.Columns.Texts {
		p.texts = append(p.texts, place(name))
	}
	if p.texts == nil || slices.Contains(p.texts, -1) || p.label < 0 && opt.Labels == LabelsRequired || p.id < 0 && opt.Columns.ID != "" {
		return nil
	}
	return p
}

// textCount is how many texts an example has, 0 if the data decide.
func textCount(schema *Schema) int {
	switch {
	case schema.Open:
		return 0
	case schema.Pair:
		return 2
	}
	return 1
}

// findPicture finds the columns of a picture and a text by their names.
func findPicture(header []string) (texts []int, problem string) {
	image, err := columns.Find(header, columns.Image)
	if err != nil {
		return nil, err.Error()
	}
	if image < 0 {
		return nil, missingRole(columns.Image, header)
	}
	text, err := columns.Find(header, columns.SecondText)
	if err == nil && text < 0 {
		text, err = columns.Find(header, columns.Text)
	}
	if err != nil {
		return nil, err.Error()
	}
	if text < 0 || text == image {
		return nil, missingRole(columns.SecondText, header)
	}
	return []int{image, text}, ""
}

// findTexts finds the columns of texts by their names.
func findTexts(header []string, schema *Schema) (texts []int, problem string) {
	if schema.Picture {
		return findPicture(header)
	}
	first, errFirst := columns.Find(header, columns.FirstText)
	second, errSecond := columns.Find(header, columns.SecondText)
	one, errOne := columns.Find(header, columns.Text)
	pair := first >= 0 && second >= 0 && first != second
	switch {
	case schema.Open && pair && one >= 0 && one != first && one != second:
		return nil, fmt.Sprintf("has %s and the pair %s, %s, and either could be the text", textfile.Quote(header[one]), textfile.Quote(header[first]), textfile.Quote(header[second]))
	case pair && (schema.Open || schema.Pair):
		return []int{first, second}, ""
	case !schema.Pair && errOne != nil:
		return nil, errOne.Error()
	case !schema.Pair && one < 0:
		return nil, missingRole(columns.Text, header)
	case !schema.Pair:
		return []int{one}, ""
	case errFirst != nil:
		return nil, errFirst.Error()
	case errSecond != nil:
		return nil, errSecond.Error()
	case first < 0:
		return nil, missingRole(columns.FirstText, header)
	}
	return nil, missingRole(columns.SecondText, header)
}

func missingRole(role columns.Role, header []string) string {
	return fmt.Sprintf("has no column for the %v (%s): found %s", role, someNames(role), textfile.QuoteAll(header))
}

// someNames are the usual names of a role.
func someNames(role columns.Role) string {
	const shown = 3
	return strings.Join(role.Names()[:min(shown, len(role.Names()))], " or ")
}

// recognise decides from the first row what the columns are: a header that has what is needed,
// else a headerless layout that the row fits. Anything else is refused with what was found and
// what is accepted.
func recognise(first []string, schema *Schema, l *labels, format textfile.Format, opt *ReadOptions) (*columnPlan, error) {
	p, problem := headerPlan(first, schema, opt)
	var fits []*Layout
	for i := range schema.Headerless {
		if layout := &schema.Headerless[i]; layoutFits(layout, first, l, format, opt.Labels) {
			fits = append(fits, layout)
		}
	}
	remedy := acceptedForms(schema, format)
	numbered := numberPlan(first, opt)
	if problem != "" && numbered != nil {
		plain := *opt
		plain.Columns = Columns{}
		if _, without := headerPlan(first, schema, &plain); without != "" {
			return numbered, nil
		}
		remedy = "name its columns as in --columns text=NAME,label=NAME: numbers are for files without header"
	}
	switch {
	case problem == "" && (len(fits) == 0 || len(p.passed) == 0):
		return p, nil // a row of data that is made of known names alone is not believed in
	case len(fits) == 1:
		return layoutPlan(fits[0]), nil
	case len(fits) > 1:
		problem = fmt.Sprintf("has no header and could be %s or %s", fits[0].Name, fits[1].Name)
	case opt.Columns.Texts == nil && opt.Columns.Label == "" && !anyKnown(first, schema):
		problem = fmt.Sprintf("the first line is no known header: found %s %s", columnsWord(len(first)), textfile.QuoteAll(first))
		remedy = "put a first line with the names of the columns into the file, or number them, as in --columns text=2,label=1; " + remedy
	default:
		problem = "the header " + problem
	}
	return nil, &textfile.FileError{Problem: problem, Remedy: remedy}
}

// anyKnown says whether one of the names means something.
func anyKnown(header []string, schema *Schema) bool {
	for _, role := range []columns.Role{columns.Image, columns.Text, columns.FirstText, columns.SecondText, labelRole(schema), columns.ID} {
		if i, err := columns.Find(header, role); i >= 0 || err != nil {
			return true
		}
	}
	return false
}

func layoutFits(layout *Layout, first []string, l *labels, format textfile.Format, policy LabelPolicy) bool {
	if layout.Format != format || len(layout.Columns) != len(first) {
		return false
	}
	label := slices.Index(layout.Columns, Label)
	if label < 0 {
		return policy != LabelsRequired
	}
	return l.valid(first[label])
}

// acceptedForms is the remedy: the usual names, and the layouts without header.
func acceptedForms(schema *Schema, format textfile.Format) string {
	texts := []columns.Role{columns.Text}
	switch {
	case schema.Picture:
		texts = []columns.Role{columns.Image, columns.SecondText}
	case schema.Pair:
		texts = []columns.Role{columns.FirstText, columns.SecondText}
	case schema.Open:
		texts = append(texts, columns.FirstText, columns.SecondText)
	}
	var b strings.Builder
	b.WriteString("known names are ")
	for _, role := range append(texts, labelRole(schema)) {
		fmt.Fprintf(&b, "%s (%v), ", someNames(role), role)
	}
	b.WriteString("and others are named with --columns text=NAME,label=NAME")
	for _, layout := range schema.Headerless {
		fmt.Fprintf(&b, "; without header, %s is read (%v, valid labels)", layout.Name, layout.Format)
	}
	if format != textfile.FormatJSON {
		fmt.Fprintf(&b, "; the file was read as %v", format)
	}
	return b.String()
}

func columnsWord(n int) string {
	if n == 1 {
		return "column"
	}
	return "columns"
}
