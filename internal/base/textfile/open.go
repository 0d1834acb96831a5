package textfile

import (
	"fmt"
	"io"
	"os"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// Open opens a regular file of data. Errors are [*FileError], also those of a Git LFS
// pointer or a web page.
func Open(path string) (*os.File, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	head := make([]byte, infile.HeadBytes)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		f.Close()
		return nil, &FileError{File: path, Problem: fmt.Sprintf("cannot be read: %v", err), Err: err}
	}
	if err := infile.Foreign(path, head[:n]); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
