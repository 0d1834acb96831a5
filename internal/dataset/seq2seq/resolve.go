package seq2seq

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// Splits are the usual parts of a data set, and the words for them in file names.
var Splits = []string{"train", "dev", "test"}

var splitWords = map[string][]string{
	"train": {"train", "training"},
	"dev":   {"dev", "valid", "validation", "val"},
	"test":  {"test"},
}

// SplitOf returns the split that a file's name says it is, in one of its words
// ("coqa-train-v1.0.json", "valid.article.txt"), or "".
func SplitOf(path string) string {
	words := strings.FieldsFunc(plainName(path), func(r rune) bool { return !unicode.IsLetter(r) })
	for _, split := range Splits {
		for _, word := range splitWords[split] {
			if slices.Contains(words, word) {
				return split
			}
		}
	}
	return ""
}

// Resolve finds the file of a split ("train", "dev", "test") inside a folder: the one
// file of a known ending whose name has the split's word; see [SplitOf]. A path that
// is a file is the answer. The error lists what is there; it is [fs.ErrNotExist] if
// there is none.
func Resolve(path, split string) (string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return textfile.Resolve(path, split, nil) // which says what is wrong
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", &textfile.FileError{File: path, Problem: fmt.Sprintf("cannot be looked at: %v", err), Err: err}
	}
	var found []string
	for _, e := range entries {
		if !e.IsDir() && !infile.Hidden(e.Name()) && isSource(e.Name()) && SplitOf(e.Name()) == split {
			found = append(found, e.Name())
		}
	}
	switch len(found) {
	case 1:
		return filepath.Join(path, found[0]), nil
	case 0:
		return "", &textfile.FileError{File: path,
			Problem: fmt.Sprintf("has no %s file: none of a known kind has %s in its name", split, strings.Join(splitWords[split], " or ")),
			Remedy:  acceptedFiles, Err: fs.ErrNotExist}
	}
	return "", &textfile.FileError{File: path, Problem: fmt.Sprintf("has several %s files: %s", split, strings.Join(found, ", ")),
		Remedy: "name one of them, or move the others away"}
}

// isSource says whether a file of that name may hold examples or the sources of a pair.
func isSource(name string) bool {
	name = plainName(name)
	if _, target := otherSide(name, 1, 0); target || wordAt(name, "para") >= 0 {
		return false // passages go with src-*.txt as well, and are named if wanted
	}
	switch filepath.Ext(name) {
	case ".jsonl", ".ndjson", ".json", ".tsv", ".csv":
		return true
	}
	_, source := otherSide(name, 0, 1)
	return source
}
