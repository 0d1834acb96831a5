package wire

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// An error of the system's says which limit is to be raised; others stay as they are.
func TestLimited(t *testing.T) {
	for err, want := range map[error]string{
		&os.PathError{Op: "truncate", Path: "unimo-xla", Err: syscall.EFBIG}: "ulimit -f",
		fmt.Errorf("pipe: %w", os.NewSyscallError("pipe2", syscall.EMFILE)):  "ulimit -n",
		syscall.ENOMEM: "ulimit -v",
		syscall.EAGAIN: "ulimit -u",
		syscall.EACCES: "",
		errors.New("another that ends so; raise the limit"): "",
	} {
		got, ok := Limited(err)
		if ok != (want != "") || !errors.Is(got, err) || !strings.HasPrefix(got.Error(), err.Error()) || !ok && got != err || !strings.Contains(got.Error(), want) {
			t.Errorf("%v: %v, %v, want %q", err, got, ok, want)
		}
	}
}
