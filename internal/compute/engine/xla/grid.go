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
// are coarser than those of rows, powers of two and from 128 on 64. It costs attention's part only, which is small where sequences are short.
func long(n int) int {
	switch {
	case n == 0:
		return 0
	case n > 128:
		return (n + 63) / 64 * 64
	}
	return 1 << bits.Len(uint(n-1))
}
