package regions

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// release takes pages that were read out of the process; they stay in the system's
// cache. Without it a file that is read through would count as memory of the process
// until the system needs the room.
func release(data []byte) {
	page := os.Getpagesize()
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(data)))) & (page - 1)
	if n := (len(data) - skip) / page * page; n > 0 {
		_ = unix.Madvise(data[skip:skip+n], unix.MADV_DONTNEED)
	}
}
