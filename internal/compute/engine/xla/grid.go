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

// long returns how many places a sequence has where sequences are laid out beside each other: of a batch the longest decides, so the steps
// are coarser than those of rows: a power of two or one and a half of it, and 64 from 256 on.
func long(n int) int {
	if n > 256 {
		return (n + 63) / 64 * 64
	}
	if n == 0 {
		return 0
	}
	p := 1
	for n > p*3/2 {
		p *= 2
	}
	if n > p {
		return p * 3 / 2
	}
	return p
}
