package captions

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/batches"
)

// readTokenLines reads the files that Flickr30k and Flickr8k come with: an image's name, "#",
// the number of the caption, a tab and the caption.
func readTokenLines(in io.Reader, path string, each func(row) error) error {
	return eachLine(in, path, func(line string, number int) error { return each(parseTokenLine(line, number)) })
}

// eachLine calls each with every line and its number, from 1.
func eachLine(in io.Reader, path string, each func(line string, number int) error) error {
	for lines := textfile.NewLines(in, path); ; {
		raw, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(string(raw), lines.Number()); err != nil {
			return err
		}
	}
}

func parseTokenLine(line string, number int) row {
	key, text, tab := strings.Cut(line, "\t")
	at := strings.LastIndexByte(key, '#')
	if !tab || at < 0 || key[at+1:] == "" || strings.Trim(key[at+1:], "0123456789") != "" {
		return row{line: number, problem: "is no line NAME#NUMBER, a tab and a caption"}
	}
	r := row{image: key[:at], text: text, line: number}
	r.check()
	return r
}

// idFields are the fields of a line of the reference's .ids files.
const idFields = 5

// readIDs reads the reference's captions as ids of tokens: tokens, sentence ids, position
// ids, image and number of the caption, with ";" between. The sentence ids must be 0 and
// the positions run from 2, which is what the model takes them to be.
func readIDs(in io.Reader, path string, each func(row) error) error {
	seen := map[string]int{}
	return eachLine(in, path, func(line string, number int) error {
		r := parseIDs(line)
		r.line = number
		if first, twice := seen[r.id]; twice && r.problem == "" {
			r.problem = fmt.Sprintf("caption %s is in line %d already", textfile.Quote(r.id), first)
		}
		seen[r.id] = number
		return each(r)
	})
}

func parseIDs(line string) row {
	fields := strings.Split(trim(line), ";")
	if len(fields) != idFields {
		return row{problem: fmt.Sprintf("has %d fields with \";\" between, not the %d of tokens, sentence ids, position ids, image and caption", len(fields), idFields)}
	}
	var lists [3][]int32
	for i := range lists {
		for field := range strings.FieldsSeq(fields[i]) {
			id, err := strconv.ParseInt(field, 10, 32)
			if err != nil {
				return row{problem: fmt.Sprintf("%s is no id of a token, sentence or position", textfile.Quote(field))}
			}
			lists[i] = append(lists[i], int32(id))
		}
	}
	tokens, sentences, positions := lists[0], lists[1], lists[2]
	if len(sentences) != len(tokens) || len(positions) != len(tokens) {
		return row{problem: fmt.Sprintf("has %d tokens, %d sentence ids and %d position ids", len(tokens), len(sentences), len(positions))}
	}
	for i := range tokens {
		if sentences[i] != 0 || positions[i] != int32(i)+batches.FirstPosition {
			return row{problem: fmt.Sprintf("token %d has sentence %d and position %d, not 0 and %d", i+1, sentences[i], positions[i], i+batches.FirstPosition)}
		}
	}
	r := row{image: strings.Clone(fields[3]), tokens: tokens, id: strings.Clone(fields[4])}
	if r.check(); r.id == "" && r.problem == "" {
		r.problem = "has no number of the caption"
	}
	return r
}

// readNameTable reads the reference's dataset_flickr30k_name_id.txt, two names of every
// image with a tab between, and gives for each the other.
func readNameTable(path string) (map[string]string, error) {
	f, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	other := map[string]string{}
	err = eachLine(f, path, func(line string, number int) error {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return &textfile.FileError{File: path, Line: number, Problem: fmt.Sprintf("has %d columns, not an image's name and its number", len(fields)),
				Remedy: "correct the line, or remove the file: only pictures are found by it"}
		}
		other[fields[0]], other[fields[1]] = fields[1], fields[0]
		return nil
	})
	if err != nil {
		return nil, err
	}
	return other, nil
}

// besidePictures reads the captions that lie beside pictures: NAME.txt beside NAME.jpg, with
// one a line. The names are those of the pictures found.
func besidePictures(p *pictures, each func(file string, r row) error) error {
	for _, name := range p.names {
		file := stem(filepath.ToSlash(p.path[name])) + ".txt"
		if _, err := os.Stat(file); err != nil {
			continue
		}
		err := reader(readText).file(file, func(r row) error {
			r.image = name
			r.check()
			return each(file, r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readText reads a caption from every line that is not blank.
func readText(in io.Reader, path string, each func(row) error) error {
	return eachLine(in, path, func(line string, number int) error {
		if text := trim(line); text != "" {
			return each(row{text: text, line: number})
		}
		return nil
	})
}
