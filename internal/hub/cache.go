package hub

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
)

// Cache is where models lie on this machine.
type Cache struct {
	Hub string // Hugging Face's
	Own string // of all other sources, and of what we note about both
}

// FromEnv returns the caches that the environment names: HF_HUB_CACHE, else hub in HF_HOME, for Hugging Face's; UNIMO_CACHE for our own.
func FromEnv(getenv func(string) string) Cache {
	c := Cache{Hub: getenv("HF_HUB_CACHE"), Own: getenv("UNIMO_CACHE")}
	if c.Hub == "" {
		c.Hub = filepath.Join(HuggingFaceHome(getenv), "hub")
	}
	if c.Own == "" {
		c.Own = filepath.Join(cacheHome(getenv), "unimo")
	}
	return c
}

// HuggingFaceHome is the folder of Hugging Face's programs: HF_HOME.
func HuggingFaceHome(getenv func(string) string) string {
	if home := getenv("HF_HOME"); home != "" {
		return home
	}
	return filepath.Join(cacheHome(getenv), "huggingface")
}

// cacheHome is where programs have their caches, as Hugging Face's find it on every system.
func cacheHome(getenv func(string) string) string {
	if cache := getenv("XDG_CACHE_HOME"); cache != "" {
		return cache
	}
	user, _ := os.UserHomeDir() // "" where there is none: below the current folder
	return filepath.Join(user, ".cache")
}

// Folders in a repository's, and the file that says whose it is.
const (
	Blobs     = "blobs"
	Snapshots = "snapshots"
	Refs      = "refs"
	nameFile  = "name" // whose folder it is, where that cannot be read from its name
)

// hubPrefix is what folders of models in Hugging Face's cache begin with.
const hubPrefix = "models--"

// Dir is the folder of the name's repository.
func (c Cache) Dir(n Name) string {
	base := strings.ReplaceAll(n.Repo, "/", "--")
	if n.Source == HuggingFace {
		return filepath.Join(c.Hub, hubPrefix+base)
	}
	if n.Source == Web || n.Source == OCI {
		base = n.Short() + "-" + Slug(n.Repo)
	}
	return filepath.Join(c.Own, n.Source+"--"+base)
}

// Slug is a short name of s for a file.
func Slug(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// Lock is the folder that a process owns while it changes the name's repository.
func (c Cache) Lock(n Name) string {
	dir := c.Dir(n)
	return filepath.Join(filepath.Dir(dir), ".locks", filepath.Base(dir))
}

// AbsentError says that a model is not in the cache.
type AbsentError struct {
	Name   Name
	Remedy string // what to do; "": fetch it
}

func (e *AbsentError) Error() string {
	return fmt.Sprintf("%s is not on this machine; %s", e.Name, cmp.Or(e.Remedy, fmt.Sprintf("fetch it with 'unimo pull %s'", e.Name)))
}

// Unwrap returns [fs.ErrNotExist].
func (e *AbsentError) Unwrap() error { return fs.ErrNotExist }

var hexRevision = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

// revision returns which snapshot a name means; "" if that is not known here.
func (c Cache) revision(n Name) (string, error) {
	if n.Digest != "" {
		return n.Digest, nil
	}
	raw, err := infile.Read(filepath.Join(c.Dir(n), Refs, filepath.FromSlash(n.Ref())), 200)
	if errors.Is(err, fs.ErrNotExist) {
		if hexRevision.MatchString(n.Ref()) {
			return n.Ref(), nil
		}
		return "", nil
	}
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(raw))
	if !hexRevision.MatchString(id) {
		return "", &infile.Error{File: filepath.Join(c.Dir(n), Refs, n.Ref()), Problem: "names no revision", Remedy: fmt.Sprintf("fetch the model with 'unimo pull %s'", n)}
	}
	return id, nil
}

// Locate returns where a model is on this machine: its folder, or the file of a source that has one file. It opens no connection. A
// model that was not fetched is an [*AbsentError].
func (c Cache) Locate(n Name) (string, error) {
	id, err := c.revision(n)
	if err != nil {
		return "", err
	}
	if id == "" {
		return "", &AbsentError{Name: n}
	}
	dir := filepath.Join(c.Dir(n), Snapshots, id)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return "", &AbsentError{Name: n}
	}
	if err != nil {
		return "", fmt.Errorf("find %s: %w", n, err)
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("find %s: %w", n, err)
		}
		return c.inside(n, path)
	})
	if err != nil {
		return "", err
	}
	if (n.Source == Web || n.Source == Reference) && len(entries) == 1 && !entries[0].IsDir() {
		return filepath.Join(dir, entries[0].Name()), nil
	}
	return dir, nil
}

// inside refuses a link in a snapshot that leads out of the repository's blobs, and of those that Hugging Face's repositories share.
func (c Cache) inside(n Name, path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return err
	}
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &AbsentError{n, "is not whole: " + filepath.Base(path) + " is gone"}
	}
	if err != nil {
		return fmt.Errorf("find %s: %w", n, err)
	}
	for _, blobs := range []string{filepath.Join(c.Dir(n), Blobs), filepath.Join(c.Hub, Blobs)} {
		real, err := filepath.EvalSymlinks(blobs)
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(real, target); err == nil && filepath.IsLocal(rel) {
			return nil
		}
	}
	return &infile.Error{File: path, Problem: "is a link that leaves the cache", Remedy: fmt.Sprintf("remove it, and fetch the model with 'unimo pull %s'", n)}
}

// Used notes that a model was opened. It is no error if that cannot be noted: a cache may be read-only.
func (c Cache) Used(n Name) {
	path, now := c.usedFile(c.Dir(n)), time.Now()
	if os.Chtimes(path, now, now) == nil {
		return
	}
	if atomicfile.Mkdir(filepath.Dir(path)) == nil {
		atomicfile.WriteBytes(path, nil)
	}
}

func (c Cache) usedFile(dir string) string { return filepath.Join(c.Own, ".used", filepath.Base(dir)) }

// Find returns where the model is that s names, and s itself if it is no name but a path.
func Find(s string) (string, error) {
	if !IsName(s) {
		return s, nil
	}
	n, err := Parse(s)
	if err != nil {
		return "", err
	}
	c := FromEnv(os.Getenv)
	path, err := c.Locate(n)
	if err == nil {
		c.Used(n)
	}
	return path, err
}

// Pinned is a name with the revision that it means now, for those that are to mean the same later. What is no name stays as it is.
func Pinned(s string) string {
	n, err := Parse(s)
	if err != nil {
		return s
	}
	id, err := FromEnv(os.Getenv).revision(n)
	switch {
	case err != nil || id == "" || n.Digest != "":
		return s
	case n.Source == OCI || n.Source == Web:
		n.Digest = id
	case n.Source != Reference:
		n.Revision = id
	}
	return n.String()
}
