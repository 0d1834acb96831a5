package doubles

import (
	"bytes"
	"runtime"
	"testing"
	"time"
)

// NoLeak fails a test that leaves goroutines behind, but for the workers of package parallel, which stay.
func NoLeak(t *testing.T) {
	t.Helper()
	before, _ := goroutines()
	t.Cleanup(func() {
		n, stacks := goroutines()
		for range 200 {
			if n <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
			n, stacks = goroutines()
		}
		t.Errorf("%d goroutines before, %d after:\n%s", before, n, stacks)
	})
}

// goroutines counts those that are no workers, and returns the stacks of all.
func goroutines() (n int, stacks []byte) {
	stacks = make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for one := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if !bytes.Contains(one, []byte("internal/base/parallel.(*workers)")) {
			n++
		}
	}
	return n, stacks
}
