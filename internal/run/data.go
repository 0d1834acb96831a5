package run

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/unimo-go/unimo/internal/base/printable"
)

// SplitSettings say what part of training examples becomes dev. The settings of a [Preparer] embed them.
type SplitSettings struct {
	Split float64 `json:"split" help:"fraction of the training examples to write as dev instead"`
	Seed  uint64  `json:"seed" help:"seed of --split"`
}

// Validate implements [Flags].
func (s *SplitSettings) Validate(given func(key string) bool) error {
	if given("split") && !(s.Split > 0 && s.Split < 1) {
		return fmt.Errorf("--split is %v, want a fraction between 0 and 1", s.Split)
	}
	return nil
}

// warnedProblems is how many bad examples are shown while preparing.
const warnedProblems = 10

// LeftOut tells log what preparing leaves out, the first ones one by one.
type LeftOut struct {
	Log *slog.Logger
	n   int
}

// Problem says that something is left out.
func (l *LeftOut) Problem(err error) {
	if l.n++; l.n <= warnedProblems {
		l.Log.Warn(fmt.Sprintf("left out: %v", err))
	}
}

// Done says how many others there are, and where they are listed.
func (l *LeftOut) Done(where string) {
	if l.n > warnedProblems {
		l.Log.Warn(fmt.Sprintf("%d more were left out%s", l.n-warnedProblems, where))
	}
}

// PrintProblems prints problems of files: those that are shown of n.
func PrintProblems(w io.Writer, shown []string, n int) {
	for _, p := range shown {
		printable.Fprintf(w, "%s\n", p)
	}
	if more := n - len(shown); more > 0 {
		fmt.Fprintf(w, "and %d more problems\n", more)
	}
}
