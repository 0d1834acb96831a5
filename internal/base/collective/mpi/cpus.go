//go:build mpi && linux

package mpi

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// CPUs returns the processors that this process may run on, and the number of those that its launcher may: a launcher binds ranks, not itself.
func CPUs() (own []int, launcher int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil, 0
	}
	for cpu := range 64 * len(set) {
		if set.IsSet(cpu) {
			own = append(own, cpu)
		}
	}
	launcher = len(own)
	for pid := range ancestors("/proc") {
		n, err := strconv.Atoi(pid)
		if err == nil && unix.SchedGetaffinity(n, &set) == nil {
			launcher = max(launcher, set.Count())
		}
	}
	return own, launcher
}
