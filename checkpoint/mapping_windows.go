package checkpoint

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// mapPrivate maps the first size bytes of f copy-on-write.
//
// It does not use mmap-go, whose Unmap flushes the file first: that needs write
// access and a file still open, and a private mapping has nothing to flush.
func mapPrivate(f *os.File, size int) (data []byte, unmap func() error, err error) {
	high, low := uint32(uint64(size)>>32), uint32(size)
	h, err := windows.CreateFileMapping(windows.Handle(f.Fd()), nil, windows.PAGE_WRITECOPY, high, low, nil)
	if err != nil {
		return nil, nil, os.NewSyscallError("CreateFileMapping", err)
	}
	defer windows.CloseHandle(h) // the view keeps the mapping alive
	addr, err := windows.MapViewOfFile(h, windows.FILE_MAP_COPY, 0, 0, uintptr(size))
	if err != nil {
		return nil, nil, os.NewSyscallError("MapViewOfFile", err)
	}
	// The address is not Go memory; reading it through a pointer to the variable
	// keeps vet from taking it for a forged pointer.
	data = unsafe.Slice(*(**byte)(unsafe.Pointer(&addr)), size)
	return data, func() error { return os.NewSyscallError("UnmapViewOfFile", windows.UnmapViewOfFile(addr)) }, nil
}
