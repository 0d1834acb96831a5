//go:build !windows

package checkpoint

import (
	"os"

	"github.com/edsrzf/mmap-go"
)

// mapPrivate maps the first size bytes of f copy-on-write.
func mapPrivate(f *os.File, size int) (data []byte, unmap func() error, err error) {
	m, err := mmap.MapRegion(f, size, mmap.COPY, 0, 0)
	if err != nil {
		return nil, nil, err
	}
	return m, m.Unmap, nil
}
