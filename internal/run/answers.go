package run

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// Answer is what a run's best model says of a dev example: a line of RUN/predictions/SPLIT.jsonl.
type Answer struct {
	Task      string  `json:"task,omitempty"` // of a model for several
	ID        string  `json:"id,omitempty"`
	Text      string  `json:"text,omitempty"`
	Gold      string  `json:"gold"`
	Predicted string  `json:"predicted"`
	Value     float64 `json:"value"` // right or not, or how good a text is by the task's metric; of a regression the squared error
}

// Right is the value of an answer that is right or wrong.
func Right(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// answersFile is where a run keeps the answers of a split.
func answersFile(dir, split string) string {
	return filepath.Join(dir, "predictions", split+".jsonl")
}

// writeAnswers keeps what the best model says of the dev examples with the run.
func writeAnswers(dir string, r Result) error {
	if r.Detail == nil {
		return nil
	}
	list := r.Detail.Answers()
	if len(list) == 0 {
		return nil
	}
	path := answersFile(dir, r.Split)
	if err := atomicfile.Mkdir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write predictions: %w", err)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		b := bufio.NewWriter(w)
		enc := json.NewEncoder(b)
		for _, a := range list {
			if err := enc.Encode(a); err != nil {
				return err
			}
		}
		return b.Flush()
	})
}

// readAnswers reads what writeAnswers wrote.
func readAnswers(path string) ([]Answer, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read predictions: %w", err)
	}
	defer f.Close()
	var list []Answer
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, textfile.MaxLine)
	for lines.Scan() {
		var a Answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return nil, fmt.Errorf("read predictions %s:%d: %w", path, len(list)+1, infile.PlainJSON(err))
		}
		list = append(list, a)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read predictions %s:%d: %w", path, len(list)+1, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("read predictions %s: %w", path, errors.New("the file is empty"))
	}
	return list, nil
}
