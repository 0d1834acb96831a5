//go:build !linux

package regions

// release would take pages out of the process: see release_linux.go.
func release([]byte) {}

// jumpy would tell the system how a mapping will be read: see release_linux.go.
func jumpy([]byte, bool) {}
