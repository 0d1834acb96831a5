package captions

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
)

// form is one in which the data are handed around.
type form uint8

const (
	formDocument form = iota // a JSON value: Karpathy's, COCO's, a list
	formIDs                  // the reference's .ids
	formTokens               // NAME#NUMBER, a tab and the caption
	formLines                // JSON lines
	formTable                // columns with a header
	formBeside               // NAME.txt beside NAME.jpg
)

func (f form) String() string {
	return [...]string{"JSON", "the reference's ids of tokens", "lines NAME#NUMBER and caption", "JSON lines", "a table with a header",
		"pictures with their captions beside them"}[f]
}

// read reads a file of the form.
func (f form) read() reader {
	return [...]reader{readDocument, readIDs, readTokenLines, readJSONLines, readTable}[f]
}

// source is where captions are read from.
type source struct {
	form  form
	files []string // of captions; none of formBeside
	dir   string   // where lists of images and the pictures are looked for
}

// acceptedSources is the remedy for a source of no known form.
const acceptedSources = "name Karpathy's dataset_*.json, COCO's captions_*.json or a JSON list of images and captions, a .csv, .txt or .tsv with the columns image and caption, a .jsonl, " +
	"a .token file of lines NAME#NUMBER and caption, the reference's .ids, or a folder with one of these or with NAME.txt beside NAME.jpg"

var tokenName = regexp.MustCompile(`\.token(\.txt)?$`)

// folderForms are the files that are looked for in a folder, the first form that is there
// being the source: one with splits rather than without, texts rather than lists of files.
var folderForms = []struct {
	form form
	is   func(name string) bool // name in lower case
}{
	{formDocument, func(name string) bool { return strings.HasPrefix(name, "dataset") && strings.HasSuffix(name, ".json") }},
	{formIDs, func(name string) bool { return strings.HasSuffix(name, ".ids") }},
	{formTokens, func(name string) bool {
		return tokenName.MatchString(name) && !strings.Contains(name, "lemma")
	}},
	{formLines, func(name string) bool { return name == "captions.jsonl" }},
	{formTable, func(name string) bool {
		return slices.Contains([]string{"captions.csv", "captions.tsv", "captions.txt", "results.csv"}, name)
	}},
	{formDocument, func(name string) bool { return strings.HasPrefix(name, "captions") && strings.HasSuffix(name, ".json") }},
	{formLines, func(name string) bool { return name == "metadata.jsonl" }},
	{formTable, func(name string) bool { return strings.HasSuffix(name, ".csv") }},
	{formTable, func(name string) bool { return strings.HasSuffix(name, ".tsv") && splitOf(name) != "" }},
	{formLines, func(name string) bool {
		return (strings.HasSuffix(name, ".jsonl") || strings.HasSuffix(name, ".ndjson")) && splitOf(name) != ""
	}},
	{formDocument, func(name string) bool {
		return strings.HasSuffix(name, ".json") && splitOf(name) != "" && !strings.HasPrefix(name, "instances") && !strings.HasPrefix(name, "person")
	}},
}

// findSource looks at src, a file or a folder.
func findSource(src string) (source, error) {
	info, err := os.Stat(src)
	if err != nil {
		return source{}, &textfile.FileError{File: src, Problem: "does not exist", Remedy: acceptedSources, Err: err}
	}
	if !info.IsDir() {
		f, err := recognise(src)
		return source{f, []string{src}, filepath.Dir(src)}, err
	}
	top, below, err := listSources(src)
	if err != nil {
		return source{}, err
	}
	// Folders of splits and COCO's "annotations" are looked into where the folder itself has nothing.
	for _, names := range [][]string{top, below} {
		for _, candidate := range folderForms {
			var files []string
			for _, name := range names {
				if candidate.is(strings.ToLower(filepath.Base(name))) {
					files = append(files, filepath.Join(src, name))
				}
			}
			if len(files) == 0 {
				continue
			}
			s := source{candidate.form, files, src}
			if err := s.check(); err != nil {
				return source{}, err
			}
			if s.form != formIDs && s.form != formTokens && s.form != formTable {
				s.form, err = recognise(files[0])
			}
			return s, err
		}
	}
	return source{formBeside, nil, src}, nil
}

// listSources lists the files of a folder, and those of the folders in it.
func listSources(dir string) (top, below []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if infile.Hidden(e.Name()) {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, e.Name())) // follows links
		switch {
		case err != nil:
		case !info.IsDir():
			top = append(top, e.Name())
		case splitOf(e.Name()) != "" || e.Name() == "annotations":
			inner, _, err := listSources(filepath.Join(dir, e.Name()))
			if err != nil {
				return nil, nil, err
			}
			for _, name := range inner {
				below = append(below, filepath.Join(e.Name(), name))
			}
		}
	}
	return top, below, nil
}

