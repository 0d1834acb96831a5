package labelled

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/textfile"
)

// labels resolves the label column of a schema.
type labels struct {
	schema *Schema
	class  map[string]int // names and ids
	folded map[string]int // names in lower case, -1 where several are the same so
}

func newLabels(s *Schema) *labels {
	l := &labels{schema: s, class: make(map[string]int, 2*len(s.Labels)), folded: map[string]int{}}
	if !s.Open {
		for id := range s.Labels {
			l.class[strconv.Itoa(id)] = id
		}
	}
	for id, name := range s.Labels { // last: a name that looks like an id is a name
		l.class[name] = id
		lower := strings.ToLower(name)
		if _, twice := l.folded[lower]; twice {
			id = -1
		}
		l.folded[lower] = id
	}
	return l
}

// missing says whether a value says that there is no label: an empty one; of a task whose labels
// are known, "-", as in corpora of pairs on which people did not agree, and -1, as the datasets
// library writes it. gold says that the column is one of agreed labels, by its name.
func (l *labels) missing(value string, gold bool) bool {
	switch value {
	case "":
		return true
	case "-":
		return gold || !l.schema.Open && !l.schema.Regression
	case "-1", "-1.0":
		return !l.schema.Open && (!l.schema.Regression || l.schema.MinScore > -1)
	}
	return false
}

// resolve sets the example's label, class and score from the file's value.
// The error is the problem alone; the caller knows the place.
func (l *labels) resolve(e *Example, value string) error {
	if l.schema.Regression {
		score, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(score) || math.IsInf(score, 0) {
			if l.schema.Open {
				return fmt.Errorf("score %s is not a number", textfile.Quote(value))
			}
			score = math.NaN()
		}
		if !l.schema.Open && !(score >= l.schema.MinScore && score <= l.schema.MaxScore) {
			return fmt.Errorf("score %s is not a number from %v to %v", textfile.Quote(value), l.schema.MinScore, l.schema.MaxScore)
		}
		e.Label, e.Score = strings.Clone(value), score
		return nil
	}
	if l.schema.Labels == nil {
		if !utf8.ValidString(value) {
			return fmt.Errorf("label %s is not UTF-8", textfile.Quote(value)) // a model's configuration could not hold it
		}
		e.Label = strings.Clone(value)
		return nil
	}
	class, ok := l.class[value]
	if !ok {
		// 1.0 is how a table with a gap in its numbers writes 1.
		class, ok = l.class[wholeNumber(value)]
	}
	if !ok {
		class, ok = l.folded[strings.ToLower(value)]
	}
	if !ok || class < 0 {
		return fmt.Errorf("label %s is not one of %s", textfile.Quote(value), l.accepted())
	}
	e.Label, e.Class = l.schema.Labels[class], class
	return nil
}

func (l *labels) valid(value string) bool {
	return l.resolve(&Example{}, value) == nil
}

// accepted lists the labels a file may contain.
func (l *labels) accepted() string {
	const shown = 20
	list := make([]string, 0, shown)
	for id, name := range l.schema.Labels {
		if id == shown {
			list = append(list, fmt.Sprintf("and %d more", len(l.schema.Labels)-id))
			break
		}
		if number := strconv.Itoa(id); l.class[number] == id && number != name && !l.schema.Open {
			name += " (or " + number + ")"
		}
		list = append(list, name)
	}
	return strings.Join(list, ", ")
}

// clearLabel marks the example as unlabelled.
func (e *Example) clearLabel() { e.Label, e.Class, e.Score = "", -1, math.NaN() }

// wholeNumber returns "7" of "7.0" or "7.", and other values as they are.
func wholeNumber(value string) string {
	whole, fraction, ok := strings.Cut(value, ".")
	if _, err := strconv.Atoi(whole); !ok || err != nil || strings.Trim(fraction, "0") != "" {
		return value
	}
	return whole
}

// MaxLabels bounds the classes that are taken from data.
const MaxLabels = 10000

// LabelNames returns the labels of examples, in the order of their classes: by their value if
// all are numbers, else by their characters. Whole numbers that are all written as 1.0 are named
// 1. The error, a [*FileError], says that there are too few labels to choose from, or so many
// that they cannot be classes.
func LabelNames(examples []Example) ([]string, error) {
	count := map[string]int{}
	fractions := true
	for _, x := range examples {
		if count[x.Label]++; count[x.Label] == 1 {
			fractions = fractions && wholeNumber(x.Label) != x.Label
		}
	}
	var names []string
	numbers := true
	for name := range count {
		if fractions {
			name = wholeNumber(name)
		}
		value, err := strconv.ParseFloat(name, 64)
		numbers = numbers && err == nil && !math.IsNaN(value)
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if !numbers {
			return cmp.Compare(a, b)
		}
		x, _ := strconv.ParseFloat(a, 64)
		y, _ := strconv.ParseFloat(b, 64)
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
	})
	names = slices.Compact(names)                             // 1.0 and 1.00
	names = slices.DeleteFunc(names, func(name string) bool { // of 1 and 1.0 one stays, which Assign finds for both
		whole := wholeNumber(name)
		_, same := count[whole]
		return whole != name && same
	})
	file := examples[0].File
	switch {
	case len(names) < 2:
		return nil, &textfile.FileError{File: file, Problem: fmt.Sprintf("has the label %s in all of %s", textfile.Quote(names[0]), textfile.Plural(len(examples), "example")),
			Remedy: "a classifier needs examples of two labels or more; check which column holds them (--columns label=NAME)"}
	case numbers && len(names) > 50 && 2*len(names) > len(examples):
		return nil, &textfile.FileError{File: file, Problem: fmt.Sprintf("has %d different labels in %d examples, all of them numbers", len(names), len(examples)),
			Remedy: "to predict a number use 'unimo finetune regress'; or name the column of the classes with --columns label=NAME"}
	case len(names) > MaxLabels || len(names) > 50 && 2*len(names) > len(examples):
		return nil, &textfile.FileError{File: file, Problem: fmt.Sprintf("has %d different labels in %d examples", len(names), len(examples)),
			Remedy: "name the column of the classes with --columns label=NAME, as these are hardly classes"}
	}
	return names, nil
}

// Assign gives examples that were read with an open schema the classes of names, which are those
// of [LabelNames].
func Assign(examples []Example, names []string) {
	l := newLabels(&Schema{Open: true, Labels: names})
	for i := range examples {
		l.resolve(&examples[i], examples[i].Label) // each is one of them
	}
}
