package helper

import (
	"syscall"
	"unsafe"
)

// faultsEnd has the signals of a plugin's faults end the process, as they do in a program of C. Go would write what all goroutines do behind
// what the plugin said.
func faultsEnd() {
	var byDefault [8]uint64 // struct sigaction, as long as it is on any processor
	for _, s := range []syscall.Signal{syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE} {
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
	}
}
