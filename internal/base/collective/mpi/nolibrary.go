//go:build !mpi || !linux

package mpi

// Built says whether this program can load an MPI library.
const Built = false

func open(o Options) (library, error) {
	return nil, usef("%s started this process as one of several, and this program has no MPI: start unimo-mpi, which is built with go build -tags mpi on Linux", o.Launch.Launcher)
}
