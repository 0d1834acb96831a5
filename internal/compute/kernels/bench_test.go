package kernels

import "testing"

// reportFLOPs reports the speed of a benchmark whose iterations take flops
// operations each.
func reportFLOPs(b *testing.B, flops float64) {
	speed := flops * float64(b.N) / float64(b.Elapsed().Nanoseconds())
	b.ReportMetric(speed, "GFLOP/s")
	if peak := PeakGFLOPs(); peak > 0 {
		b.ReportMetric(100*speed/peak, "%peak")
	}
}
