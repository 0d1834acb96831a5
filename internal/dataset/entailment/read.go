// Package entailment reads what data of visual entailment say: pictures, each with a text that follows from it, may or
// may not hold, or contradicts it.
//
//	file --Read--> Set: []Example, and a regions.Source where the images are in the file
//
// It reads tables and JSON with a header or keys, such as the official snli_ve_train.jsonl, and the reference's lines of
// 14 fields, plain, compressed, or listed in a file of paths.
//
// Source: github.com/necla-ml/SNLI-VE; the reference's NLP/UNIMO/src/reader/visual_entailment_reader.py.
package entailment

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// Labels are the names of the classes. The reference's files have numbers alone, and its code does not say what they
// mean: the order is a choice. UNITER's and VILLA's code (utils/misc.py) has contradiction, entailment, neutral.
var Labels = []string{"entailment", "neutral", "contradiction"}

// Example is a picture with a text.
type Example struct {
	ID     string  // "" where the file has none
	Image  string  // the picture's name
	Text   string  // "" of the reference's lines
	Tokens []int32 // of the reference's lines: the model's ids, [CLS] first and [SEP] last
	Class  int     // -1 without label
	File   string
	Line   int
}

// Shown is the text for people.
func (x Example) Shown() string {
	if x.Text != "" {
		return x.Text
	}
	return fmt.Sprintf("%s of %s", textfile.Plural(len(x.Tokens), "token"), x.Image)
}

// Set is what a file has.
type Set struct {
	Examples []Example
	Images   *regions.Within // those that are in the file; nil where they are pictures or features elsewhere
	Notes    []string        // what people should know of it
	LeftOut  int             // examples without label
}

// Options are the ways to read a file.
type Options struct {
	Labels     []string             // in the order of the classes
	Policy     labelled.LabelPolicy // whether examples must have labels
	Columns    labelled.Columns     // whose names are not known
	MaxRegions int                  // of an image in the file; 0: 100
	SkipBad    bool                 // leave bad lines of the reference's out, with a count
	Images     *regions.Within      // that images in the file are added to; nil: a new one
}

// schema is the tables' and JSON's.
func (o Options) schema() labelled.Schema {
	return labelled.Schema{Pair: true, Picture: true, Labels: o.Labels}
}

// Read reads the examples of a file. Errors are [*textfile.FileError]; examples without label ("-" where people did not
// agree) are left out where labels are required.
func Read(file string, o Options) (*Set, error) {
	files, err := listed(file)
	if err != nil {
		return nil, err
	}
	s := &Set{}
	if files == nil {
		err = s.table(file, o)
	} else {
		err = s.lines(files, o)
	}
	if err != nil {
		return nil, err
	}
	s.doubled()
	return s, nil
}

// doubled notes ids that come several times.
func (s *Set) doubled() {
	first := map[string]int{}
	var twice []Example
	for i, x := range s.Examples {
		if x.ID == "" {
			continue
		}
		if _, ok := first[x.ID]; ok {
			twice = append(twice, x)
			continue
		}
		first[x.ID] = i
	}
	if len(twice) > 0 {
		x := twice[0]
		before := s.Examples[first[x.ID]]
		of := ""
		if before.File != x.File || before.Line == x.Line {
			of = " of " + before.File
		}
		s.Notes = append(s.Notes, fmt.Sprintf("%s: %s an id that is there before: %s in line %d is that of line %d%s", x.File, has(len(twice)), textfile.Quote(x.ID), x.Line, before.Line, of))
	}
}

func has(n int) string {
	if n == 1 {
		return "1 example has"
	}
	return fmt.Sprintf("%d examples have", n)
}

// table reads tables and JSON.
func (s *Set) table(file string, o Options) error {
	list, report, err := labelled.Read(file, o.schema(), labelled.ReadOptions{Labels: o.Policy, Columns: o.Columns})
	if err != nil {
		return err
	}
	s.Notes, s.LeftOut = report.Notes(file), report.Unlabelled
	ending := ""
	if len(report.Texts) > 0 && slices.Contains([]string{"flickr30kid", "flikr30kid"}, columns.Fold(report.Texts[0])) {
		ending = ".jpg" // which the official files leave out
	}
	for _, x := range list {
		if x.TextA == "" {
			return &textfile.FileError{File: file, Line: x.Line, Problem: "names no picture", Remedy: "name one, or remove the example"}
		}
		image := x.TextA
		if path.Ext(image) == "" {
			image += ending
		}
		s.Examples = append(s.Examples, Example{ID: x.ID, Image: image, Text: x.TextB, Class: x.Class, File: file, Line: x.Line})
	}
	return nil
}

