//go:build !amd64

package kernels

// PeakGFLOPs returns 0: without assembly there is no peak to compare with.
func PeakGFLOPs() float64 { return 0 }
