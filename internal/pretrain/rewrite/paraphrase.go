package rewrite

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// Paraphrases are other wordings of captions, by the caption.
type Paraphrases map[string][]string

// paraphrased is a line of JSON.
type paraphrased struct {
	Caption     string   `json:"caption"`
	Paraphrases []string `json:"paraphrases"`
}

// ReadParaphrases reads a file of paraphrases, for example back-translations: a caption and
// its paraphrases, with tabs between, a line; or, where the first line begins with "{",
// objects {"caption", "paraphrases"}. Blanks around texts, empty paraphrases, those equal to
// the caption and repeated ones do not count; lines of the same caption are put together. A
// line without caption or without any paraphrase is an error, [*data.FileError].
func ReadParaphrases(path string) (Paraphrases, error) {
	f, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readParaphrases(f, path)
}

func readParaphrases(in io.Reader, path string) (Paraphrases, error) {
	buffered := bufio.NewReader(in)
	first, _ := buffered.Peek(64)
	isJSON := bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(first, []byte("\xef\xbb\xbf"))), []byte("{"))
	lines := textfile.NewLines(buffered, path)
	p := Paraphrases{}
	for {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := p.add(line, isJSON); err != nil {
			return nil, &textfile.FileError{File: path, Line: lines.Number(), Problem: err.Error(),
				Remedy: `write a caption, a tab and its paraphrases with tabs between, or {"caption": ..., "paraphrases": [...]}`, Err: err}
		}
	}
	if len(p) == 0 {
		return nil, &textfile.FileError{File: path, Problem: "has no paraphrases", Remedy: "write a caption, a tab and its paraphrases on each line"}
	}
	return p, nil
}

// add adds a line, which is not blank.
func (p Paraphrases) add(line []byte, isJSON bool) error {
	var x paraphrased
	if isJSON {
		if err := json.Unmarshal(line, &x); err != nil {
			return fmt.Errorf("is no JSON object with caption and paraphrases: %w", infile.PlainJSON(err))
		}
	} else {
		fields := strings.Split(string(line), "\t")
		x.Caption, x.Paraphrases = fields[0], fields[1:]
	}
	caption := strings.TrimSpace(x.Caption)
	if caption == "" {
		return errors.New("the caption is empty")
	}
	have := p[caption]
	any := false
	for _, text := range x.Paraphrases {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		any = true
		if text != caption && !slices.Contains(have, text) {
			have = append(have, text)
		}
	}
	if !any {
		return errors.New("the caption has no paraphrase")
	}
	if have != nil {
		p[caption] = have
	}
	return nil
}

// Of returns the paraphrases of a caption, nil without.
func (p Paraphrases) Of(caption string) []string { return p[strings.TrimSpace(caption)] }
