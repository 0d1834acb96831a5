//go:build unix

package infile

import "syscall"

// nonBlocking lets the opening of a pipe return at once. It changes nothing for regular files.
const nonBlocking = syscall.O_NONBLOCK
