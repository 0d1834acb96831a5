package vqa

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// The forms, in words.
const (
	formQuestions = "VQA's questions" // whose answers are in another file
	formAnswered  = "a JSON document of questions and answers"
	formEasy      = "easy-VQA's JSON"
	formGQA       = "GQA's JSON"
	formTable     = "a table"
	formLines     = "JSON lines"
)

// document reads a JSON document and finds out its form.
func (r *reader) document(in io.Reader) error {
	annotations := false
	isList := func(key string) bool {
		annotations = annotations || key == "annotations"
		return key == "questions" || key == "annotations" || key == "data"
	}
	err := textfile.EachItem(in, r.set.File, isList, func(i textfile.Item) error { return r.item(i) })
	if err == nil && annotations && len(r.set.Examples) == 0 && r.bad == 0 {
		return &textfile.FileError{File: r.set.File, Problem: "has annotations and no questions", Remedy: "name the file of the questions; that of the annotations is looked for beside it"}
	}
	return err
}

// item takes an item of a document.
func (r *reader) item(i textfile.Item) error {
	x := item{Example: Example{Line: i.Number}, where: i.String(), line: i.Line}
	switch {
	case i.Key == "annotations":
		return nil
	case i.Number == 0: // a key of an object: GQA's question, or what stands beside lists
		return r.gqa(i, x)
	case i.Raw[0] == '[':
		r.set.Form = formEasy
		return r.add(easy(i.Raw, x))
	}
	o, problem := columns.ParseObject(i.Raw)
	if problem != "" {
		x.problem = problem
		return r.add(x)
	}
	x = object(o, x)
	if r.set.Form == "" {
		r.set.Form = formAnswered
		if i.Key == "questions" && x.Answers == nil {
			r.set.Form = formQuestions
		}
	}
	return r.add(x)
}

// easy makes a question of a list of question, answer and image.
func easy(raw json.RawMessage, x item) item {
	var fields []columns.Name
	if err := json.Unmarshal(raw, &fields); err != nil || len(fields) != 3 {
		x.problem = "is no list of a question, an answer and an image"
		return x
	}
	x.Question, x.Answers, x.Image = string(fields[0]), []string{string(fields[1])}, string(fields[2])
	return x
}

// gqa takes a question under its id. Other keys are passed over.
func (r *reader) gqa(i textfile.Item, x item) error {
	var q struct {
		ImageID  columns.Name `json:"imageId"`
		Question *string      `json:"question"`
		Answer   string       `json:"answer"`
		Types    struct {
			Structural string `json:"structural"`
		} `json:"types"`
	}
	if r.set.Form == formQuestions || r.set.Form == formAnswered || i.Raw[0] != '{' {
		return nil
	}
	err := json.Unmarshal(i.Raw, &q)
	if err != nil || q.Question == nil {
		if r.set.Form == formGQA {
			x.problem = "is no question with \"imageId\" and \"question\""
			return r.add(x)
		}
		return nil
	}
	r.set.Form = formGQA
	x.ID, x.Image, x.Question, x.QuestionType = i.Key, string(q.ImageID), *q.Question, r.text(q.Types.Structural)
	x.Line = len(r.set.Examples) + r.bad + 1
	if q.Answer != "" {
		x.Answers = []string{q.Answer}
	}
	return r.add(x)
}

// annotation is what VQA's annotations say of a question.
type annotation struct {
	QuestionID   columns.Name `json:"question_id"`
	QuestionType string       `json:"question_type"`
	AnswerType   string       `json:"answer_type"`
	Answers      []struct {
		Answer columns.Name `json:"answer"`
	} `json:"answers"`
}

