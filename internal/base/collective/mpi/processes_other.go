//go:build !linux

package mpi

// FirstRuns says whether the first process of this host is still there; false where that is not known.
func FirstRuns(Launch) bool { return false }
