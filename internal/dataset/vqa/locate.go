package vqa

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// partFolders are folders that have a part of the data: the pictures are looked for in the one above, too.
var partFolders = []string{"train", "dev", "val", "valid", "validation", "test", "questions", "annotations"}

// locate finds the picture of each question.
func (r *reader) locate() error {
	dir, part := filepath.Dir(r.set.File), ""
	if base := strings.ToLower(filepath.Base(dir)); slices.Contains(partFolders, base) {
		dir, part = filepath.Dir(dir), filepath.Base(dir)
	}
	if r.Images != "" {
		dir, part = r.Images, ""
	}
	r.set.Dir = dir
	names, err := captions.PictureNames(dir)
	if err != nil {
		return &textfile.FileError{File: dir, Problem: fmt.Sprintf("cannot be looked through for pictures: %v", err), Remedy: "name the folder of the pictures with the setting images_dir (--images-dir)", Err: err}
	}
	f := newFinder(names, part, subset.FindString(filepath.Base(r.set.File)))
	kept := r.set.Examples[:0]
	for _, x := range r.set.Examples {
		name, problem := f.find(x.Image)
		if problem != "" {
			err := &textfile.FileError{File: r.set.File, Line: r.line(&x), Problem: fmt.Sprintf("question %s: %s in %s", textfile.Quote(x.ID), problem, dir),
				Remedy: "name the folder of the pictures with the setting images_dir (--images-dir), or leave such questions out with skip_bad (--skip-bad)"}
			if !r.SkipBad {
				return err
			}
			if f.missing++; f.missing == 1 {
				f.first = err
			}
			r.tell(err)
			continue
		}
		x.Image = name
		kept = append(kept, x)
	}
	r.set.Examples = kept
	if len(kept) == 0 {
		return &AllBadError{f.first}
	}
	if f.missing > 0 && r.Problem == nil {
		r.set.Notes = append(r.set.Notes, fmt.Sprintf("%s: %s without a picture left out; the first: %v", r.set.File, textfile.Plural(f.missing, "question"), f.first))
	}
	return nil
}

// line is the line of a question, 0 where a file has no lines that mean anything.
func (r *reader) line(x *Example) int {
	if r.set.Form == formTable || r.set.Form == formLines {
		return x.Line
	}
	return 0
}

// subset is a part of COCO in the name of a file.
var subset = regexp.MustCompile(`(train|val|test)(-dev)?20\d\d`)

// finder finds pictures by what questions call them.
type finder struct {
	part, subset     string // names with these are meant where several could be
	known            map[string]bool
	byStem, byNumber map[string][]string
	found            map[string]string // what was found before
	missing          int
	first            error
}

func newFinder(names []string, part, subset string) *finder {
	f := &finder{part: part, subset: strings.Replace(subset, "-dev", "", 1), known: map[string]bool{}, byStem: map[string][]string{}, byNumber: map[string][]string{}, found: map[string]string{}}
	for _, name := range names {
		f.known[name] = true
		s := stem(name)
		f.byStem[s] = append(f.byStem[s], name)
		if number := trailing(s); number != "" {
			f.byNumber[number] = append(f.byNumber[number], name)
		}
	}
	return f
}

// stem is the last part of a path without the ending of a picture, in lower case.
func stem(name string) string {
	base := strings.ToLower(path.Base(name))
	if picture.IsPicture(base) {
		base = strings.TrimSuffix(base, path.Ext(base))
	}
	return base
}

// trailing is the number at the end of a text, without leading zeros; "" if there is none.
func trailing(s string) string {
	digits := s[len(strings.TrimRight(s, "0123456789")):]
	if digits == "" {
		return ""
	}
	if number := strings.TrimLeft(digits, "0"); number != "" {
		return number
	}
	return "0"
}

// find returns the picture that an image is: by its path; by its name without folder and ending; by its number.
func (f *finder) find(image string) (name, problem string) {
	if name, ok := f.found[image]; ok {
		return name, ""
	}
	key := picture.Key(strings.ReplaceAll(image, `\`, "/"))
	for _, plain := range []string{path.Join(f.part, key), path.Join(f.part, "images", key), key, path.Join("images", key)} {
		if f.known[plain] {
			f.found[image] = plain
			return plain, ""
		}
	}
	list := f.byStem[stem(key)]
	if list == nil && strings.Trim(key, "0123456789") == "" {
		list = f.byNumber[trailing(key)]
	}
	for _, wanted := range []string{f.part + "/", f.subset, "images/"} {
		if closer := slices.DeleteFunc(slices.Clone(list), func(name string) bool { return !strings.Contains(name, wanted) }); len(closer) > 0 {
			list = closer
		}
	}
	switch len(list) {
	case 0:
		return "", fmt.Sprintf("there is no picture %s", textfile.Quote(image))
	case 1:
		f.found[image] = list[0]
		return list[0], ""
	}
	return "", fmt.Sprintf("several pictures could be %s, such as %s and %s,", textfile.Quote(image), textfile.Quote(list[0]), textfile.Quote(list[1]))
}
