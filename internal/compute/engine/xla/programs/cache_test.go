package programs

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
)

func open(t *testing.T, limit int64) (*Cache, *bytes.Buffer) {
	log := new(bytes.Buffer)
	return Open(filepath.Join(t.TempDir(), "not", "there"), limit, slog.New(slog.NewTextHandler(log, nil))), log
}

func key(n byte) Key { return Key{n, n} }

func TestKeepsPrograms(t *testing.T) {
	c, log := open(t, 1<<20)
	if got := c.Get(key(1)); got != nil {
		t.Errorf("of nothing: %q", got)
	}
	c.Put(key(1), []byte("one"))
	c.Put(key(2), []byte("two"))
	c.Put(key(2), []byte("again"))
	if a, b := c.Get(key(1)), c.Get(key(2)); string(a) != "one" || string(b) != "again" {
		t.Errorf("%q and %q", a, b)
	}
	if log.Len() > 0 {
		t.Error(log)
	}
}

// What is not as it was written is none, and is said.
func TestDamagedProgramsAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		change func(raw []byte) []byte
		want   string
	}{
		"cut":             {func(raw []byte) []byte { return raw[:len(raw)-1] }, "damaged"},
		"one bit":         {func(raw []byte) []byte { raw[len(raw)-1] ^= 1; return raw }, "damaged"},
		"header alone":    {func(raw []byte) []byte { return raw[:len(magic)+3] }, "no program that this version"},
		"empty":           {func(raw []byte) []byte { return nil }, "no program that this version"},
		"another version": {func(raw []byte) []byte { return bytes.Replace(raw, []byte("program 1"), []byte("program 0"), 1) }, "no program that this version"},
		"another program": {func(raw []byte) []byte { raw[len(magic)+20] ^= 1; return raw }, "another program"},
		"too long":        {func(raw []byte) []byte { return append(raw, make([]byte, 1<<20)...) }, "MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			cache, log := open(t, 1<<20)
			cache.Put(key(1), []byte("a program"))
			path := cache.path(key(1))
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, c.change(raw), 0o644); err != nil {
				t.Fatal(err)
			}
			if got := cache.Get(key(1)); got != nil || !strings.Contains(log.String(), "compiled anew") || !strings.Contains(log.String(), c.want) {
				t.Errorf("%q, logged %q, want %q", got, log, c.want)
			}
			cache.Put(key(1), []byte("anew"))
			if got := cache.Get(key(1)); string(got) != "anew" {
				t.Errorf("written again: %q", got)
			}
		})
	}
}

// The files are bounded together, and those go first that were not used for longest.
func TestRemovesTheOldest(t *testing.T) {
	size := int64(header + 100)
	c, _ := open(t, 3*size)
	content := make([]byte, 100)
	for n := range byte(3) {
		c.Put(key(n), content)
		when := time.Now().Add(time.Duration(n)*time.Minute - time.Hour)
		if err := os.Chtimes(c.path(key(n)), when, when); err != nil {
			t.Fatal(err)
		}
	}
	c.Get(key(0)) // is the newest now
	old := filepath.Join(c.dir, atomicfile.TempMark+"1")
	os.WriteFile(old, nil, 0o644)
	os.Chtimes(old, time.Time{}, time.Now().Add(-2*unfinished))
	os.WriteFile(filepath.Join(c.dir, atomicfile.TempMark+"2"), nil, 0o644)
	os.WriteFile(filepath.Join(c.dir, "another"), make([]byte, 10*size), 0o644)
	c.Put(key(3), content)
	c.Put(key(4), make([]byte, 3*size)) // has no room
	left := ""
	for n := range byte(5) {
		if c.Get(key(n)) != nil {
			left += fmt.Sprint(n)
		}
	}
	if left != "023" {
		t.Errorf("left are %s, want 023", left)
	}
	entries, _ := os.ReadDir(c.dir)
	if len(entries) != 5 {
		t.Errorf("files: %v, want the programs, the one that is being written, and another's", entries)
	}
}

// A folder that cannot be written to costs compilations, no more.
func TestWithoutAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o644)
	log := new(bytes.Buffer)
	c := Open(filepath.Join(file, "below"), 1<<20, slog.New(slog.NewTextHandler(log, nil)))
	for range 3 { // programs
		c.Put(key(1), []byte("one"))
	}
	if got := c.Get(key(1)); got != nil || strings.Count(log.String(), "not kept") != 1 {
		t.Errorf("%q, logged %q", got, log)
	}
}

// A program that may not be removed is left, and the next is removed in its place.
func TestLeavesWhatItMayNotRemove(t *testing.T) {
	c, log := open(t, 3*int64(header+100))
	for n := range byte(3) {
		c.Put(key(n), make([]byte, 100))
		when := time.Now().Add(time.Duration(n)*time.Minute - time.Hour)
		if err := os.Chtimes(c.path(key(n)), when, when); err != nil {
			t.Fatal(err)
		}
	}
	c.remove = func(path string) error {
		if path == c.path(key(0)) {
			return &os.PathError{Op: "remove", Path: path, Err: os.ErrPermission}
		}
		return os.Remove(path)
	}
	c.Put(key(3), make([]byte, 100))
	if c.Get(key(0)) == nil || c.Get(key(1)) != nil || c.Get(key(2)) == nil || c.Get(key(3)) == nil {
		t.Error("left are others than 0, 2 and 3")
	}
	if got := log.String(); !strings.Contains(got, "an old compiled program is not removed: remove ") || strings.Contains(got, "not kept") {
		t.Errorf("logged %q", got)
	}
}
