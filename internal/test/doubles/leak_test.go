package doubles

import (
	"testing"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// Workers are not counted, and other goroutines are.
func TestGoroutines(t *testing.T) {
	before, _ := goroutines()
	threads := parallel.Threads()
	parallel.SetThreads(4)
	defer parallel.SetThreads(threads)
	parallel.For(4, func(int) {})
	if n, stacks := goroutines(); n != before {
		t.Errorf("%d goroutines before workers, %d with them:\n%s", before, n, stacks)
	}
	end, ended := make(chan bool), make(chan bool)
	go func() { <-end; close(ended) }()
	if n, stacks := goroutines(); n != before+1 {
		t.Errorf("%d goroutines before, %d with one more:\n%s", before, n, stacks)
	}
	close(end)
	<-ended
}
