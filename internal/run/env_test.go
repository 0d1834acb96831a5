package run

import (
	"testing"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// A bound of threads is of one piece of work, not of the process: two models of a server have two.
func TestThreadsAreBoundedForEachWork(t *testing.T) {
	before := parallel.Threads()
	if before < 2 {
		parallel.SetThreads(3)
		t.Cleanup(func() { parallel.SetThreads(before) })
	}
	all := parallel.Threads()
	one, two, free := Env{Threads: 1}.Ready(), Env{Threads: 2}.Ready(), Env{}.Ready()
	for want, e := range map[int]*Env{1: one, 2: two, all: free} {
		if got := e.Device.Limit().Threads(); got != want {
			t.Errorf("a bound of %d: %d threads, want %d", e.Threads, got, want)
		}
	}
	if got := parallel.Threads(); got != all {
		t.Errorf("the process has %d threads now, before %d", got, all)
	}
}
