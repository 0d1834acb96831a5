package run

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/train"
)

// FewExamples is how many examples say something: scores of fewer are shown with a warning.
const FewExamples = 20

// Doubts says where metrics are over so few examples that they say nothing.
func (t *Task) Doubts(m train.Numbers) []string {
	if d, ok := t.Kind.(Doubter); ok {
		return d.Doubts(m)
	}
	return FewNotes(m)
}

// FewNotes are the notes of a kind that is no [Doubter].
func FewNotes(m train.Numbers) []string {
	if n := int(m["examples"]); n < FewExamples {
		return []string{fmt.Sprintf("%s scored; the numbers say nothing: other examples can give quite different ones", Count(n, "example"))}
	}
	return nil
}

// Count writes a number of things: "1 picture", "3 pictures".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
