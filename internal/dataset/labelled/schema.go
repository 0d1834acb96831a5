package labelled

import (
	"github.com/unimo-go/unimo/internal/base/textfile"
)

import "fmt"

// Role is what a column of a file without header is for.
type Role uint8

// The roles. A layout has at most one column of each but Ignored.
const (
	Ignored Role = iota // known, and of no use to the task
	ID                  // the example's name in prediction files
	TextA               // the sentence, or the first of a pair
	TextB               // the second of a pair
	Label               // the class or the score
)

// Layout is a form of file that has no header: the roles of its columns in
// order.
type Layout struct {
	Name    string          // how messages call it
	Format  textfile.Format // FormatTSV or FormatCSV
	Columns []Role
}

// Schema says what the files of a task look like. The names of their columns are those of
// package columns.
type Schema struct {
	// Pair says that an example has two texts.
	Pair bool
	// Picture says that the first text of a pair is the name of a picture.
	Picture bool
	// Open says that the data decide: an example has one text, two, or those that
	// ReadOptions.Columns names; the labels are what the files have, until Labels says
	// which there are; scores may be any.
	Open bool
	// Labels are the names of the classes in the order of their ids. In a file a
	// label is a name or, where it is no name, the decimal id; of an open schema it is a
	// name. nil for regression, and of an open schema that is not resolved.
	Labels []string
	// Regression says that the label is a number within [MinScore, MaxScore].
	Regression         bool
	MinScore, MaxScore float64
	// Headerless are the forms without header that files of this task have.
	Headerless []Layout
}

// Resolver returns a function that finds the class that a file calls value: by its name in either case, or its number.
// missing says that the value stands for none.
func (s *Schema) Resolver() func(value string) (class int, missing bool, err error) {
	l := newLabels(s)
	return func(value string) (int, bool, error) {
		if l.missing(value, false) {
			return -1, true, nil
		}
		e := Example{}
		err := l.resolve(&e, value)
		return e.Class, false, err
	}
}

// Classes is the number of classes, 0 for regression.
func (s *Schema) Classes() int { return len(s.Labels) }

// check finds mistakes in the declaration itself.
func (s *Schema) check() error {
	switch {
	case s.Regression && len(s.Labels) > 0:
		return fmt.Errorf("labelled: schema has both labels and a score")
	case s.Regression && !s.Open && !(s.MinScore < s.MaxScore):
		return fmt.Errorf("labelled: schema has the empty score range [%v, %v]", s.MinScore, s.MaxScore)
	case !s.Regression && len(s.Labels) < 2 && !(s.Open && s.Labels == nil):
		return fmt.Errorf("labelled: schema has %d labels; it needs two or more, or a score", len(s.Labels))
	case s.Open && (s.Pair || len(s.Headerless) > 0):
		return fmt.Errorf("labelled: an open schema has pairs or layouts")
	}
	for _, l := range s.Headerless {
		if l.Format != textfile.FormatTSV && l.Format != textfile.FormatCSV {
			return fmt.Errorf("labelled: layout %q of the schema needs a format", l.Name)
		}
		for _, role := range []Role{ID, TextA, TextB, Label} {
			if n := count(l.Columns, role); n > 1 || n == 0 && (role == TextA || role == TextB && s.Pair) {
				return fmt.Errorf("labelled: layout %q of the schema has %d columns of role %d", l.Name, n, role)
			}
		}
	}
	return nil
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
