//go:build linux || darwin

package pjrt

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

// Start starts a helper program and has it load a plugin.
func Start(o Options) (*Client, error) {
	path, _, err := FindHelper(o.Helper)
	if err != nil {
		return nil, err
	}
	return startCommand(exec.Command(path), o)
}

func startCommand(cmd *exec.Cmd, o Options) (_ *Client, err error) {
	failed := func(what string, err error) error {
		err, _ = wire.Limited(err)
		return fmt.Errorf("start unimo-xla: %s: %w", what, err)
	}
	own, other, err := socketPair()
	if err != nil {
		return nil, failed("a pair of sockets", err)
	}
	theirs := os.NewFile(uintptr(other), "socket")
	defer theirs.Close()
	file, err := sharedFile(sharedSize)
	if err != nil {
		own.Close()
		return nil, failed("shared memory", err)
	}
	defer file.Close()
	shared, err := wire.Share(int(file.Fd()), sharedSize)
	if err != nil {
		own.Close()
		return nil, failed("shared memory", err)
	}
	cmd.ExtraFiles = []*os.File{theirs, file} // 3 and 4 there
	dieTogether(cmd)
	helper, err := start(cmd, o.Log)
	if err != nil {
		own.Close()
		wire.Unshare(shared)
		return nil, noProgram(cmd.Path, err)
	}
	theirs.Close()
	c := &Client{conn: own, in: wire.NewReader(own), shared: shared, helper: helper, buffers: map[Buffer]buffer{}, executables: map[Executable]executable{},
		context: o.Context, patience: o.Patience}
	err = c.greeted(cmd.Path)
	if err == nil {
		err = c.open(o)
	}
	if err == nil && o.Context != nil && o.Context.Err() != nil { // it had ended, and the helper program was faster
		err = &EndedError{Err: o.Context.Err()}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
