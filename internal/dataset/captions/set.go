package captions

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// Caption is a sentence about an image.
type Caption struct {
	Image  int     // index into Set.Images
	Text   string  // "" where there are only tokens
	Tokens []int32 // the model's token ids, [CLS] first and [SEP] last, of a file that has them; else nil
	ID     string  // "" without
	Line   int     // of the file of captions, from 1
}

// Set is a split: images, and the captions of each, at least one. Images are in the order
// of the list, captions in the order of their file.
type Set struct {
	Name     string   // of the split
	Dir      string   // of the data
	File     string   // of the captions
	Images   []string // as [picture.Key] writes them
	Captions []Caption

	once sync.Once
	of   [][]int
}

// Of returns the indices of an image's captions in order; read-only. The first call indexes
// the set, which must not change from then on.
func (s *Set) Of(image int) []int {
	s.once.Do(func() {
		s.of = make([][]int, len(s.Images))
		for c := range s.Captions {
			at := s.Captions[c].Image
			s.of[at] = append(s.of[at], c)
		}
	})
	return s.of[image]
}

// ImageOf returns the image of every caption.
func (s *Set) ImageOf() []int {
	of := make([]int, len(s.Captions))
	for c := range of {
		of[c] = s.Captions[c].Image
	}
	return of
}

// splitNames are the splits that a folder of data can have, in order.
var splitNames = []string{"train", "dev", "test"}

// ImageDir is where the pictures of a folder of data are.
func ImageDir(dir string) string { return filepath.Join(dir, "images") }

func listFile(dir, split string) string { return filepath.Join(dir, split+".txt") }

// Splits returns which of train, dev and test a folder has lists of; none is an error.
func Splits(dir string) ([]string, error) {
	var found []string
	for _, split := range splitNames {
		if _, err := os.Stat(listFile(dir, split)); err == nil {
			found = append(found, split)
		}
	}
	if found == nil {
		return nil, notPrepared(dir, "has none of train.txt, dev.txt and test.txt, the lists of the images of a split")
	}
	return found, nil
}

func notPrepared(dir, problem string) error {
	return &textfile.FileError{File: dir, Problem: problem, Remedy: "make a folder of data with 'unimo data prepare flickr'", Err: fs.ErrNotExist}
}

// Read reads a split of a folder of data. Captions of images that are not on the split's
// list are passed over. It is an error if an image is listed twice or has no caption, a
// caption is empty, or a file is not of its form.
func Read(dir, split string) (*Set, error) {
	if !filepath.IsLocal(split) || filepath.Base(split) != split {
		return nil, names.Unknown("split", split, splitNames)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, notPrepared(dir, "is no folder")
	}
	list := listFile(dir, split)
	names, lines, err := readList(list)
	if err != nil {
		return nil, err
	}
	s := &Set{Name: split, Dir: dir, Images: names}
	index := make(map[string]int, len(names))
	for i, name := range names {
		index[name] = i
	}
	captioned := make([]bool, len(names))
	file, err := captionFile(dir)
	if err != nil {
		return nil, err
	}
	s.File = file
	err = layoutReader(file).file(file, func(r row) error {
		i, ok := index[r.image]
		if !ok && r.image != "" {
			return nil
		}
		if r.problem != "" {
			return r.fail(file)
		}
		captioned[i] = true
		s.Captions = append(s.Captions, Caption{Image: i, Text: r.text, Tokens: r.tokens, ID: r.id, Line: r.line})
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, ok := range captioned {
		if !ok {
			return nil, &textfile.FileError{File: list, Line: lines[i], Problem: fmt.Sprintf("image %s has no caption in %s", textfile.Quote(names[i]), filepath.Base(file)),
				Remedy: "add one, or remove the image from the list"}
		}
	}
	return s, nil
}

// ReadList reads the split whose list of images is the given file.
func ReadList(list string) (*Set, error) {
	return Read(filepath.Dir(list), strings.TrimSuffix(filepath.Base(list), filepath.Ext(list)))
}

// captionFile returns the file of captions of a folder.
func captionFile(dir string) (string, error) {
	var found []string
	for _, name := range []string{"captions.csv", "captions.jsonl"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			found = append(found, filepath.Join(dir, name))
		}
	}
	switch len(found) {
	case 0:
		return "", notPrepared(dir, "has neither captions.csv nor captions.jsonl")
	case 2:
		return "", &textfile.FileError{File: dir, Problem: "has both captions.csv and captions.jsonl", Remedy: "remove one of them"}
	}
	return found[0], nil
}

// readList reads the names of images, one a line, and the line of each.
func readList(path string) (names []string, lines []int, err error) {
	f, err := textfile.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	names, lines, err = scanList(f, path)
	if err == nil && len(names) == 0 {
		err = &textfile.FileError{File: path, Problem: "is empty", Remedy: "list the names of images, one a line"}
	}
	return names, lines, err
}

func scanList(in io.Reader, path string) (names []string, lines []int, err error) {
	seen := map[string]int{}
	err = eachLine(in, path, func(line string, number int) error {
		name := imageName(line)
		if name == "" {
			return nil
		}
		problem := checkName(name)
		if first, twice := seen[name]; twice {
			problem = fmt.Sprintf("image %s is listed in line %d already", textfile.Quote(name), first)
		}
		if problem != "" {
			return &textfile.FileError{File: path, Line: number, Problem: problem, Remedy: "correct the line or remove it"}
		}
		seen[name] = number
		names, lines = append(names, name), append(lines, number)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return names, lines, nil
}
