// Package cli is the unimo command: flags, help, output and exit codes.
//
// It is the top layer and holds no logic of its own: a file per command parses
// what the user said, calls the packages below, and prints. Results go to
// standard output (with --json: one object on one line), everything else (logs,
// progress, hints) to standard error.
//
// Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.
package cli
