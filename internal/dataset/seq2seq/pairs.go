package seq2seq

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/base/textfile"
)

// sides are the words that tell the two files of a pair apart: of questions (Du et
// al.), of articles and their titles (Gigaword), and what others call them.
var sides = [][2]string{
	{"src", "tgt"}, {"source", "target"}, {"article", "title"}, {"para", "tgt"}, {"input", "task1_ref0"},
}

// otherSide replaces the word of one side (0 source, 1 target) in a file's name by that
// of the other. ok is false if the name has none.
func otherSide(name string, from, to int) (other string, ok bool) {
	for _, side := range sides {
		if at := wordAt(name, side[from]); at >= 0 {
			return name[:at] + side[to] + name[at+len(side[from]):], true
		}
	}
	return "", false
}

// wordAt returns where word stands in name, between characters that are neither letters nor digits, or -1.
func wordAt(name, word string) int {
	inWord := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' }
	for from := 0; ; {
		i := strings.Index(name[from:], word)
		if i < 0 {
			return -1
		}
		at := from + i
		end := at + len(word)
		if (at == 0 || !inWord(name[at-1])) && (end == len(name) || !inWord(name[end])) {
			return at
		}
		from = at + 1
	}
}

// targetFile finds the targets beside the sources of a pair, compressed or not.
func targetFile(path string) (string, error) {
	dir, name := filepath.Split(path)
	other, ok := otherSide(name, 0, 1)
	if !ok {
		return "", &textfile.FileError{File: path, Problem: "does not say where the targets are", Remedy: acceptedFiles}
	}
	for _, candidate := range []string{other, strings.TrimSuffix(other, ".gz"), other + ".gz"} {
		if _, err := os.Stat(dir + candidate); err == nil {
			return dir + candidate, nil
		}
	}
	return "", &textfile.FileError{File: path, Problem: fmt.Sprintf("has no %s beside it", other), Remedy: "put the file with the targets there", Err: os.ErrNotExist}
}

// pairs reads sources and targets line by line. Spaces around a line are dropped.
func (r *reader) pairs(src, tgt io.Reader, target string) error {
	sources, targets := textfile.NewLines(src, r.file), textfile.NewLines(tgt, target)
	for {
		a, errA := sources.Next()
		b, errB := targets.Next()
		for _, err := range []error{errA, errB} {
			if err != nil && err != io.EOF {
				return err
			}
		}
		if errA == io.EOF && errB == io.EOF {
			return nil
		}
		if errA != errB {
			longer, shorter, n := r.file, target, targets.Number()
			if errA == io.EOF {
				longer, shorter, n = target, r.file, sources.Number()
			}
			return &textfile.FileError{File: longer, Line: n + 1, Problem: fmt.Sprintf("goes on, though %s ends with line %d", shorter, n),
				Remedy: "the two files of a pair need the same lines; fetch both again"}
		}
		err := r.add(Example{Sources: []string{strings.TrimSpace(string(a))}, Target: strings.TrimSpace(string(b)), Line: sources.Number()})
		if err != nil {
			return err
		}
	}
}
