package kernels

import (
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/parallel"
)

// peakGFLOPs measures what the processor's FMA units do on as many threads as
// the package parallel has, with the active instruction set. It returns 0 for plain Go, which has no
// peak to compare with.
func peakGFLOPs() float64 {
	const n = 100000
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
	for range 20 { // the best: others use the machine as well
		start := time.Now()
		parallel.For(parallel.Threads(), func(int) { loop(n) })
		best = max(best, work*n*float64(parallel.Threads())/float64(time.Since(start).Nanoseconds()))
	}
	return best
}

// reportFLOPs reports the speed of a benchmark whose iterations take flops
// operations each.
func reportFLOPs(b *testing.B, flops float64) {
	speed := flops * float64(b.N) / float64(b.Elapsed().Nanoseconds())
	b.ReportMetric(speed, "GFLOP/s")
	if peak := peakGFLOPs(); peak > 0 {
		b.ReportMetric(100*speed/peak, "%peak")
	}
}