// split is the split of a file that is one alone, "" where its name and its folder do not say.
func (s source) split(file string) string {
	if split := splitOf(filepath.Base(file)); split != "" || len(s.files) == 0 {
		return split
	}
	if rel, err := filepath.Rel(s.dir, file); err == nil && filepath.Dir(rel) != "." {
		return splitOf(filepath.Dir(rel))
	}
	return ""
}

// within is what the names of images in a file begin with: those of a metadata file are relative to its folder.
func (s source) within(file string) string {
	if rel, err := filepath.Rel(s.dir, file); err == nil && strings.HasPrefix(strings.ToLower(filepath.Base(file)), "metadata.") {
		return filepath.ToSlash(filepath.Dir(rel))
	}
	return "."
}

// check refuses several files that are not of different splits.
func (s source) check() error {
	of := map[string]string{}
	for _, file := range s.files {
		split := s.split(file)
		if other := of[split]; len(s.files) > 1 && s.form != formIDs && (split == "" || other != "") {
			other = cmp.Or(other, s.files[0], file)
			if other == file {
				other = s.files[1]
			}
			a, _ := filepath.Rel(s.dir, other)
			b, _ := filepath.Rel(s.dir, file)
			return &textfile.FileError{File: s.dir, Problem: fmt.Sprintf("has several files of captions: %s and %s", min(a, b), max(a, b)), Remedy: "name the one to prepare"}
		}
		of[split] = file
	}
	return nil
}

// headBytes is how much of a file is looked at to recognise its form.
const headBytes = 64 << 10

// recognise says of which form a file is: by its ending and what it begins with.
func recognise(path string) (form, error) {
	f, err := textfile.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if strings.EqualFold(filepath.Ext(path), ".ids") {
		return formIDs, nil
	}
	buffered := bufio.NewReaderSize(infile.Text(f, path), headBytes)
	head, err := buffered.Peek(headBytes)
	var known *textfile.FileError
	if errors.As(err, &known) {
		return 0, err
	}
	begin := strings.TrimLeft(string(head), " \t\r\n")
	switch ending := strings.ToLower(filepath.Ext(path)); {
	case strings.HasPrefix(begin, "["):
		return formDocument, nil
	case strings.HasPrefix(begin, "{"):
		return recogniseObject(begin, ending), nil
	case ending == ".json":
		return formDocument, nil // which says what is wrong
	case ending == ".jsonl", ending == ".ndjson":
		return formLines, nil
	}
	line := firstLine(buffered)
	if r := parseTokenLine(line, 1); r.image != "" {
		return formTokens, nil
	}
	_, problem, ok := parseHeader(line)
	if ok {
		return formTable, nil
	}
	return 0, &textfile.FileError{File: path, Line: 1, Problem: cmp.Or(problem, "is of no known form: neither a header with image and caption nor NAME#NUMBER, a tab and a caption"), Remedy: acceptedSources}
}

// recogniseObject tells a document from JSON lines, whatever the file is called: the first line of
// these is an object about an image.
func recogniseObject(begin, ending string) form {
	line, _, whole := strings.Cut(begin, "\n")
	if o, problem := columns.ParseObject([]byte(line)); problem == "" {
		image, _ := o.Key(columns.Image)
		_, hasCaption := o["tokens"]
		if caption, _ := o.Key(columns.Caption); image != "" && (caption != "" || hasCaption) {
			return formLines
		}
		if !whole || ending == ".json" {
			return formDocument
		}
	} else if whole && ending != ".json" && strings.TrimSpace(line) != "{" {
		return formLines // one of its lines is bad
	}
	if ending == ".jsonl" || ending == ".ndjson" {
		return formLines
	}
	return formDocument
}

// splitWords are what splits are called, here and elsewhere.
var splitWords = map[string]string{"train": "train", "restval": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "test": "test"}

// listName finds the word for the split at the end of a list's name: train.txt,
// flickr30k_val.txt, Flickr_8k.testImages.txt.
var listName = regexp.MustCompile(`(?:^|[^a-z])(train|dev|val|valid|validation|test)[^a-z]?(?:images|imgs)?\.txt$`)

// splitOf finds the word for the split in a file's name, such as val.all.ids; "" without.
func splitOf(name string) string {
	for word := range strings.FieldsFuncSeq(strings.ToLower(name), func(r rune) bool { return r < 'a' || r > 'z' }) {
		if split := splitWords[word]; split != "" {
			return split
		}
	}
	return ""
}

