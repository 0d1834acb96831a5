package seq2seq

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// maxTurns bounds the questions of a conversation, whose history repeats in each.
const maxTurns = 1000

// recogniseJSON looks at the beginning of a file that may be JSON.
func recogniseJSON(path string, in io.Reader) (Kind, error) {
	unknown := &textfile.FileError{File: path, Problem: "is of no known kind", Remedy: acceptedFiles}
	head := make([]byte, 64)
	n, err := io.ReadFull(in, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return 0, newReader(path, Options{}).unreadable(err)
	}
	head = head[:n]
	if err := infile.Binary(path, head); err != nil {
		return 0, err
	}
	head = skipMark(head)
	switch start := bytes.TrimLeft(head, " \t\r\n"); {
	case len(start) > 0 && start[0] == '[':
		return KindJSONLines, nil
	case len(start) == 0 || start[0] != '{':
		return 0, unknown
	}
	bounded := &budget{r: io.MultiReader(bytes.NewReader(head), io.LimitReader(in, MaxDocument)), file: path}
	bounded.renew()
	dec := json.NewDecoder(bounded)
	dec.Token() // {
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return 0, unknown
		}
		if key != "data" {
			if err := infile.SkipJSON(dec, bounded.renew); err != nil {
				return 0, unknown
			}
			continue
		}
		var item struct{ Story, Paragraphs json.RawMessage }
		bounded.renew()
		open, err := dec.Token()
		if err == nil && open == json.Delim('[') {
			err = dec.Decode(&item)
		}
		var known *textfile.FileError
		if errors.As(err, &known) {
			return 0, err
		}
		if err != nil || open != json.Delim('[') {
			unknown.Problem = `has no list of objects under "data"`
			return 0, unknown
		}
		switch {
		case item.Story != nil:
			return KindCoQA, nil
		case item.Paragraphs != nil:
			return KindSQuAD, nil
		}
		unknown.Problem = `has neither "story" (CoQA) nor "paragraphs" (SQuAD) in its first item of "data"`
		return 0, unknown
	}
	return KindJSONLines, nil // the first value ended: an object without "data"
}

// document walks the items of "data" in one JSON object. item decodes one, which begins at line.
func (r *reader) document(content []byte, item func(dec *json.Decoder, line int) error) error {
	content = skipMark(content)
	in := budget{r: bytes.NewReader(content), file: r.file}
	in.renew()
	dec := json.NewDecoder(&in)
	counted, line := 0, 1
	// lineOf is the line of what follows the decoder's place.
	lineOf := func() int {
		at := int(dec.InputOffset())
		for at < len(content) && strings.IndexByte(" \t\r\n,:", content[at]) >= 0 {
			at++
		}
		line += bytes.Count(content[counted:at], []byte{'\n'})
		counted = at
		return line
	}
	broken := func(err error) error { return r.malformed(lineOf(), err) }
	want := func(delim json.Delim) error {
		token, err := dec.Token()
		if err == nil && token != delim {
			err = fmt.Errorf("found %v where %v is expected", token, delim)
		}
		return err
	}
	if err := want('{'); err != nil {
		return broken(err)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return broken(err)
		}
		if key != "data" {
			if err := infile.SkipJSON(dec, in.renew); err != nil {
				return broken(err)
			}
			continue
		}
		if err := want('['); err != nil {
			return broken(err)
		}
		for dec.More() {
			in.renew()
			if err := item(dec, lineOf()); err != nil {
				return err
			}
		}
		if err := want(']'); err != nil {
			return broken(err)
		}
	}
	if err := want('}'); err != nil {
		return broken(err)
	}
	if rest := bytes.TrimSpace(content[dec.InputOffset():]); len(rest) > 0 {
		return broken(errors.New("something follows after its end"))
	}
	return nil
}

// decode reads one item. Where only a type is wrong, that is reported and ok is false.
func (r *reader) decode(dec *json.Decoder, line int, item any) (ok bool, err error) {
	err = dec.Decode(item)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		problem, _ := infile.ExplainJSON(err)
		return false, r.problem(line, problem, "correct it")
	case err != nil:
		return false, r.malformed(line, err)
	}
	return true, nil
}

func (r *reader) malformed(line int, err error) error {
	var known *textfile.FileError
	if errors.As(err, &known) {
		return err
	}
	problem, _ := infile.ExplainJSON(err)
	problem = strings.Replace(problem, "is not valid JSON", "is no valid JSON", 1)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		problem = "is no valid JSON: it ends within a value"
	}
	return &textfile.FileError{File: r.file, Line: line, Problem: problem, Remedy: "fetch it again", Err: err}
}

// maxItem bounds a conversation or an article in bytes.
const maxItem = 64 << 20

// budget ends the reading of a document whose items are too long to be held.
type budget struct {
	r    io.Reader
	file string
	left int
}

func (b *budget) renew() { b.left = maxItem }

// Read implements [io.Reader].
func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, &textfile.FileError{File: b.file, Problem: fmt.Sprintf("has an item of more than %d MiB", maxItem>>20), Remedy: "split it, or write its examples as JSON lines"}
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// list is a JSON list whose reading ends at the first item of another kind: by itself the decoder
// goes on and makes room for all of them.
type list[T any] []T

