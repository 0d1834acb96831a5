package infile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Open opens a regular file for reading. It never waits: pipes and devices are
// refused, also where one takes the file's place between two calls. Errors are
// [*Error]; that of a missing file wraps [fs.ErrNotExist].
func Open(path string) (*os.File, error) {
	// Looked at before it is opened: to open a device can have effects of its own.
	info, err := os.Stat(path)
	if err == nil {
		err = regular(path, info)
	}
	if err != nil {
		return nil, Explain(path, err)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, Explain(path, err)
	}
	if info, err = f.Stat(); err == nil {
		err = regular(path, info)
	}
	if err != nil {
		f.Close()
		return nil, Explain(path, err)
	}
	return f, nil
}

// regular returns an error that says what else than a regular file it is.
func regular(path string, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return &Error{File: path, Problem: "is a folder", Remedy: "name a file in it"}
	case mode&fs.ModeNamedPipe != 0:
		return &Error{File: path, Problem: "is a pipe, not a file", Remedy: "write its content to a file first"}
	case mode&fs.ModeSocket != 0:
		return &Error{File: path, Problem: "is a socket, not a file", Remedy: "name a file"}
	}
	return &Error{File: path, Problem: "is a device, not a file", Remedy: "name a file"}
}

// Explain says what is wrong with a file or folder that cannot be opened, and what to do.
func Explain(path string, err error) error {
	var known *Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, fs.ErrNotExist):
		return &Error{File: path, Problem: "does not exist", Remedy: "check the path", Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &Error{File: path, Problem: "may not be read", Remedy: "check its permissions", Err: err}
	}
	return &Error{File: path, Problem: fmt.Sprintf("cannot be opened: %v", cause(err)), Err: err}
}

// cause is what a path error says without the path, which the message has already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Read returns the content of a regular file of at most limit bytes. Errors are
// [*Error]; also that of a Git LFS pointer or a web page in the file's place is one
// (see [Foreign]).
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, Explain(path, err)
	}
	if info.Size() > limit {
		return nil, tooLarge(path, limit)
	}
	raw := make([]byte, 0, info.Size()+1) // one more finds the end without growing
	for in := io.LimitReader(f, limit+1); ; {
		n, err := in.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, &Error{File: path, Problem: fmt.Sprintf("cannot be read: %v", cause(err)), Err: err}
		}
		if len(raw) == cap(raw) { // it grew meanwhile
			raw = append(raw, 0)[:len(raw)]
		}
	}
	if int64(len(raw)) > limit {
		return nil, tooLarge(path, limit)
	}
	if err := Foreign(path, raw); err != nil {
		return nil, err
	}
	return raw, nil
}

// Folder returns an error, an [*Error], unless path is a folder that is there.
func Folder(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return Explain(path, err)
	case !info.IsDir():
		return &Error{File: path, Problem: "is no folder", Remedy: "name the folder that it is in"}
	}
	return nil
}

func tooLarge(path string, limit int64) error {
	size := fmt.Sprintf("%d bytes", limit)
	if limit >= 1<<20 && limit%(1<<20) == 0 {
		size = fmt.Sprintf("%d MiB", limit>>20)
	}
	return &Error{File: path, Problem: "is larger than " + size, Remedy: "check that it is the file that was meant"}
}

// Hidden says whether a file or folder of that name is one that people do not see and do
// not mean: the name begins with a dot, as those of ".DS_Store" and of the "._NAME" that
// macOS lays beside files. Readers that look into a folder or an archive pass it over.
func Hidden(name string) bool {
	base := filepath.Base(filepath.FromSlash(name))
	return strings.HasPrefix(base, ".") && base != "." && base != ".."
}
