package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// mapping is the content of a file, mapped if the system allows and read otherwise.
type mapping struct {
	data  []byte
	file  *os.File     // nil if data was read
	unmap func() error // nil if data was read
}

// mapFile maps an open regular file, which it takes over. The mapping is private and copy-on-write:
// training may update weights in place, and pages that nobody writes stay shared
// with every other process that maps the file.
//
// A file that another program shortens while it is mapped makes a later access
// crash. Our own writers replace files by renaming and never shorten them.
// (Windows refuses to replace a file that is mapped: close first.)
func mapFile(f *os.File) (m *mapping, err error) {
	defer func() {
		if m == nil || m.file == nil {
			f.Close()
		}
	}()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", f.Name())
	}
	size := st.Size()
	if size > math.MaxInt {
		return nil, fmt.Errorf("%s: %d bytes do not fit the address space", f.Name(), size)
	}
	if size > 0 { // an empty region cannot be mapped
		if data, unmap, err := mapPrivate(f, int(size)); err == nil {
			return &mapping{data, f, unmap}, nil
		}
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, size), data); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return &mapping{data: data}, nil
}

// read fills dst with the bytes from offset on: from the file and not by the mapping,
// so that they do not stay in the memory of the process as well.
func (m *mapping) read(dst []byte, offset int) error {
	if m.file == nil {
		copy(dst, m.data[offset:])
		return nil
	}
	_, err := m.file.ReadAt(dst, int64(offset))
	return err
}

func (m *mapping) close() error {
	file, unmap := m.file, m.unmap
	m.data, m.file, m.unmap = nil, nil, nil
	if unmap == nil {
		return nil
	}
	return errors.Join(unmap(), file.Close())
}
