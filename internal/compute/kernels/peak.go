package kernels

import (
	"time"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// PeakGFLOPs measures what the processor's FMA units do, in 10⁹ operations a
// second, on as many threads as the package parallel has, with the active
// instruction set. It takes some twenty milliseconds and returns 0 for plain Go,
// which has no peak to compare with. It is for benchmarks.
func PeakGFLOPs() float64 {
	impl := active()
	if impl.peak == nil {
		return 0
	}
	const n = 1000000 // milliseconds, beside which the waking of a thread is nothing
	best := 0.0
	for range 5 { // the best: others use the machine as well
		start := time.Now()
		parallel.For(parallel.Threads(), func(int) { impl.peak(n) })
		best = max(best, impl.peakWork*n*float64(parallel.Threads())/float64(time.Since(start).Nanoseconds()))
	}
	return best
}
