// Package mpi is the group of the processes that an MPI launcher started: mpirun, mpiexec, srun.
//
//	group, err := mpi.Join(mpi.Options{Launch: mpi.Launched(os.Getenv), Expired: end})
//	group.AllGather(mine, all)
//	group.Close()
//
// The library is found and loaded at run time, without cgo; with that the program needs the system's loader. So the binding is compiled with
// the build tag mpi alone, on Linux. Without it [Join] says so, and everything else here is the same:
//
//	launch.go     who started this process, by its environment
//	group.go      the operations: large ones in pieces, a watchdog over each
//	launcher.go   its processes on this host: what is done when they are gone, or stay
//	find.go       which files may be the library
//	processes_linux.go  who started this process, and who beside it
//	abi.go        the three binary interfaces that libraries have
//	library.go    the library itself
//	signals.go    what it does to signals, undone
//
// An operation's memory is Go's. It does not move, and it is held until the operation is done.
package mpi
