package pjrt

import (
	"os"
	"os/exec"
	"syscall"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

func socketPair() (own wire.Socket, other int, err error) {
	syscall.ForkLock.RLock() // a program that is started meanwhile does not get them
	defer syscall.ForkLock.RUnlock()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}
	return wire.Socket(pair[0]), pair[1], err
}

// sharedFile is a file that has lost its name: nothing of it is left when both programs have ended, however they do.
func sharedFile(size int) (*os.File, error) {
	f, err := os.CreateTemp("", "unimo-xla")
	if err != nil {
		return nil, err
	}
	if err = os.Remove(f.Name()); err == nil {
		err = f.Truncate(int64(size))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// dieTogether does nothing here: a program ends by itself when its connection does.
func dieTogether(*exec.Cmd) {}
