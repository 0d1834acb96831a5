package write

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
)

// read reads a file of the task, in which every example needs a target if that is
// said. What was left out is logged, unless log is nil.
func (k *Kind) read(path string, needTarget bool, log *slog.Logger) ([]seq2seq.Example, error) {
	examples, found, err := seq2seq.ReadFile(path, seq2seq.Options{Dialogue: k.Data.Dialogue, NeedTarget: needTarget})
	if err != nil {
		return nil, err
	}
	if log == nil {
		return examples, nil
	}
	for reason, n := range found.Skipped {
		log.Warn(fmt.Sprintf("%d examples of %s are left out: %s", n, path, reason))
	}
	if len(found.Passed) > 0 {
		log.Warn(fmt.Sprintf("%s: columns that are not used: %s", path, strings.Join(found.Passed, ", ")))
	}
	if found.InvalidUTF8 > 0 {
		log.Warn(fmt.Sprintf("%d examples of %s hold bytes that are not UTF-8; these are kept", found.InvalidUTF8, path))
	}
	return examples, nil
}
