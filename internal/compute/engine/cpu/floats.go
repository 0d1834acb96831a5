package cpu

import "unsafe"

// Line is the alignment of slices of [Floats], in elements: a cache line, which
// is also an AVX-512 register.
const Line = 16

// Floats returns n zeros that begin on a cache line. On Linux they lie, where there are enough of
// them, on pages of 2 MiB; either way the system provides a page when it is first
// touched, and nothing of what never is.
func Floats(n int) []float32 {
	x := make([]float32, n+Line-1)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(x)))/4) & (Line - 1)
	x = x[skip : skip+n : skip+n]
	advise(x)
	return x
}

// bytesOf and halvesOf return the memory of x.
func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

func halvesOf(x []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(x))), 2*len(x))
}
