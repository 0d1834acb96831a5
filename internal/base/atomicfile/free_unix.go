//go:build darwin || freebsd || linux

package atomicfile

import (
	"math"

	"golang.org/x/sys/unix"
)

func free(dir string) (int64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil || s.Bsize <= 0 || s.Blocks == 0 { // some file systems count nothing
		return 0, false
	}
	// The fields' types differ between systems.
	return int64(min(float64(s.Bavail)*float64(s.Bsize), math.MaxInt64/2)), true
}
