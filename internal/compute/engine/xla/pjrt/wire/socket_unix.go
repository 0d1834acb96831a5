//go:build linux || darwin

package wire

import (
	"io"

	"golang.org/x/sys/unix"
)

// Socket is one end of a pair of them. It blocks: a round trip takes half the time that it takes through Go's poller.
type Socket int

func (s Socket) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(s), p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (s Socket) Write(p []byte) (written int, err error) {
	for written < len(p) {
		n, err := unix.Write(int(s), p[written:])
		if err != nil && err != unix.EINTR {
			return written, err
		}
		written += max(n, 0)
	}
	return written, nil
}

// Shutdown ends what both sides wait for.
func (s Socket) Shutdown() { unix.Shutdown(int(s), unix.SHUT_RDWR) }

func (s Socket) Close() error { return unix.Close(int(s)) }

// Open says whether it is a socket, and keeps it from programs that are started.
func (s Socket) Open() bool {
	_, err := unix.GetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_TYPE)
	unix.CloseOnExec(int(s))
	return err == nil
}

// AwaitHangup returns when the other end is closed.
func (s Socket) AwaitHangup() {
	list := []unix.PollFd{{Fd: int32(s)}}
	for {
		if n, err := unix.Poll(list, -1); n > 0 || err != nil && err != unix.EINTR {
			return
		}
	}
}

// Share maps a file into memory.
func Share(file, size int) ([]byte, error) {
	return unix.Mmap(file, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// Unshare ends what Share began.
func Unshare(shared []byte) error { return unix.Munmap(shared) }
