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
