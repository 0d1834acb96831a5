package kernels

import "fmt"

// ArgumentError is what a kernel panics with when its arguments do not fit
// each other: a mistake of the caller, found before anything is written.
type ArgumentError struct {
	Kernel string // the function's name
	Detail string // what does not fit
}

func (e *ArgumentError) Error() string { return "kernels." + e.Kernel + ": " + e.Detail }

// check panics unless ok. It is for rarely called functions, because its
// arguments are built in every case.
func check(ok bool, kernel, format string, args ...any) {
	if !ok {
		panic(&ArgumentError{kernel, fmt.Sprintf(format, args...)})
	}
}

// sameLen panics unless both lengths are equal.
func sameLen(kernel, name1 string, len1 int, name2 string, len2 int) {
	if len1 != len2 {
		panic(&ArgumentError{kernel, fmt.Sprintf("%s has %d elements, %s %d", name1, len1, name2, len2)})
	}
}

// inside touches the last element of a matrix.
func inside(x []float32, stride, rows, cols int) { _ = x[(rows-1)*stride+cols-1] }
