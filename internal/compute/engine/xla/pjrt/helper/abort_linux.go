package helper

import (
	"syscall"
	"unsafe"
)

// abortEnds has SIGABRT end the process, as it does in a program of C. Go would write what all goroutines do behind what the plugin said.
func abortEnds() {
	var byDefault [8]uint64 // struct sigaction, as long as it is on any processor
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGABRT), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
}
