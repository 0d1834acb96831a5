package kernels

var gemmNEON = gemmTile{
	rows:      6,
	cols:      16,
	lanes:     4,
	balanced:  true,
	readsRows: true,
	compute:   gemmTileNEON,
	copyRows: func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
		inside(dst, dstStride, rows, cols)
		inside(src, srcStride, rows, cols)
		copyRowsGeneric(dst, dstStride, src, srcStride, rows, cols)
	},
	transpose: func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
		inside(dst, dstStride, cols, rows)
		inside(src, srcStride, rows, cols)
		for r := 0; r < rows; r += 4 {
			transposeNEON(&dst[r], dstStride, &src[r*srcStride], srcStride, min(4, rows-r), cols)
		}
	},
}

// tilesNEON holds the micro-kernels by rows-1 and vectors-1.
var tilesNEON = [6][4]tileFunction{
	{gemmTile1x4NEON, gemmTile1x8NEON, gemmTile1x12NEON, gemmTile1x16NEON},
	{gemmTile2x4NEON, gemmTile2x8NEON, gemmTile2x12NEON, gemmTile2x16NEON},
	{gemmTile3x4NEON, gemmTile3x8NEON, gemmTile3x12NEON, gemmTile3x16NEON},
	{gemmTile4x4NEON, gemmTile4x8NEON, gemmTile4x12NEON, gemmTile4x16NEON},
	{gemmTile5x4NEON, gemmTile5x8NEON, gemmTile5x12NEON, gemmTile5x16NEON},
	{gemmTile6x4NEON, gemmTile6x8NEON, gemmTile6x12NEON, gemmTile6x16NEON},
}

func gemmTileNEON(t *tileArgs) {
	vectors := (t.cols-1)/4 + 1
	checkTile(t, 4*vectors)
	tilesNEON[t.rows-1][vectors-1](t)
}
