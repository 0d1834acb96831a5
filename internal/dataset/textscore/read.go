package textscore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
)

// maxText bounds a text, in bytes: the n-grams of one take some sixty times that.
const maxText = 1 << 20

// Read reads the files that the metric compares. They have a text a line, line n of all belonging
// together; those of coqa and vqa are the official ones, and so are those of captions named *.json. Errors name file, line and what to do; notes are
// about what was left out.
func (m Metric) Read(ctx context.Context, hypFile string, refFiles ...string) (texts []Text, notes []string, err error) {
	switch {
	case m.Name == "coqa":
		return readCoQA(hypFile, refFiles[0])
	case m.Name == "vqa":
		return readVQA(hypFile, refFiles[0])
	case (m.Name == "cider" || m.Name == "caption") && isJSON(hypFile):
		if len(refFiles) != 1 {
			return nil, nil, fmt.Errorf("%s takes one file of references, COCO's annotations; name one", hypFile)
		}
		texts, err = readCaptions(ctx, hypFile, refFiles[0])
		return texts, nil, err
	}
	texts, err = readLines(ctx, hypFile, refFiles)
	return texts, nil, err
}

// readLines reads files of as many lines each.
func readLines(ctx context.Context, hypFile string, refFiles []string) ([]Text, error) {
	hyps, err := readFile(ctx, hypFile)
	if err != nil {
		return nil, err
	}
	texts := make([]Text, len(hyps))
	for i, h := range hyps {
		texts[i].Hyp = h
	}
	for _, file := range refFiles {
		refs, err := readFile(ctx, file)
		if err != nil {
			return nil, err
		}
		if len(refs) != len(hyps) {
			return nil, fmt.Errorf("%s has %d lines and %s has %d; line n of one must belong to line n of the other", hypFile, len(hyps), file, len(refs))
		}
		for i, r := range refs {
			texts[i].Refs = append(texts[i].Refs, r)
		}
	}
	if len(texts) == 0 {
		return nil, &textfile.FileError{File: hypFile, Problem: "is empty", Remedy: "name a file with one text a line"}
	}
	return texts, nil
}

func readFile(ctx context.Context, path string) ([]string, error) {
	f, err := infile.OpenText(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return scanLines(f, path)
}

func scanLines(r io.Reader, file string) (texts []string, err error) {
	lines := textfile.NewLines(r, file)
	for {
		line, err := lines.Next()
		switch {
		case err == io.EOF:
			return texts, nil
		case err != nil:
			return nil, err
		case len(line) > maxText:
			return nil, &textfile.FileError{File: file, Line: lines.Number(), Problem: fmt.Sprintf("the text is longer than %d bytes", maxText),
				Remedy: "check that the file has one text a line"}
		}
		texts = append(texts, string(line))
	}
}

// turn names a turn of a conversation.
type turn struct {
	conversation string
	number       int
}

// readCoQA reads a JSON list of answers and CoQA's own JSON, which decides what the turns are.
func readCoQA(hypFile, refFile string) (texts []Text, notes []string, err error) {
	examples, _, err := seq2seq.ReadFile(refFile, seq2seq.Options{Kind: seq2seq.KindCoQA, Dialogue: true, NeedTarget: true})
	if err != nil {
		return nil, nil, err
	}
	f, err := infile.Open(hypFile)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	answers, err := readAnswers(infile.Text(f, hypFile), hypFile)
	if err != nil {
		return nil, nil, err
	}
	texts = make([]Text, len(examples))
	for i, e := range examples {
		id := turn{e.ID, e.Turn}
		answer, ok := answers[id]
		delete(answers, id)
		texts[i] = Text{Hyp: answer, Refs: e.References, Domain: e.Domain, Missing: !ok}
		if e.References == nil {
			texts[i].Refs = []string{e.Target}
		}
	}
	if len(answers) > 0 {
		first := slices.MinFunc(slices.Collect(maps.Keys(answers)), func(a, b turn) int {
			return cmp.Or(cmp.Compare(a.conversation, b.conversation), cmp.Compare(a.number, b.number))
		})
		notes = append(notes, fmt.Sprintf("%d predictions are for turns that the references do not have, the first for %q, turn %d", len(answers), first.conversation, first.number))
	}
	return texts, notes, nil
}

// readAnswers reads a JSON list of predictions.
func readAnswers(r io.Reader, file string) (map[turn]string, error) {
	const remedy = `give a JSON list of {"id": "...", "turn_id": 1, "answer": "..."}`
	broken := func(item int, format string, args ...any) error {
		problem := fmt.Sprintf(format, args...)
		if item > 0 {
			problem = fmt.Sprintf("item %d %s", item, problem)
		}
		return &textfile.FileError{File: file, Problem: problem, Remedy: remedy}
	}
	limited := &io.LimitedReader{R: r, N: seq2seq.MaxDocument}
	dec := json.NewDecoder(limited)
	start, err := dec.Token()
	var known *infile.Error
	if errors.As(err, &known) {
		return nil, err
	}
	if err != nil || start != json.Delim('[') {
		return nil, broken(0, "is no JSON list")
	}
	answers := map[turn]string{}
	n := 0
	for dec.More() {
		n++
		var item struct {
			ID     *columns.Name `json:"id"`
			Turn   *int          `json:"turn_id"`
			Answer *string       `json:"answer"`
		}
		if err := dec.Decode(&item); err != nil {
			problem, _ := infile.ExplainJSON(err)
			return nil, broken(n, "cannot be read: %s", problem)
		}
		if item.ID == nil || item.Turn == nil || item.Answer == nil {
			return nil, broken(n, `lacks "id", "turn_id" or "answer"`)
		}
		id := turn{string(*item.ID), *item.Turn}
		if _, again := answers[id]; again {
			return nil, broken(n, "answers conversation %q, turn %d, again", id.conversation, id.number)
		}
		answers[id] = *item.Answer
	}
	if _, err := dec.Token(); err != nil {
		if limited.N == 0 {
			return nil, broken(0, "is larger than %d bytes", seq2seq.MaxDocument)
		}
		return nil, broken(0, "ends within the list")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, broken(0, "has something behind the list")
	}
	return answers, nil
}
