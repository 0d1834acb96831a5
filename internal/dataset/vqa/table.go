package vqa

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// lines reads JSON lines.
func (r *reader) lines(in io.Reader) error {
	r.set.Form = formLines
	objects, err := textfile.NewObjects(in, r.set.File, false)
	if err != nil {
		return err
	}
	for {
		raw, line, err := objects.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		x := item{Example: Example{Line: line}, line: line}
		o, problem := columns.ParseObject(raw)
		if x.problem = problem; problem == "" {
			x = object(o, x)
		}
		if err := r.add(x); err != nil {
			return err
		}
	}
}

// places says which column of a table is what, -1 for none.
type places struct {
	format                                                textfile.Format
	width                                                 int
	image, question, answer, id, answerType, questionType int
}

// headerBytes is where a header must have ended.
const headerBytes = 4 << 10

var separators = map[textfile.Format]string{textfile.FormatCSV: ",", textfile.FormatTSV: "\t", textfile.FormatSemicolon: ";"}

// header finds the separator with which the first line is a header.
func header(in *bufio.Reader) (p places, problem string) {
	head, _ := in.Peek(headerBytes) // an error comes again
	line, _, _ := strings.Cut(strings.TrimPrefix(string(head), "\ufeff"), "\n")
	for _, format := range []textfile.Format{textfile.FormatCSV, textfile.FormatTSV, textfile.FormatSemicolon} {
		names := strings.Split(strings.TrimSuffix(line, "\r"), separators[format])
		for i, name := range names {
			names[i] = strings.Trim(strings.TrimSpace(name), `"`)
		}
		p = places{format: format, width: len(names)}
		var wrong [4]error
		p.image, wrong[0] = column(names, columns.Image, "image_id")
		p.question, wrong[1] = column(names, columns.Question)
		p.answer, wrong[2] = column(names, columns.Answer, "answers")
		p.id, wrong[3] = column(names, columns.ID, "question_id")
		p.answerType, p.questionType = named(names, "answer_type"), named(names, "question_type")
		if err := cmp.Or(wrong[:]...); err != nil {
			problem = err.Error()
		} else if p.image >= 0 && p.question >= 0 {
			return p, ""
		}
	}
	return p, cmp.Or(problem, "is no header with the columns image and question")
}

// column is [key] for a table.
func column(names []string, role columns.Role, others ...string) (int, error) {
	usual, err := columns.Find(names, role)
	if role == columns.Image && usual >= 0 {
		return usual, err
	}
	for _, other := range others {
		if i := named(names, other); i >= 0 {
			return i, nil
		}
	}
	return usual, err
}

// named is the place of a name, -1 if it is not there.
func named(names []string, name string) int {
	for i, n := range names {
		if columns.Fold(n) == columns.Fold(name) {
			return i
		}
	}
	return -1
}

// table reads rows of columns with a header.
func (r *reader) table(in io.Reader) error {
	r.set.Form = formTable
	buffered := bufio.NewReaderSize(in, headerBytes)
	p, problem := header(buffered)
	if problem != "" {
		return &textfile.FileError{File: r.set.File, Line: 1, Problem: problem, Remedy: "give the file a first line image,question,answer; else " + accepted}
	}
	rows := textfile.NewRows(buffered, r.set.File, p.format)
	if _, _, err := rows.Next(); err != nil {
		return err
	}
	for {
		fields, line, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.add(p.item(fields, line)); err != nil {
			return err
		}
	}
}

// item makes a question of a row. Several answers are a list in one column.
func (p places) item(fields []string, line int) item {
	x := item{Example: Example{Line: line}, line: line}
	if len(fields) != p.width {
		x.problem = fmt.Sprintf("has %d columns, the header has %d: a text with commas must be in double quotes", len(fields), p.width)
		return x
	}
	field := func(i int) string {
		if i < 0 {
			return ""
		}
		return strings.Clone(fields[i]) // not the whole line
	}
	x.Image, x.Question, x.ID, x.AnswerType, x.QuestionType = field(p.image), field(p.question), field(p.id), field(p.answerType), field(p.questionType)
	if answer := field(p.answer); answer != "" {
		x.Answers = []string{answer}
		if list, ok := columns.List(answer); ok {
			x.Answers = list
		}
	}
	return x
}
