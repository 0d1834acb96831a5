//go:build !mpi || !linux

package mpi

import "os"

// Built says whether this program can load an MPI library.
const Built = false

// Gentle are the signals that ask a rank to save and stop, besides those that ask any program.
var Gentle []os.Signal

// CPUs returns the processors that this process may run on, and the number of those that its launcher may; nothing where that is not known.
func CPUs() (own []int, launcher int) { return nil, 0 }

// Orphaned returns when the launcher's process on this host is gone.
func Orphaned() { select {} }

// EndLauncher has the launcher that the user started on this host ended, if it is still there a while after this process.
func EndLauncher() {}

func open(o Options) (library, error) {
	return nil, usef("%s started this process as one of several, and this program has no MPI: start unimo-mpi, which is built with go build -tags mpi on Linux", o.Launch.Launcher)
}
