package data

import (
	"fmt"
	"slices"
	"strings"
)

// plan of a file: which column has which role.
type columnPlan struct {
	roles  []Role
	index  [Label + 1]int // column of a role, -1 without
	layout *Layout        // nil where the file has a header
}

func newColumnPlan(roles []Role, layout *Layout) *columnPlan {
	p := &columnPlan{roles: roles, layout: layout}
	for role := range p.index {
		p.index[role] = slices.Index(roles, Role(role))
	}
	return p
}

// origin says in a message where the number of columns comes from.
func (p *columnPlan) origin() string {
	if p.layout != nil {
		return "the layout without header, " + p.layout.Name + ","
	}
	return "the header"
}

// recognise decides from the first row what the columns are: a header whose
// every name is known, else a headerless layout that the row fits. Anything else
// is refused with what was found and what is accepted.
func recognise(first []string, schema *Schema, l *labels, format Format, policy LabelPolicy) (*columnPlan, error) {
	columns := schema.columns()
	roles, problem := headerRoles(first, schema, columns, policy)
	if problem == "" {
		return newColumnPlan(roles, nil), nil
	}
	var fits []*Layout
	for i := range schema.Headerless {
		if layout := &schema.Headerless[i]; layoutFits(layout, first, l, format, policy) {
			fits = append(fits, layout)
		}
	}
	switch len(fits) {
	case 1:
		return newColumnPlan(fits[0].Columns, fits[0]), nil
	case 0:
		return nil, &FileError{Problem: problem, Remedy: acceptedForms(schema, columns, format)}
	default:
		return nil, &FileError{
			Problem: fmt.Sprintf("has no header and could be %s or %s", fits[0].Name, fits[1].Name),
			Remedy:  acceptedForms(schema, columns, format)}
	}
}

// headerRoles reads the first row as a header. The problem is "" if it is one.
func headerRoles(first []string, schema *Schema, columns []Column, policy LabelPolicy) ([]Role, string) {
	roles := make([]Role, len(first))
	seen := map[Role]string{}
	var unknown []string
	known := 0
	for i, name := range first {
		at := slices.IndexFunc(columns, func(c Column) bool { return c.Name == name })
		switch {
		case at < 0:
			unknown = append(unknown, name)
			continue
		case slices.Contains(first[:i], name):
			return nil, fmt.Sprintf("the header has two columns %s", Quote(name))
		}
		known++
		roles[i] = columns[at].Role
		if roles[i] == Ignored {
			continue
		}
		if other, twice := seen[roles[i]]; twice {
			return nil, fmt.Sprintf("the header has two columns for the %v, %s and %s", roles[i], Quote(other), Quote(name))
		}
		seen[roles[i]] = name
	}
	if known == 0 {
		return nil, fmt.Sprintf("the first line is no known header: found %s %s", columnsWord(len(first)), quoteAll(first))
	}
	if len(unknown) > 0 {
		return nil, fmt.Sprintf("the header has the unknown %s %s: found %s", columnsWord(len(unknown)), quoteAll(unknown), quoteAll(first))
	}
	for _, role := range []Role{TextA, TextB, Label} {
		_, have := seen[role]
		if need := schema.needs(role) || role == Label && policy == LabelsRequired; need && !have {
			return nil, fmt.Sprintf("the header has no column for the %v (%s): found %s",
				role, strings.Join(names(columns, role), " or "), quoteAll(first))
		}
	}
	return roles, ""
}

func layoutFits(layout *Layout, first []string, l *labels, format Format, policy LabelPolicy) bool {
	if layout.Format != format || len(layout.Columns) != len(first) {
		return false
	}
	label := slices.Index(layout.Columns, Label)
	if label < 0 {
		return policy != LabelsRequired
	}
	return l.valid(first[label])
}

// acceptedForms is the remedy: an example of a header, the other names, and the
// layouts without header.
func acceptedForms(schema *Schema, columns []Column, format Format) string {
	var b strings.Builder
	b.WriteString("accepted are the columns")
	separator := " "
	for _, role := range []Role{TextA, TextB, Label, ID, Ignored} {
		list := names(columns, role)
		if len(list) == 0 {
			continue
		}
		if len(list) > quotedColumns {
			list = append(list[:quotedColumns:quotedColumns], "...")
		}
		fmt.Fprintf(&b, "%s%s (%v)", separator, strings.Join(list, "|"), role)
		separator = ", "
	}
	fmt.Fprintf(&b, " in any order, %v", format)
	if format == FormatTSV {
		b.WriteString(" (a name ending in .csv: comma-separated)")
	}
	for _, layout := range schema.Headerless {
		fmt.Fprintf(&b, ", or without header %s (%v, valid labels)", layout.Name, layout.Format)
	}
	b.WriteString("; put a first line with such names into the file")
	return b.String()
}

func columnsWord(n int) string {
	if n == 1 {
		return "column"
	}
	return "columns"
}
