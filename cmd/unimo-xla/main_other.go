//go:build !linux && !darwin

package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintln(os.Stderr, "unimo-xla: accelerators are for Linux and macOS; on "+runtime.GOOS+" there is the processor alone")
	os.Exit(1)
}