// maxListed bounds a list.
const maxListed = 1 << 20

// UnmarshalJSON implements [json.Unmarshaler].
func (l *list[T]) UnmarshalJSON(raw []byte) error {
	if raw[0] != '[' {
		return json.Unmarshal(raw, (*[]T)(l)) // null, or the decoder's own error
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.Token() // the bracket
	for dec.More() {
		var item T
		if err := dec.Decode(&item); err != nil {
			return err
		}
		if len(*l) == maxListed {
			return fmt.Errorf("a list has more than %d items", maxListed)
		}
		*l = append(*l, item)
	}
	return nil
}

// turn is a question or an answer in CoQA's JSON.
type turn struct {
	Text string `json:"input_text"`
	ID   int    `json:"turn_id"`
}

// conversation reads an item of CoQA's JSON: an example a question, with all questions
// and answers before it.
func (r *reader) conversation(dec *json.Decoder, line int) error {
	var c struct {
		Source     string                `json:"source"`
		ID         columns.Name          `json:"id"`
		Story      string                `json:"story"`
		Questions  list[turn]            `json:"questions"`
		Answers    list[turn]            `json:"answers"`
		Additional map[string]list[turn] `json:"additional_answers"`
	}
	if ok, err := r.decode(dec, line, &c); !ok {
		return err
	}
	name := "conversation " + textfile.Quote(string(c.ID))
	problem := func(format string, args ...any) error {
		return r.problem(line, name+fmt.Sprintf(format, args...), "correct the conversation or remove it")
	}
	n := len(c.Questions)
	switch {
	case n == 0:
		return problem(" has no questions")
	case n > maxTurns:
		return problem(" has %d questions, more than %d", n, maxTurns)
	case len(c.Answers) != n:
		return problem(" has %d questions and %d answers", n, len(c.Answers))
	}
	people := slices.Sorted(maps.Keys(c.Additional))
	for _, who := range people {
		if len(c.Additional[who]) != n {
			return problem(" has %d questions and %d answers of person %s", n, len(c.Additional[who]), textfile.Quote(who))
		}
	}
	var turns []string // shared by the examples
	for i, q := range c.Questions {
		number := i + 1
		if q.ID != 0 {
			number = q.ID
		}
		turns = append(turns, strings.TrimSpace(q.Text))
		x := Example{ID: string(c.ID), Sources: turns[:len(turns):len(turns)], Knowledge: c.Story, Target: strings.TrimSpace(c.Answers[i].Text),
			Domain: c.Source, Group: string(c.ID), Turn: number, Line: line}
		turns = append(turns, x.Target)
		wrong := ""
		check := func(a turn, whose string) {
			switch text := strings.TrimSpace(a.Text); {
			case a.ID != q.ID:
				wrong = fmt.Sprintf("%s is of turn %d", whose, a.ID)
			case text == "" && wrong == "":
				wrong = whose + " is empty"
			default:
				x.References = append(x.References, text)
			}
		}
		if number < 1 {
			wrong = "turns count from 1"
		}
		check(c.Answers[i], "the answer")
		for _, who := range people {
			check(c.Additional[who][i], "the answer of person "+textfile.Quote(who))
		}
		if strings.TrimSpace(q.Text) == "" {
			wrong = "the question is empty"
		}
		var err error
		if wrong != "" {
			err = problem(", turn %d: %s", number, wrong)
		} else {
			err = r.add(x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// passage is an item of "paragraphs" in SQuAD's JSON.
type passage struct {
	Context string         `json:"context"`
	QAs     list[question] `json:"qas"`
}

// question is an item of "qas".
type question struct {
	ID         columns.Name `json:"id"`
	Question   string       `json:"question"`
	Impossible bool         `json:"is_impossible"`
	Answers    list[answer] `json:"answers"`
}

// answer is an item of "answers".
type answer struct {
	Text string `json:"text"`
}

// article reads an item of SQuAD's JSON: an example a question that has an answer, with
// the answer and the passage as sources and the question as target.
func (r *reader) article(dec *json.Decoder, line int) error {
	var a struct {
		Title      string        `json:"title"`
		Paragraphs list[passage] `json:"paragraphs"`
	}
	if ok, err := r.decode(dec, line, &a); !ok {
		return err
	}
	for p, passage := range a.Paragraphs {
		group := a.Title
		if group == "" {
			group = fmt.Sprintf("passage %08x", crc32.ChecksumIEEE([]byte(passage.Context)))
		}
		for _, q := range passage.QAs {
			var err error
			switch {
			case q.Impossible || len(q.Answers) == 0:
				r.report.Skipped[skipImpossible]++
			case strings.TrimSpace(q.Answers[0].Text) == "" || strings.TrimSpace(passage.Context) == "":
				err = r.problem(line, fmt.Sprintf("article %s, passage %d, question %s: the answer or the passage is empty", textfile.Quote(a.Title), p+1, textfile.Quote(string(q.ID))),
					"complete it or remove it")
			default:
				err = r.add(Example{ID: string(q.ID), Sources: []string{q.Answers[0].Text, passage.Context}, Target: strings.TrimSpace(q.Question), Group: group, Line: line})
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
