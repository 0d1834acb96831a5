package programs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
)

// Key says which program it is: a digest of all that it was made of.
type Key [sha256.Size]byte

// Cache is a folder of compiled programs. Its methods may be called at once, also by several processes. What cannot be read or written is
// logged and costs a compilation, no more.
type Cache struct {
	dir    string
	limit  int64
	log    *slog.Logger
	remove func(path string) error

	mu   sync.Mutex      // of the removal of what is oldest, and of said
	said map[string]bool // what was warned of: a folder that cannot be written to is one message, not one a program
}

// Open returns the cache in a folder, which need not be there yet. Together its files have at most limit bytes.
func Open(dir string, limit int64, log *slog.Logger) *Cache {
	return &Cache{dir: dir, limit: limit, log: log, remove: os.Remove, said: map[string]bool{}}
}

// warn says what is wrong with a file, and the second time that it is wrong with another as a detail.
func (c *Cache) warn(what string, err error) {
	cause := err
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		cause = inner
	}
	level, key := slog.LevelWarn, what+cause.Error()
	c.mu.Lock()
	if c.said[key] {
		level = slog.LevelDebug
	}
	c.said[key] = true
	c.mu.Unlock()
	c.log.Log(context.Background(), level, what+": "+err.Error())
}

// A file is a line that says what it is, its key, the digest of the content, and the content.
const (
	magic  = "unimo compiled program 1\n"
	header = len(magic) + 2*sha256.Size
	ending = ".program"
)

func (c *Cache) path(k Key) string { return filepath.Join(c.dir, fmt.Sprintf("%x%s", k[:16], ending)) }

// Get returns the program with a key; nil if there is none. One that was damaged, or is another's, is none.
func (c *Cache) Get(k Key) []byte {
	path := c.path(k)
	raw, err := infile.Read(path, c.limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		var content []byte
		if content, err = parse(raw, k); err == nil {
			now := time.Now()
			os.Chtimes(path, now, now) // it is the oldest that are removed
			return content
		}
		err = fmt.Errorf("%s: %w", path, err)
	}
	c.warn("a compiled program is not taken from the cache, and is compiled anew", err)
	return nil
}

// parse returns the content of a file.
func parse(raw []byte, k Key) ([]byte, error) {
	rest, ok := bytes.CutPrefix(raw, []byte(magic))
	if !ok || len(raw) < header {
		return nil, errors.New("it is no program that this version has compiled")
	}
	key, rest := rest[:sha256.Size], rest[sha256.Size:]
	sum, content := rest[:sha256.Size], rest[sha256.Size:]
	if now := sha256.Sum256(content); !bytes.Equal(now[:], sum) {
		return nil, errors.New("it is damaged")
	}
	if !bytes.Equal(key, k[:]) {
		return nil, errors.New("it is another program")
	}
	return content, nil
}

// Put keeps a program.
func (c *Cache) Put(k Key, content []byte) {
	if int64(header+len(content)) > c.limit {
		return
	}
	sum := sha256.Sum256(content)
	raw := slices.Concat([]byte(magic), k[:], sum[:], content)
	err := atomicfile.Mkdir(c.dir)
	if err == nil {
		err = atomicfile.WriteBytes(c.path(k), raw)
	}
	if err != nil {
		c.warn("a compiled program is not kept (UNIMO_CACHE names another folder)", err)
		return
	}
	if err := c.bound(); err != nil {
		c.warn("an old compiled program is not removed", err)
	}
}

// unfinished is the age at which a file that a process has begun and not finished is taken for that of a dead one.
const unfinished = time.Hour

// bound removes the oldest programs until the rest are within the limit. What it may not remove it leaves.
func (c *Cache) bound() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	total := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil || !info.Mode().IsRegular(): // another process has removed it
		case strings.HasPrefix(e.Name(), atomicfile.TempMark) && time.Since(info.ModTime()) > unfinished:
			os.Remove(filepath.Join(c.dir, e.Name()))
		case strings.HasSuffix(e.Name(), ending):
			files = append(files, info)
			total += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, f := range files {
		if total <= c.limit {
			break
		}
		if e := c.remove(filepath.Join(c.dir, f.Name())); e == nil || errors.Is(e, fs.ErrNotExist) {
			total -= f.Size()
		} else if err == nil {
			err = e
		}
	}
	return err
}
