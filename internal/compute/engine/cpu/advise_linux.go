package cpu

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// advise asks the system for pages of 2 MiB instead of 4 KiB: a training step of the
// base model reads and writes some 3 GB, a page after the other. Where they are
// not to be had nothing changes.
func advise(x []float32) {
	adviseOn(x, 2<<20, unix.MADV_HUGEPAGE)
}

// adviseSparse asks for pages of 4 KiB, where few of them will be touched.
func adviseSparse(x []float32) { adviseOn(x, 4<<10, unix.MADV_NOHUGEPAGE) }

// adviseOn gives an advice for the whole pages of x.
func adviseOn(x []float32, page, advice int) {
	memory := bytesOf(x)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(x))) & uintptr(page-1))
	if n := (len(memory) - skip) / page * page; n > 0 {
		_ = unix.Madvise(memory[skip:skip+n], advice)
	}
}
