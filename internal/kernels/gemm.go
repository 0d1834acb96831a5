package kernels

import "github.com/unimo-go/unimo/internal/parallel"

// GemmFlags modify a product.
type GemmFlags uint8

const (
	TransA     GemmFlags = 1 << iota // A is stored transposed, k×m
	TransB                           // B is stored transposed, n×k
	Accumulate                       // add to C instead of overwriting it
)

// gemmTile will describe the micro-kernel.
type gemmTile struct{}

func Gemm(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags) {
	parallel.For(m, func(i int) {
		gemmRow(c, ldc, a, lda, b, ldb, i, n, k, flags)
	})
}

func GemmSerial(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags) {
	for i := range m {
		gemmRow(c, ldc, a, lda, b, ldb, i, n, k, flags)
	}
}

func gemmRow(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, i, n, k int, flags GemmFlags) {
	row := c[i*ldc : i*ldc+n]
	if flags&Accumulate == 0 {
		clear(row)
	}
	for p := range k {
		var v float32
		if flags&TransA != 0 {
			v = a[p*lda+i]
		} else {
			v = a[i*lda+p]
		}
		if flags&TransB != 0 {
			for j := range row {
				row[j] += v * b[j*ldb+p]
			}
		} else {
			axpyGeneric(row, v, b[p*ldb:p*ldb+n])
		}
	}
}
