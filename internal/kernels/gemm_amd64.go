package kernels

// tileFunction is a micro-kernel in assembly for one height and width.
type tileFunction func(a *float32, aRow, aCol int, b *float32, bRow int, c *float32, ldc, cols, k int, add *float32, addRow int)

// Up to these sizes a matrix is read where it is. For 26×768×768 that
// reaches 93 % of the peak and packing 76 %, for 416×768×768 it is 94 and 89 %; with
// 416×3072×768, where rows of B are 12 KiB apart, 84 and 88 %.
const (
	directRows = 512
	directCols = 768
)

var gemmAVX512 = gemmTile{
	rows:       12,
	cols:       32,
	balanced:   true,
	directRows: directRows,
	directCols: directCols,
	compute:    gemmTileAVX512,
	copyRows: func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
		inside(dst, dstStride, rows, cols)
		inside(src, srcStride, rows, cols)
		copyRowsAVX512(&dst[0], dstStride, &src[0], srcStride, rows, cols)
	},
	transpose: func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
		inside(dst, dstStride, cols, rows)
		inside(src, srcStride, rows, cols)
		for r := 0; r < rows; r += 16 {
			transposeAVX512(&dst[r], dstStride, &src[r*srcStride], srcStride, min(16, rows-r), cols)
		}
	},
}

// tilesAVX512 holds the micro-kernels by rows-1 and vectors-1.
var tilesAVX512 = [12][2]tileFunction{
	{gemmTile1x16AVX512, gemmTile1x32AVX512},
	{gemmTile2x16AVX512, gemmTile2x32AVX512},
	{gemmTile3x16AVX512, gemmTile3x32AVX512},
	{gemmTile4x16AVX512, gemmTile4x32AVX512},
	{gemmTile5x16AVX512, gemmTile5x32AVX512},
	{gemmTile6x16AVX512, gemmTile6x32AVX512},
	{gemmTile7x16AVX512, gemmTile7x32AVX512},
	{gemmTile8x16AVX512, gemmTile8x32AVX512},
	{gemmTile9x16AVX512, gemmTile9x32AVX512},
	{gemmTile10x16AVX512, gemmTile10x32AVX512},
	{gemmTile11x16AVX512, gemmTile11x32AVX512},
	{gemmTile12x16AVX512, gemmTile12x32AVX512},
}

func gemmTileAVX512(a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols, k int, add []float32, addRow int) {
	old := checkTile(a, aRow, aCol, b, bRow, c, ldc, rows, cols, k, add, addRow)
	tilesAVX512[rows-1][(cols-1)/16](&a[0], aRow, aCol, &b[0], bRow, &c[0], ldc, cols, k, old, addRow)
}

var gemmAVX2 = gemmTile{
	rows:       6,
	cols:       16,
	balanced:   true,
	directRows: directRows,
	directCols: directCols,
	compute:    gemmTileAVX2,
	copyRows: func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
		inside(dst, dstStride, rows, cols)
		inside(src, srcStride, rows, cols)
		if dstStride < minStrideAVX2 {
			copyRowsGeneric(dst, dstStride, src, srcStride, rows, cols)
			return
		}
		copyRowsAVX2(&dst[0], dstStride, &src[0], srcStride, rows, cols)
	},
	transpose: func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
		inside(dst, dstStride, cols, rows)
		inside(src, srcStride, rows, cols)
		if dstStride < minStrideAVX2 {
			transposeGeneric(dst, dstStride, src, srcStride, rows, cols)
			return
		}
		for r := 0; r < rows; r += 8 {
			transposeAVX2(&dst[r], dstStride, &src[r*srcStride], srcStride, min(8, rows-r), cols)
		}
	},
}

// minStrideAVX2 is what the copies of AVX2 need between rows: they store whole vectors,
// of which no more than half may spill into the next row.
const minStrideAVX2 = 4

// tilesAVX2 holds the micro-kernels by rows-1: for one vector, for two that
// are not full, and for two full ones.
var tilesAVX2 = [6][3]tileFunction{
	{gemmTile1x8EdgeAVX2, gemmTile1x16EdgeAVX2, gemmTile1x16AVX2},
	{gemmTile2x8EdgeAVX2, gemmTile2x16EdgeAVX2, gemmTile2x16AVX2},
	{gemmTile3x8EdgeAVX2, gemmTile3x16EdgeAVX2, gemmTile3x16AVX2},
	{gemmTile4x8EdgeAVX2, gemmTile4x16EdgeAVX2, gemmTile4x16AVX2},
	{gemmTile5x8EdgeAVX2, gemmTile5x16EdgeAVX2, gemmTile5x16AVX2},
	{gemmTile6x8EdgeAVX2, gemmTile6x16EdgeAVX2, gemmTile6x16AVX2},
}

func gemmTileAVX2(a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols, k int, add []float32, addRow int) {
	old := checkTile(a, aRow, aCol, b, bRow, c, ldc, rows, cols, k, add, addRow)
	tilesAVX2[rows-1][(cols-1)/8+cols/16](&a[0], aRow, aCol, &b[0], bRow, &c[0], ldc, cols, k, old, addRow)
}

// checkTile touches the last elements that the assembly will touch: a mistake
// in the blocking becomes a Go panic instead of a stray write. It returns the address of add.
func checkTile(a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols, k int, add []float32, addRow int) *float32 {
	_ = a[(rows-1)*aRow+(k-1)*aCol]
	inside(b, bRow, k, cols)
	inside(c, ldc, rows, cols)
	if add == nil {
		return nil
	}
	inside(add, addRow, rows, cols)
	return &add[0]
}

// inside touches the last element of a matrix.
func inside(x []float32, stride, rows, cols int) { _ = x[(rows-1)*stride+cols-1] }
