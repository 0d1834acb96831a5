package cpu

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// advise asks the system for pages of 2 MiB instead of 4 KiB: a training step of the
// base model reads and writes some 3 GB, a page after the other. Where they are
// not to be had nothing changes.
func advise(x []float32) {
	const page = 2 << 20
	memory := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(x))) & (page - 1))
	if n := (len(memory) - skip) / page * page; n > 0 {
		_ = unix.Madvise(memory[skip:skip+n], unix.MADV_HUGEPAGE)
	}
}
