package coco

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// Tags are the names of the objects in an image: as words or, in the reference's file, as ids of tokens.
type Tags struct {
	Names  []string
	Tokens []int32 // [CLS] first and [SEP] last
	Line   int     // of the file, from 1
}

// Objects are the tags of images, from a file.
type Objects struct {
	Path      string
	reference bool            // the reference's file, which has ids without what its lines write before them
	of        map[string]Tags // by the key of the image's name, and without its ending
}

const objectsRemedy = `give a table with the columns image and objects ("dog, ball"), JSON lines {"image": "a.jpg", "objects": ["dog", "ball"]}, or the reference's lines ` +
	`of image, tokens, sentence ids and position ids with ";" between`

// ReadObjects reads a file of tags: CSV or TSV, JSON lines, or the reference's file. With a vocabulary, unless nil, other
// names than its are an error.
func ReadObjects(file string, v *Vocabulary) (*Objects, error) {
	o := &Objects{Path: file, of: map[string]Tags{}}
	err := textfile.WithUnpacked(file, func(in io.Reader) error { return o.read(infile.Text(in, file), v) })
	if err != nil {
		return nil, err
	}
	return o, nil
}

func (o *Objects) read(in io.Reader, v *Vocabulary) error {
	if len(o.of) > 0 {
		panic("coco: objects are read once")
	}
	read := o.lines(parseReference)
	switch strings.ToLower(filepath.Ext(strings.TrimSuffix(o.Path, ".gz"))) {
	case ".csv":
		read = o.table(textfile.FormatCSV)
	case ".tsv":
		read = o.table(textfile.FormatTSV)
	case ".jsonl", ".ndjson":
		read = o.lines(parseObjectLine)
	default:
		o.reference = true
	}
	err := read(in, func(image string, tags Tags, problem string) error {
		if problem == "" {
			problem = o.add(image, tags, v)
		}
		if problem == "" {
			return nil
		}
		return &textfile.FileError{File: o.Path, Line: tags.Line, Problem: problem, Remedy: objectsRemedy}
	})
	if err == nil && len(o.of) == 0 {
		err = &textfile.FileError{File: o.Path, Problem: "has no image", Remedy: objectsRemedy}
	}
	return err
}

// add takes an image's tags, or says what is wrong with them.
func (o *Objects) add(image string, tags Tags, v *Vocabulary) (problem string) {
	key := picture.Key(strings.TrimSpace(image))
	if key == "" {
		return "the name of the image is empty"
	}
	if first, twice := o.of[key]; twice {
		return fmt.Sprintf("image %s is in line %d already", textfile.Quote(key), first.Line)
	}
	for _, name := range tags.Names {
		if v != nil && !v.Has(name) {
			return fmt.Sprintf("object %s of image %s is not in the vocabulary %s", textfile.Quote(name), textfile.Quote(key), v.Path)
		}
	}
	o.of[key] = tags
	return ""
}

// idPrefix is how many characters stand before the id of an image in the reference's lines, such as "coco2014_"; its file of objects
// has the id alone.
const idPrefix = 9

// Of returns the tags of an image, which may be called by its path; false where it has none.
func (o *Objects) Of(image string) (Tags, bool) {
	key := picture.Key(image)
	names := []string{key, strings.TrimSuffix(key, filepath.Ext(key)), path.Base(key)}
	if o.reference {
		names = append(names, key[min(idPrefix, len(key)):])
	}
	for _, name := range names {
		if tags, ok := o.of[name]; ok {
			return tags, true
		}
	}
	return Tags{}, false
}

// tagReader reads tags and calls each with them, and with what is wrong with a line.
type tagReader func(in io.Reader, each func(image string, tags Tags, problem string) error) error

// table reads a table whose header names the columns.
func (o *Objects) table(format textfile.Format) tagReader {
	return func(in io.Reader, each func(string, Tags, string) error) error {
		rows := textfile.NewRows(in, o.Path, format)
		header, line, err := rows.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		header = slices.Clone(header)
		image, err := columns.Find(header, columns.Image)
		objects, err2 := columns.Find(header, columns.Objects)
		if err = errors.Join(err, err2); err != nil || image < 0 || objects < 0 {
			problem := "the header has no column image, or none of objects"
			if err != nil {
				problem = "the header " + err.Error()
			}
			return each("", Tags{Line: line}, problem)
		}
		for {
			fields, line, err := rows.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			tags, problem := Tags{Line: line}, ""
			if len(fields) != len(header) {
				problem = fmt.Sprintf("has %d columns, the header has %d", len(fields), len(header))
				fields = make([]string, len(header))
			}
			tags.Names = SplitNames(fields[objects])
			if err := each(fields[image], tags, problem); err != nil {
				return err
			}
		}
	}
}

