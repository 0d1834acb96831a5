package pjrt

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

func socketPair() (own wire.Socket, other int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	return wire.Socket(pair[0]), pair[1], err
}

// sharedFile is memory without a name: nothing of it is left when both programs have ended, however they do.
func sharedFile(size int) (*os.File, error) {
	fd, err := unix.MemfdCreate("unimo-xla", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "unimo-xla")
	if err := f.Truncate(int64(size)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// dieTogether has a program end when the thread that starts it does, also where it is stopped and cannot end by itself.
func dieTogether(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
