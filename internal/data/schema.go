package data

import (
	"fmt"
	"slices"
)

// Role is what a column of a file is for.
type Role uint8

// The roles. A file has at most one column of each but Ignored.
const (
	Ignored Role = iota // known, and of no use to the task
	ID                  // the example's name in prediction files
	TextA               // the sentence, or the first of a pair
	TextB               // the second of a pair
	Label               // the class or the score
)

// Column says what the column of a given name is for.
type Column struct {
	Name string // exactly as in the file's first line
	Role Role
}

// Format is how a file separates its columns.
type Format uint8

// The formats.
const (
	FormatByName Format = iota // CSV if the file's name ends in .csv, else TSV
	FormatTSV                  // tab-separated, no quoting
	FormatCSV                  // comma-separated with RFC 4180 quoting
)

func (f Format) String() string {
	return [...]string{"by name", "tab-separated", "comma-separated"}[f]
}

// Layout is a form of file that has no header: the roles of its columns in
// order.
type Layout struct {
	Name    string // how messages call it
	Format  Format // FormatTSV or FormatCSV
	Columns []Role
}

// Schema says what the files of a task look like. The reference's own column
// names (text_a, text_b, label, qid) need not be listed.
type Schema struct {
	// Pair says that an example has two texts.
	Pair bool
	// Labels are the names of the classes in the order of their ids. In a file a
	// label is a name or, where it is no name, the decimal id. nil for regression.
	Labels []string
	// Regression says that the label is a number within [MinScore, MaxScore].
	Regression         bool
	MinScore, MaxScore float64
	// Columns are the further header names that files of this task have.
	Columns []Column
	// Headerless are the forms without header that files of this task have.
	Headerless []Layout
}

// columns lists all header names: the reference's and the task's own.
func (s *Schema) columns() []Column {
	own := []Column{{"text_a", TextA}}
	if s.Pair {
		own = append(own, Column{"text_b", TextB})
	}
	own = append(own, Column{"label", Label}, Column{"qid", ID})
	return append(own, s.Columns...)
}

// Classes is the number of classes, 0 for regression.
func (s *Schema) Classes() int { return len(s.Labels) }

// check finds mistakes in the declaration itself.
func (s *Schema) check() error {
	switch {
	case s.Regression && len(s.Labels) > 0:
		return fmt.Errorf("data: schema has both labels and a score")
	case s.Regression && !(s.MinScore < s.MaxScore):
		return fmt.Errorf("data: schema has the empty score range [%v, %v]", s.MinScore, s.MaxScore)
	case !s.Regression && len(s.Labels) < 2:
		return fmt.Errorf("data: schema has %d labels; it needs two or more, or a score", len(s.Labels))
	}
	for _, l := range s.Headerless {
		if l.Format != FormatTSV && l.Format != FormatCSV {
			return fmt.Errorf("data: layout %q of the schema needs a format", l.Name)
		}
		for _, role := range []Role{ID, TextA, TextB, Label} {
			if n := count(l.Columns, role); n > 1 || n == 0 && s.needs(role) {
				return fmt.Errorf("data: layout %q of the schema has %d columns for the %v", l.Name, n, role)
			}
		}
	}
	return nil
}

// needs says whether an example is incomplete without a column of that role,
// labels apart: whether those are needed depends on the use.
func (s *Schema) needs(role Role) bool {
	return role == TextA || role == TextB && s.Pair
}

func (r Role) String() string {
	return [...]string{"ignored column", "id", "first text", "second text", "label"}[r]
}

func count(roles []Role, role Role) int {
	n := 0
	for _, r := range roles {
		if r == role {
			n++
		}
	}
	return n
}

// names lists the header names of a role.
func names(columns []Column, role Role) []string {
	var out []string
	for _, c := range columns {
		if c.Role == role && !slices.Contains(out, c.Name) {
			out = append(out, c.Name)
		}
	}
	return out
}