// lines reads files of the reference's lines.
func (s *Set) lines(files []string, o Options) error {
	if s.Images = o.Images; s.Images == nil {
		s.Images = regions.NewWithin(regions.EntailmentFields, o.MaxRegions)
	}
	schema := o.schema()
	resolve := schema.Resolver()
	bad, firstBad, firstLeft := 0, error(nil), ""
	for _, file := range files {
		err := s.Images.Scan(file, func(fields [][]byte, line int, problem error) error {
			x := Example{File: file, Line: line, Class: -1}
			if problem == nil {
				problem = x.parse(fields)
			}
			if problem == nil && o.Policy != labelled.LabelsIgnored {
				class, missing, err := resolve(string(bytes.TrimSpace(fields[labelField])))
				if missing && o.Policy == labelled.LabelsRequired {
					if s.LeftOut++; s.LeftOut == 1 {
						firstLeft = fmt.Sprintf("%s: line %d", file, line)
					}
					return nil
				}
				if x.Class, problem = class, err; err != nil {
					problem = &textfile.FileError{File: file, Line: line, Problem: err.Error(), Remedy: "correct it"}
				}
			}
			if problem == nil {
				s.Examples = append(s.Examples, x)
				return nil
			}
			if !o.SkipBad {
				return fmt.Errorf("%w (or leave such lines out with skip_bad, --skip-bad)", problem)
			}
			if bad++; bad == 1 {
				firstBad = problem
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	s.Notes = append(s.Notes, s.Images.Notes()...)
	if bad > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%s left out; the first: %v", textfile.Plural(bad, "bad line"), firstBad))
	}
	if s.LeftOut > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%s without label left out, the first in %s", textfile.Plural(s.LeftOut, "example"), firstLeft))
	}
	if len(s.Examples) == 0 {
		return &textfile.FileError{File: files[0], Problem: "has no example that can be used", Remedy: "name a file of the reference's lines with labels"}
	}
	return nil
}

// The fields of a line that are no image.
const (
	idField    = 1
	labelField = 2
	tokenField = 3
)

// parse reads the text of a line. Sentence ids, which no model reads, must be there; positions must count up as the model
// counts them.
func (x *Example) parse(fields [][]byte) error {
	x.Image, x.ID = string(fields[regions.EntailmentFields.ID]), string(fields[idField])
	var numbers [3][]int32
	for k, name := range []string{"token id", "sentence id", "position"} {
		for field := range bytes.FieldsSeq(fields[tokenField+k]) {
			n, err := strconv.ParseInt(string(field), 10, 32)
			if err != nil || n < 0 {
				return x.fail(fmt.Sprintf("%s is no %s", textfile.Quote(string(field)), name))
			}
			numbers[k] = append(numbers[k], int32(n))
		}
	}
	x.Tokens = numbers[0]
	if n := len(x.Tokens); n < batches.MinSeqLen-1 || len(numbers[1]) != n || len(numbers[2]) != n {
		return x.fail(fmt.Sprintf("has %d token ids, %d sentence ids and %d positions, want as many of each, two or more", n, len(numbers[1]), len(numbers[2])))
	}
	for i, at := range numbers[2] {
		if at != batches.FirstPosition+int32(i) {
			return x.fail(fmt.Sprintf("position %d of the text is %d, want %d: they count up from %d", i+1, at, batches.FirstPosition+i, batches.FirstPosition))
		}
	}
	return nil
}

func (x *Example) fail(problem string) error {
	return &textfile.FileError{File: x.File, Line: x.Line, Problem: problem, Remedy: "correct the line, or leave it out"}
}

// listed returns the files of the reference's lines that file stands for: itself, or those whose paths it lists. nil if
// it is of another form.
func listed(file string) ([]string, error) {
	f, err := infile.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 64<<10)
	n, _ := f.ReadAt(head, 0)
	head = head[:n]
	if bytes.HasPrefix(head, []byte("\x1f\x8b")) {
		return []string{file}, nil
	}
	first, _, _ := bytes.Cut(infile.TrimMark(head), []byte("\n"))
	if fields := bytes.Split(first, []byte(";")); len(fields) >= regions.EntailmentFields.Features && len(bytes.Fields(fields[tokenField])) > 1 {
		return []string{file}, nil
	}
	line := strings.TrimSpace(string(first))
	if named := strings.HasSuffix(file, "filelist") && len(head) > 0; named || line != "" && len(line) <= maxPath && found(file, line) != "" {
		return paths(f, file)
	}
	return nil, nil
}

// maxPath bounds a line of a file of paths, in bytes.
const maxPath = 4096

// paths reads a file of paths.
func paths(f *os.File, file string) ([]string, error) {
	var files []string
	lines := textfile.NewLines(bufio.NewReader(f), file)
	for {
		raw, err := lines.Next()
		if err != nil {
			if len(files) > 0 && err == io.EOF {
				return files, nil
			}
			if err == io.EOF {
				err = &textfile.FileError{File: file, Problem: "lists no file", Remedy: "put a path a line, of files of the reference's lines"}
			}
			return nil, err
		}
		line := strings.TrimSpace(string(raw))
		if line == "" {
			continue
		}
		path := found(file, line)
		if path == "" {
			return nil, &textfile.FileError{File: file, Line: lines.Number(), Problem: fmt.Sprintf("there is no file %s", textfile.Quote(line)),
				Remedy: "paths are relative to the working folder, or to that of the list", Err: fs.ErrNotExist}
		}
		files = append(files, path)
	}
}

// found returns the path of a file in a list: relative to the working folder, to the list's, or beside the list; "" if
// there is none.
func found(list, line string) string {
	dir := filepath.Dir(list)
	for _, path := range []string{line, filepath.Join(dir, filepath.FromSlash(line)), filepath.Join(dir, path.Base(line))} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			if same, err := os.Stat(list); err == nil && !os.SameFile(info, same) {
				return path
			}
		}
	}
	return ""
}
