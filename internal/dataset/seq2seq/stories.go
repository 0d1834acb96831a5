package seq2seq

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

const storyEnding = ".story"

// highlight is the line before every highlight of a story.
const highlight = "@highlight"

// stories reads one .story file, or all that lie under a folder, in the order of their paths.
func (r *reader) stories(path string) error {
	root := path
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		root += string(filepath.Separator) // follows a link
	}
	return filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return &textfile.FileError{File: file, Problem: fmt.Sprintf("cannot be looked at: %v", err), Err: err}
		case infile.Hidden(entry.Name()) && file != root:
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir() || root != path && !strings.HasSuffix(file, storyEnding):
			return nil
		case r.opt.keep != nil && !r.opt.keep(storyID(file)):
			return nil
		}
		return textfile.WithUnpacked(file, func(in io.Reader) error { return r.story(in, file) })
	})
}

// storyID is the name of a story: the SHA-1 of its address, in hexadecimal.
func storyID(file string) string { return strings.TrimSuffix(filepath.Base(file), storyEnding) }

// story reads an article and its highlights. Lines are sentences or paragraphs; those
// without one get a full stop, as in the corpus's usual preparation (See et al. 2017).
func (r *reader) story(in io.Reader, file string) error {
	var article, summary []string
	lines := textfile.NewLines(in, file)
	for part := &article; ; {
		raw, err := lines.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		switch line := strings.TrimSpace(string(raw)); line {
		case "":
		case highlight:
			part = &summary
		default:
			*part = append(*part, withStop(line))
		}
	}
	if len(article) == 0 {
		r.report.Skipped[skipNoArticle]++ // the corpus has 114 of them
		return nil
	}
	whole := r.file
	r.file = file // for messages
	err := r.add(Example{ID: storyID(file),
		Sources: []string{strings.Join(article, " ")}, Target: strings.Join(summary, " "), Line: 1})
	r.file = whole
	return err
}

// sentences joins the lines of a text.
func sentences(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, withStop(line))
		}
	}
	return strings.Join(out, " ")
}

// stops are the characters that may end a sentence.
const stops = ".!?'`\")’”"

func withStop(line string) string {
	if last, _ := utf8.DecodeLastRuneInString(line); strings.ContainsRune(stops, last) {
		return line
	}
	return line + " ."
}

// holdsStories says whether a folder has a story in it, in its folders or in their "stories".
func holdsStories(dir string) bool {
	for _, pattern := range []string{"*", "*/*", "*/stories/*"} {
		found, err := fs.Glob(os.DirFS(dir), pattern+storyEnding)
		if err == nil && slices.ContainsFunc(found, func(name string) bool { return !infile.Hidden(name) }) {
			return true
		}
	}
	return false
}
