package cpu

import (
	"testing"
	"unsafe"
)

func TestFloats(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 1000, 1 << 19, 1<<20 + 1, 3 << 20} {
		x := Floats(n)
		if len(x) != n || cap(x) != n {
			t.Fatalf("%d elements: length %d, capacity %d", n, len(x), cap(x))
		}
		if uintptr(unsafe.Pointer(unsafe.SliceData(x)))%(4*Line) != 0 {
			t.Errorf("%d elements do not begin on a cache line", n)
		}
		for i, v := range x {
			if v != 0 {
				t.Fatalf("%d elements: element %d is %g", n, i, v)
			}
			x[i] = 1 // all of it may be written
		}
	}
}
