//go:build linux || darwin

// Command unimo-xla loads a PJRT plugin, with which an accelerator computes, and does what unimo tells it. unimo starts it where --device asks.
package main

import (
	"fmt"
	"os"

	"github.com/unimo-go/unimo/cmd/unimo-xla/capi"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/helper"
)

func main() {
	if err := helper.Run(new(capi.Plugin)); err != nil {
		fmt.Fprintln(os.Stderr, "unimo-xla:", err)
		os.Exit(1)
	}
}
