package vqa

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// Example is a question about a picture.
type Example struct {
	ID           string // of the question; of a file without, its number, from 1
	Image        string // the picture's path within Set.Dir, or what the data call it
	Question     string
	Answers      []string // of one person, or of VQA's ten; none in a test set
	AnswerType   string   // such as "yes/no"; "" where the data do not say
	QuestionType string   // such as "what color"; "" likewise
	Line         int      // of the file, or the number of the item in it, from 1
}

// Set is the questions of a file.
type Set struct {
	File     string
	Dir      string // that the paths of pictures are relative to
	Form     string // in words
	Examples []Example
	Notes    []string // what people should know: what was left out, for example
}

// Options are the ways to read questions.
type Options struct {
	Images     string      // the folder of the pictures; "" looks in that of the data
	Named      bool        // images keep the names that the data have for them: they are not pictures
	Unanswered bool        // answers are not needed, and not read
	SkipBad    bool        // leave out questions that are of no use, and count them; else they are an error
	Problem    func(error) // unless nil, is told of each that SkipBad leaves out
}

// Bounds of a question: longer texts are something else.
const (
	maxQuestion = 64 << 10
	maxAnswer   = 4 << 10
	maxAnswers  = 1000
	maxName     = 1024
)

// item is a question as a file has it.
type item struct {
	Example
	where   string // of a document: which item
	line    int    // 0 where lines mean nothing
	problem string // what makes it useless; "" if nothing does
}

// Read reads a file of questions. Without Unanswered every question has an answer.
func Read(path string, o Options) (*Set, error) {
	r := reader{Options: o, set: &Set{File: path}, seen: map[string]bool{}, texts: map[string]string{}}
	if err := r.read(); err != nil {
		return nil, err
	}
	if len(r.set.Examples) == 0 {
		if r.bad > 0 {
			return nil, &AllBadError{fmt.Errorf("none of %d questions is of use; the first: %w", r.bad, r.first)}
		}
		return nil, &textfile.FileError{File: path, Problem: "holds no questions", Remedy: accepted}
	}
	if r.bad > 0 && r.Problem == nil {
		r.set.Notes = append(r.set.Notes, fmt.Sprintf("%s: %s left out; the first: %v", path, textfile.Plural(r.bad, "question"), r.first))
	}
	if r.Named {
		return r.set, nil
	}
	return r.set, r.locate()
}

// AllBadError is that of a file none of whose questions is of use. Each has been told to [Options.Problem].
type AllBadError struct{ err error }

func (e *AllBadError) Error() string { return e.err.Error() }
func (e *AllBadError) Unwrap() error { return e.err }

const accepted = `read are VQA's questions JSON, easy-VQA's questions.json, GQA's questions JSON, and .csv, .tsv, .jsonl and .json with the columns image, question and answer`

// reader reads a file.
type reader struct {
	Options
	set   *Set
	seen  map[string]bool   // ids
	texts map[string]string // answers, each kept once
	bad   int
	first error // of the bad ones
}

func (r *reader) read() error {
	f, err := textfile.Open(r.set.File)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := r.scan(f); err != nil {
		return err
	}
	if r.set.Form != formQuestions || r.Unanswered {
		return nil
	}
	return r.annotate()
}

// scan reads the questions of a file, whatever its form.
func (r *reader) scan(f io.Reader) error {
	switch strings.ToLower(filepath.Ext(r.set.File)) {
	case ".jsonl", ".ndjson":
		return r.lines(f)
	}
	in := bufio.NewReader(infile.Text(f, r.set.File))
	head, _ := in.Peek(infile.HeadBytes) // an error comes again
	if head = bytes.TrimLeft(head, " \t\r\n"); len(head) > 0 && (head[0] == '{' || head[0] == '[') {
		return r.document(in)
	}
	return r.table(in)
}

// add takes a question that was read.
func (r *reader) add(i item) error {
	if i.problem == "" {
		i.problem = r.check(&i.Example)
	}
	if i.problem != "" {
		return r.useless(r.set.File, i.line, strings.TrimPrefix(i.where+": "+i.problem, ": "))
	}
	r.seen[i.ID] = true
	r.set.Examples = append(r.set.Examples, i.Example)
	return nil
}

// useless takes note of a question that is of no use, or returns the error about it.
func (r *reader) useless(file string, line int, problem string) error {
	err := &textfile.FileError{File: file, Line: line, Problem: problem, Remedy: "correct it, or leave such questions out with skip_bad (--skip-bad)"}
	if !r.SkipBad {
		return err
	}
	r.bad++
	r.first = cmp.Or(r.first, error(err))
	r.tell(err)
	return nil
}

// tell tells of a question that is left out.
func (r *reader) tell(err error) {
	if r.Problem != nil {
		r.Problem(err)
	}
}

// check brings a question into its form and says what is wrong with it.
func (r *reader) check(x *Example) string {
	x.ID, x.Image, x.Question = strings.TrimSpace(x.ID), strings.TrimSpace(x.Image), strings.TrimSpace(x.Question)
	if x.ID == "" {
		x.ID = fmt.Sprint(x.Line)
	}
	if r.Unanswered {
		x.Answers = nil
	}
	switch {
	case x.Image == "":
		return fmt.Sprintf("question %s has no image", textfile.Quote(x.ID))
	case x.Question == "":
		return fmt.Sprintf("question %s is empty", textfile.Quote(x.ID))
	case len(x.Question) > maxQuestion || len(x.Image) > maxName || len(x.ID) > maxName:
		return fmt.Sprintf("question %s is too long", textfile.Quote(x.ID))
	case strings.Contains(x.ID+x.Image+x.Question, "\x00"):
		return fmt.Sprintf("question %s has a NUL byte", textfile.Quote(x.ID))
	case r.seen[x.ID]:
		return fmt.Sprintf("question %s is there twice", textfile.Quote(x.ID))
	case r.set.Form == formQuestions || r.Unanswered:
		return "" // answers come later
	}
	return r.checkAnswers(x)
}

