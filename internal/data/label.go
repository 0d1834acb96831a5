package data

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// labels resolves the label column of a schema.
type labels struct {
	schema *Schema
	class  map[string]int // names and ids
}

func newLabels(s *Schema) *labels {
	class := make(map[string]int, 2*len(s.Labels))
	for id := range s.Labels {
		class[strconv.Itoa(id)] = id
	}
	for id, name := range s.Labels { // last: a name that looks like an id is a name
		class[name] = id
	}
	return &labels{schema: s, class: class}
}

// resolve sets the example's label, class and score from the file's value.
// The error is the problem alone; the caller knows the place.
func (l *labels) resolve(e *Example, value string) error {
	if l.schema.Regression {
		score, err := strconv.ParseFloat(value, 64)
		if err != nil || !(score >= l.schema.MinScore && score <= l.schema.MaxScore) {
			return fmt.Errorf("score %s is not a number from %v to %v", Quote(value), l.schema.MinScore, l.schema.MaxScore)
		}
		e.Label, e.Score = strings.Clone(value), score
		return nil
	}
	class, ok := l.class[value]
	if !ok {
		return fmt.Errorf("label %s is not one of %s", Quote(value), l.accepted())
	}
	e.Label, e.Class = l.schema.Labels[class], class
	return nil
}

func (l *labels) valid(value string) bool {
	return l.resolve(&Example{}, value) == nil
}

// accepted lists the labels a file may contain.
func (l *labels) accepted() string {
	list := make([]string, len(l.schema.Labels))
	for id, name := range l.schema.Labels {
		list[id] = name
		if number := strconv.Itoa(id); l.class[number] == id && number != name {
			list[id] += " (or " + number + ")"
		}
	}
	return strings.Join(list, ", ")
}

// clearLabel marks the example as unlabelled.
func (e *Example) clearLabel() { e.Label, e.Class, e.Score = "", -1, math.NaN() }
