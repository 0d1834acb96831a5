// Command unimo-xla loads a PJRT plugin, with which an accelerator computes, and does what unimo tells it. unimo starts it where --device asks.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/unimo-go/unimo/cmd/unimo-xla/capi"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/helper"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

// What unimo passes on: a pair of sockets' other end, and a file that is the memory of both.
const (
	socket = 3
	memory = 4
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "unimo-xla:", err)
		os.Exit(1)
	}
}

func serve() error {
	socket := wire.Socket(socket)
	if !socket.Open() {
		return errors.New("unimo starts this program, where --device asks for an accelerator")
	}
	// Ctrl-C goes to all programs of a terminal. unimo still needs this one then, to save; it ends when unimo does.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		socket.AwaitHangup() // also while a plugin computes for long
		os.Exit(0)
	}()
	share := func(size int) ([]byte, error) { return wire.Share(memory, size) }
	return helper.Serve(socket, share, new(capi.Plugin))
}
