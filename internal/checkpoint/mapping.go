package checkpoint

import (
	"fmt"
	"io"
	"math"
	"os"
)

// mapping is the content of a file, mapped if the system allows and read otherwise.
type mapping struct {
	data  []byte
	unmap func() error // nil if data was read
}

// mapFile maps an open regular file. The mapping is private and copy-on-write:
// training may update weights in place, and pages that nobody writes stay shared
// with every other process that maps the file. It outlives f.
//
// A file that another program shortens while it is mapped makes a later access
// crash. Our own writers replace files by renaming and never shorten them.
// (Windows refuses to replace a file that is mapped: close first.)
func mapFile(f *os.File) (*mapping, error) {
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
			return &mapping{data: data, unmap: unmap}, nil
		}
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, size), data); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return &mapping{data: data}, nil
}

func (m *mapping) close() error {
	unmap := m.unmap
	m.data, m.unmap = nil, nil
	if unmap == nil {
		return nil
	}
	return unmap()
}
