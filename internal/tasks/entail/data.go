package entail

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/entailment"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
)

// Resolve implements [run.Resolver]: besides the usual files it finds the reference's, compressed ones and lists of paths.
func (Kind) Resolve(path string, s run.Split) (string, error) {
	file, err := textfile.Resolve(path, s.Name, s.Files)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	for _, name := range s.Files {
		for _, ending := range []string{"", ".gz", ".txt.gz"} {
			candidate := filepath.Join(path, name+ending)
			if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() {
				return candidate, nil
			}
		}
	}
	return "", err
}

// read reads a file and tells log what people should know of it.
func read(file string, o entailment.Options, log *slog.Logger) (*entailment.Set, error) {
	set, err := entailment.Read(file, o)
	if err != nil {
		return nil, err
	}
	for _, note := range set.Notes {
		log.Warn(note)
	}
	return set, nil
}

// imagesOf are the pictures of the examples of a file.
func imagesOf(f run.File, folder pairs.Folder, examples []entailment.Example) pairs.Images {
	return pairs.Images{Split: f.Split, File: f.Path, Dir: folder.Of(f.Path), Count: len(examples), Of: func(i int) (string, int) { return examples[i].Image, examples[i].Line }}
}

// records makes records of examples, and counts those whose text was cut.
func records(examples []entailment.Example, enc images.Captions) (list []pairs.Record, cut int, err error) {
	list = make([]pairs.Record, len(examples))
	for i, x := range examples {
		tokens, shorter, err := enc.EncodeOr(x.Text, x.Tokens, x.File, x.Line)
		if err != nil {
			return nil, 0, err
		}
		list[i] = pairs.Record{Image: x.Image, Tokens: tokens, Class: x.Class, Still: x.Text == "" || captions.MirrorText(x.Text) != x.Text, Line: x.Line}
		if shorter {
			cut++
		}
	}
	return list, cut, nil
}

// golds are the classes of examples.
func golds(examples []entailment.Example) []int {
	list := make([]int, len(examples))
	for i, x := range examples {
		list[i] = x.Class
	}
	return list
}

// shares says how many examples have which label.
func shares(labels []string, examples []entailment.Example) string {
	count := make([]int, len(labels))
	for _, x := range examples {
		count[x.Class]++
	}
	var parts []string
	for class, label := range labels {
		parts = append(parts, fmt.Sprintf("%s: %d (%.1f %%)", label, count[class], 100*float64(count[class])/float64(len(examples))))
	}
	return strings.Join(parts, ", ")
}
