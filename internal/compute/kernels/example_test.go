package kernels_test

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// An affine layer on a batch of two tokens: y = x·W + b.
func Example() {
	x := []float32{
		1, 2, 3,
		4, 5, 6,
	}
	w := []float32{
		1, 0,
		0, 1,
		1, 1,
	}
	bias := []float32{10, 20}
	y := make([]float32, 4)
	copy(y, bias)
	copy(y[2:], bias)
	kernels.Gemm(y, 2, x, 3, w, 2, 2, 2, 3, kernels.Accumulate)
	fmt.Println(y)
	// Output: [14 25 20 31]
}

// The gradient of the inputs and of the weights of that layer need no copies
// of transposed matrices.
func ExampleGemm_transposed() {
	dy := []float32{1, 0, 0, 1} // 2×2
	x := []float32{1, 2, 3, 4, 5, 6}
	w := []float32{1, 0, 0, 1, 1, 1}
	dx, dw := make([]float32, 6), make([]float32, 6)
	kernels.Gemm(dx, 3, dy, 2, w, 2, 2, 3, 2, kernels.TransB) // dx = dy·Wᵀ
	kernels.Gemm(dw, 2, x, 3, dy, 2, 3, 2, 2, kernels.TransA) // dW = xᵀ·dy
	fmt.Println(dx)
	fmt.Println(dw)
	// Output:
	// [1 0 1 0 1 1]
	// [1 4 2 5 3 6]
}

// A dropout mask is a function of key, stream and the element's index: a part of a
// tensor gets the same mask as in the whole.
func ExampleDropout() {
	x := []float32{1, 1, 1, 1, 1, 1, 1, 1}
	whole, parts := make([]float32, 8), make([]float32, 8)
	kernels.Dropout(whole, x, 0.5, 42, 7, 0, false)
	kernels.Dropout(parts[:3], x[:3], 0.5, 42, 7, 0, false)
	kernels.Dropout(parts[3:], x[3:], 0.5, 42, 7, 3, false)
	fmt.Println(whole)
	fmt.Println(parts)
	// Output:
	// [0 2 0 0 2 0 2 0]
	// [0 2 0 0 2 0 2 0]
}