// findLists returns the list of images of each split in the source's folder. What lies
// beside a picture of the same name is no list.
func (s source) findLists(p *pictures) (map[string]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	lists := map[string]string{}
	for _, e := range entries {
		path := filepath.Join(s.dir, e.Name())
		m := listName.FindStringSubmatch(strings.ToLower(e.Name()))
		_, beside := p.byStem[strings.ToLower(stem(e.Name()))]
		if m == nil || e.IsDir() || infile.Hidden(e.Name()) || slices.Contains(s.files, path) || s.form == formBeside && beside {
			continue
		}
		split := splitWords[m[1]]
		if lists[split] != "" {
			return nil, &textfile.FileError{File: s.dir, Problem: fmt.Sprintf("has two lists of the images of %s: %s and %s", split, filepath.Base(lists[split]), e.Name()),
				Remedy: "remove one of them"}
		}
		lists[split] = path
	}
	return lists, nil
}

// collection is what has been read.
type collection struct {
	form  string // in words
	rows  []row
	split map[string]string // by image
	order []string          // the images in order of appearance
}

// collect reads all captions. bad is told of the rows that are left out; its error ends the reading.
func (s source) collect(p *pictures, bad func(error) error, tick func(rows int) error) (*collection, error) {
	c := &collection{split: map[string]string{}}
	c.form = s.form.String()
	add := func(file, split string) func(row) error {
		within := s.within(file)
		return func(r row) error {
			if r.image != "" && within != "." {
				r.image = path.Join(within, r.image)
			}
			if r.problem == "" {
				r.problem = c.place(&r, split)
			}
			if r.problem != "" {
				return bad(r.fail(file))
			}
			c.rows = append(c.rows, r)
			return tick(len(c.rows))
		}
	}
	if s.form == formBeside {
		err := besidePictures(p, func(file string, r row) error {
			first, _, _ := strings.Cut(strings.TrimPrefix(r.image, "images/"), "/")
			return add(file, splitWords[strings.ToLower(first)])(r)
		})
		if err == nil && len(c.rows) == 0 {
			err = &textfile.FileError{File: s.dir, Problem: "has no captions of a known form", Remedy: acceptedSources}
		}
		return c, err
	}
	for _, file := range s.files {
		if info, err := os.Stat(file); err == nil && s.form == formDocument && info.Size() > maxDocument {
			return nil, &textfile.FileError{File: file, Problem: fmt.Sprintf("is longer than %d MiB", maxDocument>>20), Remedy: "write its captions as CSV"}
		}
		read := s.form.read()
		if s.form == formDocument {
			read = func(in io.Reader, path string, each func(row) error) (err error) {
				c.form, err = readDocumentForm(in, path, each)
				return err
			}
		}
		if err := read.file(file, add(file, s.split(file))); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// place notes the split of a row's image, and says what is wrong with it.
func (c *collection) place(r *row, split string) string {
	if r.split != "" {
		if split = splitWords[strings.ToLower(r.split)]; split == "" {
			return fmt.Sprintf("image %s is of the split %s; correct it to train, restval, dev, val or test", textfile.Quote(r.image), textfile.Quote(r.split))
		}
	}
	known, ok := c.split[r.image]
	switch {
	case !ok:
		c.split[r.image] = split
		c.order = append(c.order, r.image)
	case known != split:
		return fmt.Sprintf("image %s is of two splits, %q and %q", textfile.Quote(r.image), known, split)
	}
	return ""
}

// splitByFolder takes the splits from the folders of images, such as test/a.jpg, if these say train
// and another.
func (c *collection) splitByFolder() {
	of := map[string]string{}
	seen := map[string]bool{}
	for _, image := range c.order {
		folder, _, below := strings.Cut(strings.TrimPrefix(image, "images/"), "/")
		if !below {
			folder = ""
		}
		of[image] = splitOf(folder)
		seen[of[image]] = true
	}
	if seen["train"] && (seen["dev"] || seen["test"]) {
		c.split = of
	}
}

// applyLists replaces the splits by those of lists. Images on no list get none. missing is
// told of listed images without captions.
func (c *collection) applyLists(lists map[string]string, missing func(error) error) error {
	byStem := map[string]string{}
	for _, image := range c.order {
		if _, twice := byStem[stem(image)]; twice {
			byStem[stem(image)] = "" // nobody can tell
		} else {
			byStem[stem(image)] = image
		}
	}
	listed := map[string]string{}
	var order []string
	for _, split := range splitNames {
		path := lists[split]
		if path == "" {
			continue
		}
		names, lines, err := readList(path)
		if err != nil {
			return err
		}
		for i, name := range names {
			image := name
			if _, ok := c.split[image]; !ok {
				image = byStem[stem(name)]
			}
			problem := ""
			if image == "" {
				problem = fmt.Sprintf("image %s has no caption", textfile.Quote(name))
			} else if first := listed[image]; first != "" {
				problem = fmt.Sprintf("image %s is listed for %s already", textfile.Quote(name), first)
			}
			if problem != "" {
				if err := missing(&textfile.FileError{File: path, Line: lines[i], Problem: problem, Remedy: "remove it from the list"}); err != nil {
					return err
				}
				continue
			}
			listed[image] = split
			order = append(order, image)
		}
	}
	c.split, c.order = listed, order
	return nil
}