// annotate gives VQA's questions their answers.
func (r *reader) annotate() error {
	path, err := r.annotationFile()
	if err != nil {
		return err
	}
	at := make(map[string]int, len(r.set.Examples))
	for i, x := range r.set.Examples {
		at[x.ID] = i
	}
	unasked, answered := 0, make([]bool, len(r.set.Examples))
	err = EachAnnotation(path, func(i textfile.Item, id, answerType, questionType string, people []string) error {
		n, asked := at[id]
		if !asked {
			unasked++
			return nil
		}
		x := &r.set.Examples[n]
		if answered[n] {
			return r.useless(path, i.Line, fmt.Sprintf("%v: question %s is answered twice", i, textfile.Quote(id)))
		}
		x.Answers, x.AnswerType, x.QuestionType = people, r.text(answerType), r.text(questionType)
		if problem := r.checkAnswers(x); problem != "" {
			x.Answers = nil
			answered[n] = true // it is told once
			return r.useless(path, i.Line, fmt.Sprintf("%v: %s", i, problem))
		}
		answered[n] = true
		return nil
	})
	if err != nil {
		return err
	}
	if unasked > 0 {
		r.set.Notes = append(r.set.Notes, fmt.Sprintf("%s: %s of questions that %s does not have", path, textfile.Plural(unasked, "annotation"), filepath.Base(r.set.File)))
	}
	return r.keepAnswered(path, answered)
}

// keepAnswered drops the questions without answers.
func (r *reader) keepAnswered(path string, answered []bool) error {
	kept := r.set.Examples[:0]
	for i, x := range r.set.Examples {
		switch {
		case x.Answers != nil:
			kept = append(kept, x)
		case !answered[i]:
			if err := r.useless(r.set.File, 0, fmt.Sprintf("question %s has no annotation in %s", textfile.Quote(x.ID), path)); err != nil {
				return err
			}
		}
	}
	r.set.Examples = kept
	return nil
}

// annotationFile finds the annotations of VQA's questions by their name.
func (r *reader) annotationFile() (string, error) {
	dir, base := filepath.Split(r.set.File)
	name := strings.NewReplacer("OpenEnded_", "", "MultipleChoice_", "", "questions", "annotations").Replace(base)
	if name != base {
		for _, folder := range []string{".", filepath.Join("..", "annotations"), filepath.Join("..", "Annotations"), "annotations", "Annotations"} {
			path := filepath.Join(dir, folder, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return path, nil
			}
		}
	}
	return "", &textfile.FileError{File: r.set.File, Problem: fmt.Sprintf("has questions without answers, and there is no %s beside it", name),
		Remedy: "put VQA's annotations there", Err: os.ErrNotExist}
}

// EachAnnotation reads VQA's annotations one by one.
func EachAnnotation(path string, each func(i textfile.Item, id, answerType, questionType string, people []string) error) error {
	f, err := textfile.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return eachAnnotation(f, path, each)
}

func eachAnnotation(in io.Reader, path string, each func(i textfile.Item, id, answerType, questionType string, people []string) error) error {
	found := false
	err := textfile.EachItem(in, path, func(key string) bool { return key == "annotations" }, func(i textfile.Item) error {
		if i.Key != "annotations" {
			return nil
		}
		found = true
		var a annotation
		if err := json.Unmarshal(i.Raw, &a); err != nil {
			problem, _ := infile.ExplainJSON(err)
			return &textfile.FileError{File: path, Line: i.Line, Problem: fmt.Sprintf("%v: %s", i, problem), Remedy: "correct it", Err: err}
		}
		if a.QuestionID == "" {
			return &textfile.FileError{File: path, Line: i.Line, Problem: fmt.Sprintf("%v has no \"question_id\"", i), Remedy: "correct it"}
		}
		people := make([]string, len(a.Answers))
		for k, answer := range a.Answers {
			people[k] = string(answer.Answer)
		}
		return each(i, string(a.QuestionID), a.AnswerType, a.QuestionType, people)
	})
	if err == nil && !found {
		return &textfile.FileError{File: path, Problem: `has no "annotations" with "question_id" and "answers"`, Remedy: "name VQA's annotations, such as v2_mscoco_val2014_annotations.json"}
	}
	return err
}
