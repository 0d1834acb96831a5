package checkpoint

import (
	"fmt"
	"io"
	"math"
	"os"

	"github.com/edsrzf/mmap-go"
)

// mapping is the content of a file, mapped if the system allows and read otherwise.
type mapping struct {
	data   []byte
	mapped mmap.MMap // nil if data was read
}

// mapFile maps an open regular file. The mapping is private and copy-on-write:
// training may update weights in place, and pages that nobody writes stay shared
// with every other process that maps the file. It outlives f.
//
// A file that another program shortens while it is mapped makes a later access
// crash. Our own writers replace files by renaming and never shorten them.
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
		if m, err := mmap.MapRegion(f, int(size), mmap.COPY, 0, 0); err == nil {
			return &mapping{data: m, mapped: m}, nil
		}
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, size), data); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return &mapping{data: data}, nil
}

func (m *mapping) close() error {
	m.data = nil
	if m.mapped == nil {
		return nil
	}
	return m.mapped.Unmap() // sets m.mapped to nil
}
