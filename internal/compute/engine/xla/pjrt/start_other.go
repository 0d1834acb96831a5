//go:build !linux && !darwin

package pjrt

import (
	"errors"
	"runtime"
)

// Start starts a helper program and has it load a plugin.
func Start(Options) (*Client, error) {
	return nil, errors.New("accelerators are for Linux and macOS; on " + runtime.GOOS + " there is the processor alone")
}
