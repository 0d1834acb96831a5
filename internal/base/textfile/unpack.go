package textfile

import (
	"compress/gzip"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// A compressed file may hold this many bytes more than gzipRatio times its own size.
const (
	gzipSlack = 64 << 20
	gzipRatio = 64
)

// WithUnpacked calls read with the content of a file, decompressed if its name ends in .gz.
func WithUnpacked(path string, read func(io.Reader) error) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if !strings.EqualFold(filepath.Ext(path), ".gz") {
		return read(f)
	}
	info, err := f.Stat()
	if err != nil {
		return &FileError{File: path, Problem: fmt.Sprintf("cannot be looked at: %v", err), Err: err}
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return &FileError{File: path, Problem: fmt.Sprintf("is no gzip file: %v", err), Remedy: "rename it, or compress it again", Err: err}
	}
	return read(&bounded{file: path, r: z, left: gzipSlack + gzipRatio*info.Size()})
}

// bounded ends a decompressed file that grows out of proportion.
type bounded struct {
	file string
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, &FileError{File: b.file, Problem: fmt.Sprintf("decompresses to more than %d times its size", gzipRatio),
			Remedy: "decompress it yourself and name the result"}
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
