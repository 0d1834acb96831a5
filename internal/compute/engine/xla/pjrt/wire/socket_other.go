//go:build !linux && !darwin

package wire

import "errors"

// Socket is one end of a pair of them; there is none here.
type Socket int

func (Socket) Read([]byte) (int, error)  { return 0, errors.ErrUnsupported }
func (Socket) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }
func (Socket) Shutdown()                 {}
func (Socket) Close() error              { return errors.ErrUnsupported }
func (Socket) Open() bool                { return false }
func (Socket) AwaitHangup()              {}

// Share maps a file into memory.
func Share(int, int) ([]byte, error) { return nil, errors.ErrUnsupported }

// Unshare ends what Share began.
func Unshare([]byte) error { return nil }