// SplitNames returns the names in a text, which have "," or ";" between.
func SplitNames(text string) (names []string) {
	for name := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' }) {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// lines reads lines of one form.
func (o *Objects) lines(parse func(line []byte) (image string, tags Tags, problem string)) tagReader {
	return func(in io.Reader, each func(string, Tags, string) error) error {
		for lines := textfile.NewLines(in, o.Path); ; {
			raw, err := lines.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if len(bytes.TrimSpace(raw)) == 0 {
				continue
			}
			image, tags, problem := parse(raw)
			tags.Line = lines.Number()
			if err := each(image, tags, problem); err != nil {
				return err
			}
		}
	}
}

func parseObjectLine(line []byte) (image string, tags Tags, problem string) {
	o, problem := columns.ParseObject(line)
	if problem != "" {
		return "", tags, problem
	}
	var key [2]string
	for i, role := range []columns.Role{columns.Image, columns.Objects} {
		var err error
		if key[i], err = o.Key(role); err != nil {
			return "", tags, err.Error()
		}
		if key[i] == "" {
			return "", tags, fmt.Sprintf("is %s, none of which is the %s", o, role)
		}
	}
	if image, problem = o.Text(key[0]); problem != "" {
		return "", tags, problem
	}
	texts, problem := o.Texts(key[1])
	for _, text := range texts {
		tags.Names = append(tags.Names, SplitNames(text)...)
	}
	return image, tags, problem
}

// objectFields are the fields of a line of the reference's file.
const objectFields = 4

func parseReference(line []byte) (image string, tags Tags, problem string) {
	fields := strings.Split(string(bytes.TrimSpace(line)), ";")
	if len(fields) != objectFields {
		return "", tags, fmt.Sprintf("has %d fields with \";\" between, not the %d of image, tokens, sentence ids and position ids", len(fields), objectFields)
	}
	tokens, err := parseTokens(fields[1], fields[2], fields[3], ofObjects)
	if err != nil {
		return "", tags, err.Error()
	}
	tags.Tokens = tokens
	return fields[0], tags, ""
}

// Vocabulary are the names of a detector's classes, in their order.
type Vocabulary struct {
	Path  string
	names []string
	known map[string]bool
	least float32 // probability of a class that is named
}

// maxClasses bounds a vocabulary: features give probabilities of no more.
const maxClasses = 1 << 14

// detected is the least probability of an object that a detector of our own names. Of CenterNet, on 159 pictures of COCO,
// 0.2 names 1.7 objects a picture, of which 78 % are marked; 0.1 names 2.4 and 63 %, 0.3 names 1.1 and 90 %.
const detected = 0.2

// NewVocabulary makes the vocabulary of an extractor that names its classes. Objects that it doubts are not named.
func NewVocabulary(extractor string, names []string) *Vocabulary {
	v := &Vocabulary{Path: extractor, names: names, least: detected, known: map[string]bool{}}
	for _, name := range names {
		v.known[strings.ToLower(name)] = true
	}
	return v
}

// ReadVocabulary reads names, one a line; further names of a class stand behind commas.
func ReadVocabulary(path string) (*Vocabulary, error) {
	f, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	v := &Vocabulary{Path: path, known: map[string]bool{}}
	return v, v.read(infile.Text(f, path))
}

func (v *Vocabulary) read(in io.Reader) error {
	fail := func(line int, problem string) error {
		return &textfile.FileError{File: v.Path, Line: line, Problem: problem, Remedy: "list the detector's classes, one a line, without the background"}
	}
	for lines := textfile.NewLines(in, v.Path); ; {
		raw, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		names := SplitNames(string(raw))
		switch {
		case len(names) == 0:
			return fail(lines.Number(), "the line has no name")
		case len(v.names) == maxClasses:
			return fail(lines.Number(), fmt.Sprintf("more than %d classes", maxClasses))
		}
		v.names = append(v.names, names[0])
		for _, name := range names {
			v.known[strings.ToLower(name)] = true
		}
	}
	if len(v.names) == 0 {
		return fail(0, "is empty")
	}
	return nil
}

// Has says whether a name, in any letter case, is one of a class.
func (v *Vocabulary) Has(name string) bool { return v.known[strings.ToLower(name)] }

// Detected returns the likeliest class of each region, in the regions' order and each once. A class
// more than there are names is the background, the first, and never named.
func (v *Vocabulary) Detected(im *regions.Image) ([]string, error) {
	n := im.Regions()
	classes := len(im.Classes) / max(1, n)
	background := classes - len(v.names)
	if background != 0 && background != 1 {
		return nil, fmt.Errorf("image %s: its regions have probabilities of %d classes, but %s has %d names; name the vocabulary of the detector that made the features",
			textfile.Quote(im.ID), classes, v.Path, len(v.names))
	}
	var names []string
	for r := range n {
		p := im.Classes[r*classes:][background:classes]
		best := 0
		for i := range p {
			if p[i] > p[best] {
				best = i
			}
		}
		if name := v.names[best]; p[best] >= v.least && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}
