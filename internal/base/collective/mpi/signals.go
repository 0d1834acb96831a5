//go:build mpi && linux

package mpi

import (
	"os"
	"syscall"
	"unsafe"
)

// Gentle are the signals that ask a rank to save and stop, besides those that ask any program: launchers pass them on and do nothing else, whereas at
// the usual ones Open MPI gives its ranks a second.
var Gentle = []os.Signal{syscall.SIGUSR1}

// action is the kernel's struct sigaction, as long as it is on any processor; it is only kept and compared.
type action [8]uint64

const (
	signals    = 64
	maskBytes  = 8 // of a set of signals
	sigActions = syscall.SYS_RT_SIGACTION
)

// actions returns what the process does at each signal.
func actions() (list [signals + 1]action) {
	for s := 1; s <= signals; s++ {
		syscall.RawSyscall6(sigActions, uintptr(s), 0, uintptr(unsafe.Pointer(&list[s])), maskBytes, 0, 0)
	}
	return list
}

// restoreActions puts back what has changed. Libraries replace handlers: UCX that of SIGHUP, MPICH and Intel MPI that of SIGUSR1. They do so without
// SA_ONSTACK, so that theirs would run on a goroutine's small stack, and Go would not hear of the signal.
func restoreActions(before [signals + 1]action) {
	now := actions()
	for s := 1; s <= signals; s++ {
		if now[s] != before[s] {
			syscall.RawSyscall6(sigActions, uintptr(s), uintptr(unsafe.Pointer(&before[s])), 0, maskBytes, 0, 0)
		}
	}
}
