package coco

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// The fields of a line that are a caption's. [regions.CaptionFields] has those of its image; the others are not used.
const (
	fieldCaption   = 1
	fieldTokens    = 2
	fieldSentences = 3
	fieldPositions = 4
)

// ofCaption is the sentence id of a caption's tokens, ofObjects that of objects'.
const (
	ofObjects = 0
	ofCaption = 1
)

// LineFiles returns the files of the reference's lines that path stands for: itself, or those that it lists, one a line. There are none if it is
// something else.
func LineFiles(path string) ([]string, error) {
	first, err := firstLine(path)
	if err != nil || first == "" {
		return nil, err
	}
	if isLine(first) {
		return []string{path}, nil
	}
	if other, err := firstLine(beside(path, first)); err != nil || !isLine(other) {
		return nil, nil
	}
	f, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var files []string
	for lines := textfile.NewLines(infile.Text(f, path), path); ; {
		raw, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if name := string(bytes.TrimSpace(raw)); name != "" {
			file := beside(path, name)
			if _, err := os.Stat(file); err != nil {
				return nil, &textfile.FileError{File: path, Line: lines.Number(), Problem: fmt.Sprintf("lists %s, which is not there", textfile.Quote(name)), Remedy: "correct the path", Err: err}
			}
			files = append(files, file)
		}
	}
}

func isLine(line string) bool { return strings.Count(line, ";") == regions.CaptionFields.Count-1 }

// beside is a file that another one names.
func beside(path, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(path), name)
}

// firstLine returns the first line of a file, plain or compressed; "" of what has none.
func firstLine(path string) (line string, err error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return "", nil
	}
	err = textfile.WithUnpacked(path, func(in io.Reader) error {
		raw, err := textfile.NewLines(in, path).Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		line = strings.TrimSpace(string(raw))
		return err
	})
	return line, err
}

// ReadLines reads files of the reference's lines, each an image's regions and a caption of it as tokens, as a split. The images are
// added to w. A line without tokens has an image alone, to be captioned.
func ReadLines(files []string, w *regions.Within) (*captions.Set, error) {
	name := filepath.Base(files[0])
	s := &captions.Set{Name: strings.TrimSuffix(name, filepath.Ext(name)), Dir: filepath.Dir(files[0]), File: files[0]}
	number := map[string]int{}
	for _, file := range files {
		err := w.Scan(file, func(fields [][]byte, line int, bad error) error {
			if bad != nil {
				return bad
			}
			id := string(fields[regions.CaptionFields.ID])
			i, known := number[id]
			if !known {
				i = len(s.Images)
				number[id] = i
				s.Images = append(s.Images, id)
			}
			tokens, err := parseTokens(string(fields[fieldTokens]), string(fields[fieldSentences]), string(fields[fieldPositions]), ofCaption)
			if err != nil {
				return &textfile.FileError{File: file, Line: line, Problem: err.Error(), Remedy: "correct the line, or leave it out", Err: err}
			}
			if tokens != nil {
				s.Captions = append(s.Captions, captions.Caption{Image: i, Tokens: tokens, ID: string(fields[fieldCaption]), Line: line})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// parseTokens reads tokens with their sentence ids, which are all sentence, and positions, which count up: what the model takes them to be.
func parseTokens(tokens, sentences, positions string, sentence int32) ([]int32, error) {
	var lists [3][]int32
	for i, text := range []string{tokens, sentences, positions} {
		for field := range strings.FieldsSeq(text) {
			id, err := strconv.ParseInt(field, 10, 32)
			if err != nil || id < 0 {
				return nil, fmt.Errorf("%s is no id of a token, sentence or position", textfile.Quote(field))
			}
			lists[i] = append(lists[i], int32(id))
		}
		if len(lists[i]) != len(lists[0]) {
			return nil, fmt.Errorf("has %d tokens, but %d ids of sentences or positions", len(lists[0]), len(lists[i]))
		}
	}
	for i := range lists[0] {
		if lists[1][i] != sentence || lists[2][i] != int32(i)+batches.FirstPosition {
			return nil, fmt.Errorf("token %d has sentence %d and position %d, not %d and %d", i+1, lists[1][i], lists[2][i], sentence, i+batches.FirstPosition)
		}
	}
	return lists[0], nil
}
