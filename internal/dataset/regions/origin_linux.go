package regions

import (
	"io/fs"
	"syscall"
)

// changed returns when the file's content or name last changed, in nanoseconds since 1970; 0 if it is not known.
func changed(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ctim.Nano()
	}
	return 0
}
