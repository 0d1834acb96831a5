// Package atomicfile writes files and folders whole or not at all.
//
// Content goes to a temporary neighbour, is flushed to the disk, and only then
// takes its final name by a rename, which every supported system performs
// atomically. A reader, or a run resumed after a crash, therefore sees the old
// content or the new one and never a part. On failure the temporary file is
// removed and what was there before stays.
//
// A folder that a command changes in place belongs to one process at a time: see [Own].
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// TempMark is in the name of every temporary file and folder, so that those a
// killed process left behind can be told from results (see [Clean]).
const TempMark = ".unimo-partial-"

// bufferSize spares small writers a system call each; 1 MiB is far above the
// size at which disks stop caring.
const bufferSize = 1 << 20

// Volatile says that nothing is flushed to the disk: of tests, for which a disk's flushes were most of the time.
var Volatile bool

// Flush returns when the content of a file, or the list of a folder, is on the disk.
func Flush(f *os.File) error {
	if Volatile {
		return nil
	}
	return f.Sync()
}

// Write creates or replaces the file path with what content writes.
// An error of content is returned wrapped, and path keeps its old content.
func Write(path string, content func(w io.Writer) error) error {
	return WriteFile(path, func(f *os.File) error {
		w := bufio.NewWriterSize(f, bufferSize)
		if err := content(w); err != nil {
			return err
		}
		return w.Flush()
	})
}

// WriteFile is [Write] for content that goes back in the file, as a header does that says how much follows.
func WriteFile(path string, content func(f *os.File) error) (err error) {
	path = filepath.Clean(path) // "FILE/" would have itself for a parent
	dir := filepath.Dir(path)
	if info, err := os.Lstat(path); err == nil && info.IsDir() { // a rename would say "file exists", and after the work
		return fmt.Errorf("write %s: a folder is in its place; move or remove it", path)
	}
	f, err := os.CreateTemp(dir, TempMark+"*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, writing(err))
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, Explain(err)) // content may have read, too
		}
	}()
	// CreateTemp makes files private; results are ordinary files.
	if err = f.Chmod(0o644); err != nil && runtime.GOOS != "windows" {
		return err
	}
	if err = content(f); err != nil {
		return err
	}
	if err = Flush(f); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return writing(err)
	}
	return syncDir(dir)
}

// WriteBytes creates or replaces the file path with data.
func WriteBytes(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Copy creates or replaces the file dst with the content of the file src. Where the system can, both are one file on
// the disk from then on (a hard link), so src must not be written in place; Write does not.
func Copy(dst, src string) (err error) {
	from, err := os.Stat(src)
	if err != nil {
		return fmt.Errorf("copy to %s: %w", dst, err)
	}
	if to, err := os.Stat(dst); err == nil && os.SameFile(from, to) {
		return nil
	}
	temp, err := os.MkdirTemp(filepath.Dir(dst), TempMark+"*")
	if err != nil {
		return fmt.Errorf("copy to %s: %w", dst, writing(err))
	}
	defer os.RemoveAll(temp)
	link := filepath.Join(temp, "link")
	if real, err := filepath.EvalSymlinks(src); err == nil && os.Link(real, link) == nil && os.Rename(link, dst) == nil {
		return syncDir(filepath.Dir(dst))
	}
	f, err := os.Open(src)
	if err != nil {
		return fmt.Errorf("copy to %s: %w", dst, err)
	}
	defer f.Close()
	return Write(dst, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}

// Mkdir makes the folder dir and those above it that are missing, as [os.MkdirAll] does,
// and flushes what is new: after a power failure the folder is there if anything in it is.
func Mkdir(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("make folder %s: %w", dir, &os.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR})
	}
	if err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := Mkdir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make folder: %w", writing(err))
	}
	// A folder that may be written but not listed cannot be flushed.
	if err := syncDir(parent); err != nil && !errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("make folder %s: %w", dir, err)
	}
	return nil
}

// WriteDir creates the folder dir, which must not exist, with what fill puts
// into a temporary folder beside it. Files that fill writes are its own
// business to flush (use [Write]); the folders it makes are flushed here.
func WriteDir(dir string, fill func(tmp string) error) (err error) {
	dir = filepath.Clean(dir) // "DIR/" would have itself for a parent
	defer func() {
		if err != nil {
			err = fmt.Errorf("write folder %s: %w", dir, Explain(err))
		}
	}()
	if _, err := os.Lstat(dir); err == nil {
		return os.ErrExist
	}
	parent := filepath.Dir(dir)
	tmp, err := os.MkdirTemp(parent, TempMark+"*")
	if err != nil {
		return writing(err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(tmp)
		}
	}()
	if err = os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err = fill(tmp); err != nil {
		return err
	}
	if err = syncTree(tmp); err != nil {
		return err
	}
	if err = os.Rename(tmp, dir); err != nil {
		return writing(err)
	}
	return syncDir(parent)
}

// syncTree flushes dir and all folders below it.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = syncDir(path)
		}
		return err
	})
}

// Clean removes what killed writers left in dir. Only the owner of dir (see [Own]), with no
// writer at work, may call it. That dir is not there is fs.ErrNotExist; that something else is in its
// place, a link that leads nowhere included, is another error.
func Clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if there, _ := os.Stat(dir); there == nil || !there.IsDir() {
			if _, lerr := os.Lstat(dir); lerr == nil {
				return fmt.Errorf("%s is in the place of a folder, and is none; move or remove it", dir)
			}
		}
		return fmt.Errorf("clean %s: %w", dir, err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), TempMark) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("clean %s: %w", dir, err)
			}
		}
	}
	return nil
}

// syncDir makes what was made, linked and renamed in dir durable. Windows neither needs nor allows it.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return Flush(d)
}
