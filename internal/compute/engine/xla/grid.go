package xla

import "math/bits"

// grid returns how many rows a tensor of n rows has in the device's memory: batches of different sizes then share a program. Up to
// 8 rows there are none more; then the steps are a quarter of the power of two below, so 1024 from 4096 on.
func grid(n int) int {
	if n <= 8 {
		return n
	}
	step := 1 << min(bits.Len(uint(n-1))-3, 10)
	return (n + step - 1) / step * step
}
