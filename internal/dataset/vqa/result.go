package vqa

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// Result is the answer to a question, as VQA's server takes it.
type Result struct {
	ID     string
	Answer string
}

// MarshalJSON writes an id that is a whole number as one, as VQA's are.
func (r Result) MarshalJSON() ([]byte, error) {
	var id any = r.ID
	if n, err := strconv.ParseInt(r.ID, 10, 64); err == nil && strconv.FormatInt(n, 10) == r.ID {
		id = n
	}
	return json.Marshal(struct {
		ID     any    `json:"question_id"`
		Answer string `json:"answer"`
	}{id, r.Answer})
}

// WriteResults writes a result file: a JSON list of {"question_id", "answer"}.
func WriteResults(path string, results []Result) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		separator := "["
		for _, r := range results {
			raw, err := json.Marshal(r)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "%s%s", separator, raw); err != nil {
				return err
			}
			separator = ",\n"
		}
		if len(results) == 0 {
			separator = "[]"
		} else {
			separator = "]"
		}
		_, err := fmt.Fprintln(w, separator)
		return err
	})
}

// ReadResults reads a result file. A question that is answered twice is an error.
func ReadResults(path string) (map[string]string, error) {
	f, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readResults(f, path)
}

func readResults(in io.Reader, path string) (map[string]string, error) {
	answers := map[string]string{}
	err := textfile.EachItem(in, path, func(string) bool { return false }, func(i textfile.Item) error {
		var r struct {
			ID     *columns.Name `json:"question_id"`
			Answer *string       `json:"answer"`
		}
		wrong := func(problem string) error {
			return &textfile.FileError{File: path, Line: i.Line, Problem: fmt.Sprintf("%v %s", i, problem), Remedy: `give a JSON list of {"question_id": 1, "answer": "..."}`}
		}
		if i.Number == 0 {
			return wrong("is of an object, where a list is wanted")
		}
		if err := json.Unmarshal(i.Raw, &r); err != nil {
			problem, _ := infile.ExplainJSON(err)
			return wrong("cannot be read: " + problem)
		}
		if r.ID == nil || r.Answer == nil {
			return wrong(`lacks "question_id" or "answer"`)
		}
		if _, again := answers[string(*r.ID)]; again {
			return wrong(fmt.Sprintf("answers question %s again", *r.ID))
		}
		answers[string(*r.ID)] = *r.Answer
		return nil
	})
	if err == nil && len(answers) == 0 {
		err = &textfile.FileError{File: path, Problem: "has no answers", Remedy: `give a JSON list of {"question_id": 1, "answer": "..."}`}
	}
	return answers, err
}
