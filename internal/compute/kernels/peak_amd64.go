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
	const n = 1000000 // milliseconds, beside which the waking of a thread is nothing
	var loop func(n int)
	var work float64 // per iteration
	switch Active() {
	case AVX2:
		loop, work = fmaPeakAVX2, 12*8*2
	case AVX512:
		loop, work = fmaPeakAVX512, 24*16*2
	default:
		return 0
	}
	best := 0.0
	for range 5 { // the best: others use the machine as well
		start := time.Now()
		parallel.For(parallel.Threads(), func(int) { loop(n) })
		best = max(best, work*n*float64(parallel.Threads())/float64(time.Since(start).Nanoseconds()))
	}
	return best
}
