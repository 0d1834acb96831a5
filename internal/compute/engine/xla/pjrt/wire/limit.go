package wire

import (
	"errors"
	"fmt"
	"syscall"
)

// limits are the system's, by the errors of what they refuse.
var limits = map[syscall.Errno]string{
	syscall.EFBIG:  "files may be too small here; raise the limit (ulimit -f)",
	syscall.EMFILE: "too few files may be open here; raise the limit (ulimit -n)",
	syscall.ENFILE: "the system has too many open files; end other programs",
	syscall.ENOMEM: "too little memory may be used here; raise the limit (ulimit -v, or that of the container), or end other programs",
	syscall.EAGAIN: "too few processes may run here; raise the limit (ulimit -u, or that of the container), or end other programs",
}

// Limited adds to an error of the system's which limit it is about, and says whether it is about one.
func Limited(err error) (error, bool) {
	if errno, ok := errors.AsType[syscall.Errno](err); ok && limits[errno] != "" {
		return fmt.Errorf("%w: %s", err, limits[errno]), true
	}
	return err, false
}
