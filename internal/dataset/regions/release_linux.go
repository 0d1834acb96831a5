package regions

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// release takes the pages of a part of a mapped file out of the process; they stay in the
// system's cache, and are there again when they are touched. Without it a file that is
// read through would count as memory of the process until the system needs the room.
func release(part []byte) {
	if len(part) == 0 {
		return
	}
	// The first and the last page are whole pages of the mapping, too.
	before := int(uintptr(unsafe.Pointer(&part[0]))) & (os.Getpagesize() - 1)
	begin := (*byte)(unsafe.Add(unsafe.Pointer(&part[0]), -before))
	_ = unix.Madvise(unsafe.Slice(begin, before+len(part)), unix.MADV_DONTNEED)
}

// jumpy tells the system that a mapping will be read here and there, so that it does not
// read ahead, or, if false, that it will be read in larger parts.
func jumpy(data []byte, jumps bool) {
	advice := unix.MADV_NORMAL
	if jumps {
		advice = unix.MADV_RANDOM
	}
	if len(data) > 0 {
		_ = unix.Madvise(data, advice)
	}
}
