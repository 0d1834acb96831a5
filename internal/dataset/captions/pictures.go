package captions

import (
	"cmp"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// maxDepth is how deep pictures are looked for in folders of folders.
const maxDepth = 4

// pictures are the files with pictures in a folder, by name: the path within the folder, as
// [picture.Key] writes it.
type pictures struct {
	names []string          // in order
	path  map[string]string // where the file is
	// The names of pictures by their last part in lower case, with and without ending.
	byBase, byStem map[string][]string
}

// findPictures looks for pictures in dir and its folders; links are followed.
func findPictures(dir string) (*pictures, error) {
	p := &pictures{path: map[string]string{}, byBase: map[string][]string{}, byStem: map[string][]string{}}
	if err := p.walk(dir, "", maxDepth); err != nil {
		return nil, err
	}
	slices.Sort(p.names)
	for _, name := range p.names {
		base := strings.ToLower(path.Base(name))
		p.byBase[base] = append(p.byBase[base], name)
		p.byStem[stem(base)] = append(p.byStem[stem(base)], name)
	}
	return p, nil
}

// PictureNames lists the pictures in dir and its folders, as [picture.Key] writes their paths within it; links are followed.
func PictureNames(dir string) ([]string, error) {
	p, err := findPictures(dir)
	if err != nil {
		return nil, err
	}
	return p.names, nil
}

// best returns the one of names that is most like image: in the letter case of its last part,
// which cut may shorten, and then in the folders before it. It is "" if there is no single one.
func (p *pictures) best(names []string, image string, cut func(string) string) (best string) {
	most := -1
	for _, name := range names {
		a, b := strings.Split(cut(name), "/"), strings.Split(image, "/")
		like := 0
		if a[len(a)-1] == b[len(b)-1] {
			like = 1
			for like < min(len(a), len(b)) && a[len(a)-1-like] == b[len(b)-1-like] {
				like++
			}
		}
		switch {
		case like > most:
			best, most = name, like
		case like == most && best != "" && !p.same(best, name):
			best = ""
		}
	}
	return best
}

// same says whether two names are of one file, as an earlier Prepare makes them.
func (p *pictures) same(first, name string) bool {
	a, err := os.Stat(p.path[first])
	b, err2 := os.Stat(p.path[name])
	return err == nil && err2 == nil && os.SameFile(a, b)
}

func stem(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

func (p *pictures) walk(dir, prefix string, depth int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if infile.Hidden(e.Name()) {
			continue
		}
		where, name := filepath.Join(dir, e.Name()), path.Join(prefix, picture.Key(picture.ID(e.Name())))
		mode := e.Type()
		if mode&os.ModeSymlink != 0 {
			info, err := os.Stat(where)
			if err != nil {
				continue // leads nowhere
			}
			if mode = info.Mode(); mode.IsRegular() {
				if where, err = filepath.EvalSymlinks(where); err != nil {
					continue
				}
			}
		}
		switch {
		case mode.IsDir() && depth > 1:
			if err := p.walk(where, name, depth-1); err != nil {
				return err
			}
		case mode.IsRegular() && picture.IsPicture(name) && checkName(name) == "" && p.path[name] == "":
			p.names = append(p.names, name)
			p.path[name] = where
		}
	}
	return nil
}

// find returns the name of the picture that captions call image; "" if there is none, or no
// single one. other has second names of images.
func (p *pictures) find(image string, other map[string]string) string {
	for _, name := range []string{image, path.Join("images", image)} {
		if _, ok := p.path[name]; ok {
			return name
		}
	}
	whole := func(name string) string { return name }
	if name := p.best(p.byBase[strings.ToLower(path.Base(image))], image, whole); name != "" {
		return name
	}
	for _, alias := range []string{image, other[image]} {
		if name := p.best(p.byStem[strings.ToLower(path.Base(alias))], alias, stem); name != "" {
			return name
		}
	}
	return ""
}

// place makes the file to the same as from: a second name of it, or a copy where that
// cannot be.
func place(from, to string) (err error) {
	if err := atomicfile.Mkdir(filepath.Dir(to)); err != nil {
		return err
	}
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := infile.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err == nil {
		err = atomicfile.Flush(out)
	}
	return cmp.Or(out.Close(), err)
}
