package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"unsafe"
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
// fail; see [Guard]. Our own writers replace files by renaming and never shorten them.
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
		return nil, inFile(f.Name(), errNotRegular)
	}
	size := st.Size()
	if size > math.MaxInt {
		return nil, inFile(f.Name(), fmt.Errorf("%d bytes do not fit the address space", size))
	}
	if size > 0 { // an empty region cannot be mapped
		if data, unmap, err := mapPrivate(f, int(size)); err == nil {
			m := &mapping{data, f, unmap}
			regions.add(data, f.Name())
			return m, nil
		}
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, size), data); err != nil {
		return nil, inFile(f.Name(), err)
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
	regions.close(m.data)
	m.data, m.file, m.unmap = nil, nil, nil
	if unmap == nil {
		return nil
	}
	return errors.Join(unmap(), file.Close())
}

// regions knows which file lies where in memory. Those that are closed are remembered for a while: a panic closes what
// it passes on its way to [Guard].
var regions mappedRegions

type mappedRegions struct {
	mu   sync.Mutex
	list []mappedRegion
}

type mappedRegion struct {
	start, size uintptr
	path        string
	closed      bool
}

// keptRegions is how many regions are known before those that are closed are forgotten.
const keptRegions = 64

func startOf(data []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(data))) }

func (r *mappedRegions) add(data []byte, path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) >= keptRegions {
		r.list = slices.DeleteFunc(r.list, func(m mappedRegion) bool { return m.closed })
	}
	r.list = append(r.list, mappedRegion{startOf(data), uintptr(len(data)), path, false})
}

func (r *mappedRegions) close(data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.list {
		if m := &r.list[i]; m.start == startOf(data) {
			m.closed = true
		}
	}
}

// at returns the file that lies at an address, the newest if it was used again.
func (r *mappedRegions) at(address uintptr) (path string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range slices.Backward(r.list) {
		if m.start <= address && address-m.start < m.size {
			return m.path, true
		}
	}
	return "", false
}

// Guard calls work, which may read the mapped files of open readers. Where a page is gone, because the
// file was shortened meanwhile or the disk failed, the access would end the program; under Guard it
// becomes a [*FileError]. What work was computing is of no use then. It holds for the goroutine that
// calls it.
//
//	err := checkpoint.Guard(func() error { return use(r) })
func Guard(work func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		failure := recover()
		if failure == nil {
			return
		}
		fault, _ := failure.(interface{ Addr() uintptr })
		if fault == nil {
			panic(failure)
		}
		path, ok := regions.at(fault.Addr())
		if !ok {
			panic(failure)
		}
		err = &FileError{File: path, Problem: "cannot be read any more: it was shortened since it was opened, or the disk failed", Remedy: "fetch it again"}
	}()
	return work()
}
