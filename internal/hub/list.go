package hub

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
)

// Model is one that is in a cache.
type Model struct {
	Name     Name // without a revision
	Revision string
	Refs     []string // the branches and tags that stand for it
	Path     string   // as [Cache.Locate] returns it
	Files    int
	Bytes    int64 // of its files, each content once
	Fetched  time.Time
	Used     time.Time // zero if that is not known
}

// maxNameFile bounds the file that says whose a folder is.
const maxNameFile = 4 << 10

// WriteName notes in the folder dir whose it is.
func WriteName(dir string, n Name) error {
	n.Revision, n.Digest = "", ""
	return atomicfile.WriteBytes(filepath.Join(dir, nameFile), []byte(n.String()+"\n"))
}

// nameOf is whose the folder dir in a cache is.
func (c Cache) nameOf(dir string) (Name, error) {
	base := filepath.Base(dir)
	if rest, ok := strings.CutPrefix(base, hubPrefix); ok && filepath.Dir(dir) == filepath.Clean(c.Hub) {
		return Parse(HuggingFace + ":" + strings.ReplaceAll(rest, "--", "/"))
	}
	raw, err := infile.Read(filepath.Join(dir, nameFile), maxNameFile)
	if err != nil {
		return Name{}, err
	}
	n, err := Parse(strings.TrimSpace(string(raw)))
	if err == nil && c.Dir(n) != filepath.Clean(dir) {
		err = fmt.Errorf("%s is not the folder of %s", dir, n)
	}
	return n, err
}

// repositories returns the folders of repositories, with whose they are. What is none is passed over.
func (c Cache) repositories() (map[string]Name, error) {
	found := map[string]Name{}
	for _, root := range []string{c.Hub, c.Own} {
		entries, err := os.ReadDir(root)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list models: %w", err)
		}
		for _, e := range entries {
			dir := filepath.Join(filepath.Clean(root), e.Name())
			if n, err := c.nameOf(dir); err == nil && c.Dir(n) == dir {
				found[dir] = n
			}
		}
	}
	return found, nil
}

// List returns the models in the caches: each revision is one.
func (c Cache) List() ([]Model, error) {
	repositories, err := c.repositories()
	if err != nil {
		return nil, err
	}
	var list []Model
	for dir, n := range repositories {
		refs := readRefs(dir)
		snapshots, err := os.ReadDir(filepath.Join(dir, Snapshots))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list models: %w", err)
		}
		for _, s := range snapshots {
			if !hexRevision.MatchString(s.Name()) {
				continue
			}
			m := Model{Name: n, Revision: s.Name(), Refs: refs[s.Name()], Path: filepath.Join(dir, Snapshots, s.Name())}
			at := n
			at.Revision = s.Name()
			if path, err := c.Locate(at); err == nil {
				m.Path = path
			}
			if info, err := s.Info(); err == nil {
				m.Fetched = info.ModTime()
			}
			if info, err := os.Stat(c.usedFile(dir)); err == nil {
				m.Used = info.ModTime()
			}
			for _, content := range contents(filepath.Join(dir, Snapshots, s.Name()), &m.Files) {
				m.Bytes += content.Size()
			}
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b Model) int {
		return cmp.Or(cmp.Compare(a.Name.String(), b.Name.String()), cmp.Compare(a.Revision, b.Revision))
	})
	return list, nil
}

// contents returns what the files in a snapshot are, each content once, and counts the files.
func contents(snapshot string, files *int) (list []fs.FileInfo) {
	filepath.WalkDir(snapshot, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		*files++
		info, err := os.Stat(path)
		if err == nil && !slices.ContainsFunc(list, func(other fs.FileInfo) bool { return os.SameFile(info, other) }) {
			list = append(list, info)
		}
		return nil
	})
	return list
}

// readRefs returns the references of a repository by the revision that they stand for.
func readRefs(dir string) map[string][]string {
	found := map[string][]string{}
	root := filepath.Join(dir, Refs)
	filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		raw, err := infile.Read(path, 200)
		if rel, rerr := filepath.Rel(root, path); err == nil && rerr == nil {
			id := strings.TrimSpace(string(raw))
			found[id] = append(found[id], filepath.ToSlash(rel))
		}
		return nil
	})
	return found
}

// ListRemedy is what to do where a model that is to be removed is not in the cache.
const ListRemedy = "'unimo list' shows what is"

// Remove takes a model out of the cache: all revisions of a name without one, else the one that is meant. What another revision has, too,
// stays. It returns how many bytes are free now. The caller owns [Cache.Lock].
func (c Cache) Remove(n Name) (freed int64, err error) {
	dir := c.Dir(n)
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return 0, &AbsentError{n, ListRemedy}
	}
	before, all := size(dir), n.Revision == "" && n.Digest == ""
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, fmt.Errorf("remove %s: %w", n, err)
	}
	defer root.Close()
	if !all {
		id, err := c.revision(n)
		if err != nil {
			return 0, err
		}
		if _, err := root.Lstat(filepath.Join(Snapshots, id)); id == "" || err != nil {
			return 0, &AbsentError{n, ListRemedy}
		}
		if err := c.removeRevision(root, n, id); err != nil {
			return 0, fmt.Errorf("remove %s: %w", n, err)
		}
		if left, err := os.ReadDir(filepath.Join(dir, Snapshots)); err != nil || len(left) > 0 {
			return before - size(dir), err
		}
	}
	root.Close()
	if err := os.RemoveAll(dir); err != nil {
		return 0, fmt.Errorf("remove %s: %w", n, err)
	}
	os.Remove(c.usedFile(dir))
	return before, nil
}

// removeRevision takes the references to a revision away, the revision unless another reference stands for it, and the contents that no
// revision has any more.
func (c Cache) removeRevision(root *os.Root, n Name, id string) error {
	others := false
	for _, ref := range readRefs(root.Name())[id] {
		if n.Digest == "" && n.Ref() != id && n.Ref() != ref {
			others = true
			continue
		}
		if err := root.Remove(filepath.Join(Refs, filepath.FromSlash(ref))); err != nil {
			return err
		}
	}
	if others {
		return nil
	}
	if err := root.RemoveAll(filepath.Join(Snapshots, id)); err != nil {
		return err
	}
	return sweep(root)
}

// sweep removes the blobs that no snapshot has.
func sweep(root *os.Root) error {
	files := 0
	kept := contents(filepath.Join(root.Name(), Snapshots), &files)
	blobs, err := os.ReadDir(filepath.Join(root.Name(), Blobs))
	for _, b := range blobs {
		info, statErr := os.Stat(filepath.Join(root.Name(), Blobs, b.Name()))
		if statErr == nil && slices.ContainsFunc(kept, func(other fs.FileInfo) bool { return os.SameFile(info, other) }) {
			continue
		}
		err = errors.Join(err, root.Remove(filepath.Join(Blobs, b.Name())))
	}
	return err
}

// size is how many bytes the files below dir have, links apart.
func size(dir string) (n int64) {
	var seen []fs.FileInfo
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		if info, err := e.Info(); err == nil && !slices.ContainsFunc(seen, func(other fs.FileInfo) bool { return os.SameFile(info, other) }) {
			seen = append(seen, info)
			n += info.Size()
		}
		return nil
	})
	return n
}
