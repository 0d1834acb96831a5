package kernels

import "fmt"

// TransposeWidth is what the rows of the result of [Transpose] are rounded up to.
const TransposeWidth = 16

// Transpose copies a matrix of rows×cols into its transpose,
//
//	dst[c*ldDst+r] = src[r*ldSrc+c]
//
// for products that read B many times. Every row of dst is as long as the next
// multiple of [TransposeWidth], and what stands there past the matrix is undefined. The
// matrices do not overlap. It panics with an [ArgumentError] if a leading dimension or a slice is too short.
func Transpose(dst []float32, ldDst int, src []float32, ldSrc, rows, cols int) {
	if min(rows, cols) < 0 {
		panic(&ArgumentError{"Transpose", fmt.Sprintf("negative size: %d×%d", rows, cols)})
	}
	if rows == 0 || cols == 0 {
		return
	}
	checkMatrix("Transpose", "dst", len(dst), ldDst, cols, (rows+TransposeWidth-1)/TransposeWidth*TransposeWidth)
	checkMatrix("Transpose", "src", len(src), ldSrc, rows, cols)
	active().gemm.transpose(dst, ldDst, src, ldSrc, rows, cols)
}
