package captions

import (
	"cmp"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/atomicfile"
	"github.com/unimo-go/unimo/internal/infile"
	"github.com/unimo-go/unimo/internal/picture"
)

// maxDepth is how deep pictures are looked for in folders of folders.
const maxDepth = 4

// pictures are the files with pictures in a folder, by name: the path within the folder, as
// [picture.Key] writes it.
type pictures struct {
	names []string          // in order
	path  map[string]string // where the file is
	// The name of the picture by its last part, with and without ending; "" for two files.
	byBase, byStem map[string]string
}

// findPictures looks for pictures in dir and its folders; links are followed.
func findPictures(dir string) (*pictures, error) {
	p := &pictures{path: map[string]string{}, byBase: map[string]string{}, byStem: map[string]string{}}
	if err := p.walk(dir, "", maxDepth); err != nil {
		return nil, err
	}
	slices.Sort(p.names)
	for _, name := range p.names {
		base := path.Base(name)
		p.index(p.byBase, base, name)
		p.index(p.byStem, stem(base), name)
	}
	return p, nil
}

// index sets m[key] to name, or to "" if another file has that key. A second name of the same
// file, such as an earlier Prepare made, is no other.
func (p *pictures) index(m map[string]string, key, name string) {
	first, twice := m[key]
	if !twice {
		m[key] = name
		return
	}
	a, err := os.Stat(p.path[first])
	b, err2 := os.Stat(p.path[name])
	if err != nil || err2 != nil || !os.SameFile(a, b) {
		m[key] = ""
	}
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
	if name := p.byBase[path.Base(image)]; name != "" {
		return name
	}
	for _, alias := range []string{image, other[image]} {
		if name := p.byStem[path.Base(alias)]; name != "" {
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
		err = out.Sync()
	}
	return cmp.Or(out.Close(), err)
}
