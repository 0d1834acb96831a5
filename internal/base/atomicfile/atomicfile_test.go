package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestWriteReplacesWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := WriteBytes(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	err := Write(path, func(w io.Writer) error {
		io.WriteString(w, strings.Repeat("x", 3*bufferSize))
		return boom
	})
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), path) {
		t.Fatalf("error %v does not wrap the cause and name the file", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Fatalf("a failed write changed the file to %d bytes", len(got))
	}
	if err := WriteBytes(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "new" {
		t.Fatalf("got %q", got)
	}
	assertEntries(t, dir, "f")
}

func TestWriteIntoMissingFolder(t *testing.T) {
	err := WriteBytes(filepath.Join(t.TempDir(), "absent", "f"), nil)
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
}

// A folder that is in a file's place is named, before the content is made.
func TestWriteOverAFolder(t *testing.T) {
	path := t.TempDir()
	err := Write(path, func(io.Writer) error { t.Error("the content was made"); return nil })
	if err == nil || !strings.Contains(err.Error(), path+": a folder is in its place") {
		t.Errorf("%v", err)
	}
}

func TestWriteDir(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "d")
	boom := errors.New("boom")
	if err := WriteDir(target, func(tmp string) error {
		os.WriteFile(filepath.Join(tmp, "half"), nil, 0o644)
		return boom
	}); !errors.Is(err, boom) {
		t.Fatalf("got %v", err)
	}
	assertEntries(t, dir)
	fill := func(tmp string) error { return WriteBytes(filepath.Join(tmp, "a"), []byte("1")) }
	if err := WriteDir(target, fill); err != nil {
		t.Fatal(err)
	}
	assertEntries(t, target, "a")
	if err := WriteDir(target, fill); !errors.Is(err, os.ErrExist) {
		t.Fatalf("an existing folder was accepted: %v", err)
	}
}

func TestClean(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, TempMark+"1"), nil, 0o644)
	os.Mkdir(filepath.Join(dir, TempMark+"2"), 0o755)
	os.WriteFile(filepath.Join(dir, "keep"), nil, 0o644)
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	assertEntries(t, dir, "keep")
	if err := Clean(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("nowhere", link); err != nil {
		if runtime.GOOS != "windows" { // where links need a right of their own
			t.Fatal(err)
		}
		t.Skip("not run: ", err)
	}
	for _, path := range []string{link, filepath.Join(dir, "keep")} {
		if err := Clean(path); err == nil || errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path+" is in the place of a folder") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func assertEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("folder holds %v, want %v", got, want)
	}
}

func TestFree(t *testing.T) {
	dir := t.TempDir()
	there, known := Free(dir)
	if !known {
		if slices.Contains([]string{"linux", "darwin", "windows"}, runtime.GOOS) {
			t.Fatal("how much is free is not known")
		}
		t.Skip("not run: this system does not say how much is free")
	}
	absent, known := Free(filepath.Join(dir, "a", "b"))
	if !known || there <= 0 || absent <= 0 {
		t.Errorf("%d bytes are free, for a folder to be made %d, %v", there, absent, known)
	}
	file := filepath.Join(dir, "f")
	os.WriteFile(file, nil, 0o644)
	if _, known := Free(filepath.Join(file, "below")); known {
		t.Error("there is space below a file")
	}
}

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src"), filepath.Join(dir, "dst")
	for _, content := range []string{"first", "second, which is longer"} { // the second time something is in the place
		if err := WriteBytes(src, []byte(content)); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time it is there
			if err := Copy(dst, src); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(dst); err != nil || string(got) != content {
			t.Errorf("copied is %q, %v", got, err)
		}
	}
	if err := WriteBytes(src, []byte("third")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(dst); err != nil || string(got) != "second, which is longer" {
		t.Errorf("a new source changes the copy to %q, %v", got, err)
	}
	if err := Copy(dst, filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	if err := Copy(filepath.Join(dir, "no", "dst"), src); err == nil {
		t.Error("into no folder")
	}
	assertEntries(t, dir, "dst", "src")
}