// checkAnswers says what is wrong with the answers to a question.
func (r *reader) checkAnswers(x *Example) string {
	if len(x.Answers) > maxAnswers {
		return fmt.Sprintf("question %s has %d answers, more than %d", textfile.Quote(x.ID), len(x.Answers), maxAnswers)
	}
	empty := true
	for i, a := range x.Answers {
		if len(a) > maxAnswer || strings.Contains(a, "\x00") {
			return fmt.Sprintf("question %s has an answer that is too long, or no text", textfile.Quote(x.ID))
		}
		empty = empty && strings.TrimSpace(a) == ""
		x.Answers[i] = r.text(a)
	}
	if empty {
		return fmt.Sprintf("question %s has no answer", textfile.Quote(x.ID))
	}
	return ""
}

// text returns a text that many questions share.
func (r *reader) text(s string) string {
	if kept, ok := r.texts[s]; ok {
		return kept
	}
	s = strings.Clone(s)
	r.texts[s] = s
	return s
}

// Images are the names of the pictures, each once, in the order of the questions, and the line of the first question about each.
func (s *Set) Images() (names []string, lines []int) {
	seen := map[string]bool{}
	for _, x := range s.Examples {
		if !seen[x.Image] {
			seen[x.Image] = true
			names, lines = append(names, x.Image), append(lines, x.Line)
		}
	}
	return names, lines
}

// Without returns the set less the questions about some pictures.
func (s *Set) Without(images map[string]bool) *Set {
	if len(images) == 0 {
		return s
	}
	kept := *s
	kept.Examples = slices.DeleteFunc(slices.Clone(s.Examples), func(x Example) bool { return images[x.Image] })
	return &kept
}

// SharedImages counts the pictures that two sets have in common.
func SharedImages(a, b *Set) int {
	have := map[string]bool{}
	for _, x := range a.Examples {
		have[filepath.Join(a.Dir, x.Image)] = true
	}
	n := 0
	images, _ := b.Images()
	for _, name := range images {
		if have[filepath.Join(b.Dir, name)] {
			n++
		}
	}
	return n
}

// ErrOnePicture is that of a set that cannot be parted.
var ErrOnePicture = errors.New("all questions are about one picture")

// Draw parts a set: about a share of its pictures, with all of their questions, is drawn. What is drawn depends on the seed and the
// pictures alone.
func (s *Set) Draw(share float64, seed uint64) (rest, drawn *Set, err error) {
	names, _ := s.Images()
	if len(names) < 2 {
		return nil, nil, &textfile.FileError{File: s.File, Problem: ErrOnePicture.Error() + ", so no dev set can be drawn", Remedy: "name a dev file with --dev", Err: ErrOnePicture}
	}
	slices.Sort(names)
	want := min(max(int(share*float64(len(names))+0.5), 1), len(names)-1)
	taken := map[string]bool{}
	for _, i := range random.New(seed, "held out").Perm(len(names))[:want] {
		taken[names[i]] = true
	}
	left := map[string]bool{}
	for _, name := range names {
		left[name] = !taken[name]
	}
	return s.Without(taken), s.Without(left), nil
}

// object makes a question of a JSON object.
func object(o columns.Object, i item) item {
	image, err := key(o, columns.Image, "image_id", "imageId")
	question, err2 := key(o, columns.Question)
	answer, err3 := key(o, columns.Answer, "answers")
	id, err4 := key(o, columns.ID, "question_id", "questionId")
	if err := cmp.Or(err, err2, err3, err4); err != nil {
		i.problem = err.Error()
		return i
	}
	if question == "" || image == "" {
		i.problem = "is " + o.String() + ", which has no image with a question"
		return i
	}
	var wrong [6]string
	i.Image, wrong[0] = o.Text(image)
	i.Question, wrong[1] = o.Text(question)
	i.ID, wrong[2] = o.Text(id)
	i.Answers, wrong[3] = answers(o, answer)
	i.AnswerType, wrong[4] = o.Text("answer_type")
	i.QuestionType, wrong[5] = o.Text("question_type")
	i.problem = cmp.Or(wrong[:]...)
	return i
}

// key returns the first of the other keys that the object has, or the one that has the role.
func key(o columns.Object, role columns.Role, others ...string) (string, error) {
	usual, err := o.Key(role)
	if role == columns.Image && usual != "" {
		return usual, err // an image's own name rather than its number
	}
	for _, other := range others {
		if o[other] != nil {
			return other, nil
		}
	}
	return usual, err
}

// answers are the answers under a key: a text, a number, a list of texts, or a list of VQA's objects.
func answers(o columns.Object, key string) ([]string, string) {
	raw := o[key]
	switch {
	case key == "" || len(raw) == 0:
		return nil, ""
	case raw[0] != '[' && raw[0] != '"':
		text, problem := o.Text(key)
		return []string{text}, problem
	}
	if texts, problem := o.Texts(key); problem == "" {
		return texts, ""
	}
	var list []struct {
		Answer columns.Name `json:"answer"`
	}
	if problem := o.Decode(key, &list); problem != "" {
		return nil, problem
	}
	texts := make([]string, len(list))
	for i, a := range list {
		texts[i] = string(a.Answer)
	}
	return texts, ""
}
