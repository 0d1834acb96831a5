//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package atomicfile

import (
	"errors"
	"os"
)

// tryLock has no locks on this system.
func tryLock(*os.File) error { return errors.ErrUnsupported }
