package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// folder is where the prepared data of a set are.
func (o options) folder(s set) string { return filepath.Join(o.work, "data", s.name) }

// prepare writes the data of a set as unimo reads them, unless they are there: images/ and a table of each split; for
// captions one table, and a list of images of each split. Examples whose picture is missing are left out.
func (o options) prepare(s set) error {
	dir, done := o.folder(s), filepath.Join(o.folder(s), "done")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	all, err := s.rows(o.data)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "images"), 0o755); err != nil {
		return err
	}
	report := ""
	for _, split := range splits {
		kept, missing, err := copyPictures(dir, all[split])
		if err != nil {
			return err
		}
		all[split] = kept
		report += fmt.Sprintf("%s: %d lines about %d pictures, %d without a picture left out\n", split, len(kept), len(images(kept)), missing)
	}
	if err := s.write(dir, all); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s\n%s", s.name, report)
	return os.WriteFile(done, []byte(report), 0o644)
}

// images lists the names of the pictures, each once.
func images(examples []example) []string {
	var list []string
	seen := map[string]bool{}
	for _, x := range examples {
		if !seen[x.image] {
			seen[x.image] = true
			list = append(list, x.image)
		}
	}
	return list
}

// copyPictures returns the examples whose pictures are there.
func copyPictures(dir string, examples []example) (kept []example, missing int, err error) {
	there := map[string]bool{}
	for _, x := range examples {
		found, known := there[x.image]
		if !known {
			raw, err := os.ReadFile(x.picture)
			if found = err == nil; found {
				err = os.WriteFile(filepath.Join(dir, "images", x.image), raw, 0o644)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, 0, err
			}
			there[x.image] = found
		}
		if !found {
			missing++
			continue
		}
		kept = append(kept, x)
	}
	return kept, missing, nil
}

// header has the names of the columns.
func (s set) header() []string {
	switch {
	case !s.labels:
		return []string{"image", "caption"}
	case s.task == "snli-ve":
		return []string{"image", "hypothesis", "label"}
	}
	return []string{"image", "question", "answer"}
}

// write writes the tables.
func (s set) write(dir string, all rows) error {
	if !s.labels {
		return s.writeCaptions(dir, all)
	}
	for _, split := range splits {
		lines := [][]string{s.header()}
		for _, x := range all[split] {
			lines = append(lines, []string{x.image, x.text, x.target})
		}
		if err := writeTable(filepath.Join(dir, split+".csv"), lines); err != nil {
			return err
		}
	}
	return nil
}

func (s set) writeCaptions(dir string, all rows) error {
	lines := [][]string{s.header()}
	for _, split := range splits {
		list := ""
		for _, image := range images(all[split]) {
			list += image + "\n"
		}
		if err := os.WriteFile(filepath.Join(dir, split+".txt"), []byte(list), 0o644); err != nil {
			return err
		}
		for _, x := range all[split] {
			lines = append(lines, []string{x.image, x.target})
		}
	}
	return writeTable(filepath.Join(dir, "captions.csv"), lines)
}

func writeTable(path string, lines [][]string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := csv.NewWriter(f).WriteAll(lines); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// read returns the examples of a split as they were prepared.
func (o options) read(s set, split string) ([]example, error) {
	dir := o.folder(s)
	var list []example
	if s.labels {
		err := table(filepath.Join(dir, split+".csv"), ',', s.header(), func(v []string) { list = append(list, example{image: v[0], text: v[1], target: v[2]}) })
		return list, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, split+".txt"))
	if err != nil {
		return nil, err
	}
	of := map[string]bool{}
	for _, image := range strings.Fields(string(raw)) {
		of[image] = true
	}
	err = table(filepath.Join(dir, "captions.csv"), ',', s.header(), func(v []string) {
		if of[v[0]] {
			list = append(list, example{image: v[0], target: v[1]})
		}
	})
	return list, err
}
