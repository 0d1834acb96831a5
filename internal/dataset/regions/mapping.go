package regions

import (
	"fmt"
	"math"
	"runtime/debug"
	"time"

	"github.com/edsrzf/mmap-go"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// mapped is a file that is mapped read-only: its pages are the system's to keep or to
// drop, and writing to them is impossible.
type mapped struct {
	path     string
	modified time.Time // when it was written
	data     []byte
	mmap     mmap.MMap // nil of an empty file
}

// mapFile maps a regular file.
func mapFile(path string) (*mapped, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping stays
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.Size() > math.MaxInt:
		return nil, fmt.Errorf("%s: %d bytes do not fit the address space", path, info.Size())
	case info.Size() == 0: // cannot be mapped
		return &mapped{path: path, modified: info.ModTime()}, nil
	}
	m, err := mmap.MapRegion(f, int(info.Size()), mmap.RDONLY, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return &mapped{path, info.ModTime(), m, m}, nil
}

func (m *mapped) close() error {
	if m.mmap == nil {
		return nil
	}
	m.data = nil
	return m.mmap.Unmap() // and sets it to nil
}

// guard calls read, which reads the mapping. A page that is gone because the file was
// shortened meanwhile becomes an error; by itself it would end the program.
func (m *mapped) guard(read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			err = fmt.Errorf("%s cannot be read any more: it was shortened since it was opened, or the disk failed", m.path)
		default:
			panic(r)
		}
	}()
	return read()
}
