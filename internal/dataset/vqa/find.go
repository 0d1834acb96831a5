package vqa

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// splitNames has the words by which a name says of which split it is.
var splitNames = map[string][]string{
	"train": {"train"}, "dev": {"dev", "val", "valid", "validation"}, "test": {"test"},
}

var splitWord = regexp.MustCompile(`train|test|valid|val|dev`)

// splitOf is the split that a file's name is of; "" where it does not say. GQA's testdev and VQA's test-dev are test sets.
func splitOf(name string) string {
	words := splitWord.FindAllString(strings.ToLower(name), -1)
	for _, split := range []string{"test", "train", "dev"} {
		for _, word := range words {
			if slices.Contains(splitNames[split], word) {
				return split
			}
		}
	}
	return ""
}

// ofSplit are the folders that have the files of one split.
func ofSplit(split string) []string { return append([]string{split}, splitNames[split]...) }

// Resolve finds the file with the questions of a split, train, dev or test, at path: path itself if it is a file; in a folder
// train.csv and the like, train/questions.json, or VQA's and GQA's files by the names that they have.
func Resolve(path, split string) (string, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		found, err := official(path, split)
		if err != nil {
			return "", err
		}
		if found != "" {
			return found, nil
		}
	}
	names := slices.Compact(ofSplit(split))
	for _, folder := range slices.Compact(ofSplit(split)) {
		names = append(names, folder+"/questions")
	}
	return textfile.Resolve(path, split, names)
}

// official finds a file of questions by its name, in the folder or in its folder questions.
func official(dir, split string) (string, error) {
	var found []string
	for _, folder := range []string{".", "questions", "Questions"} {
		entries, err := os.ReadDir(filepath.Join(dir, folder))
		if err != nil {
			continue
		}
		for _, e := range entries {
			name := strings.ToLower(e.Name())
			if !e.IsDir() && !infile.Hidden(name) && filepath.Ext(name) == ".json" && strings.Contains(name, "questions") && splitOf(name) == split {
				found = append(found, filepath.Join(dir, folder, e.Name()))
			}
		}
		if found != nil {
			break
		}
	}
	if len(found) > 1 {
		return "", &textfile.FileError{File: dir, Problem: fmt.Sprintf("has several files of questions of %s: %s", split, textfile.QuoteAll(mapped(found, filepath.Base))),
			Remedy: "name the one that is meant", Err: fs.ErrExist}
	}
	if found == nil {
		return "", nil
	}
	return found[0], nil
}

func mapped(list []string, f func(string) string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = f(s)
	}
	return out
}
