package kernels

var gemmAVX512 = gemmTile{
	rows:     14,
	cols:     32,
	lanes:    16,
	wideRows: 2,
	balanced: true,
	compute:  gemmTileAVX512,
	turned: []turnedTile{
		{32, gemmTurned1x32AVX512},
		{32, gemmTurned2x32AVX512},
		{32, gemmTurned3x32AVX512},
		{32, gemmTurned4x32AVX512},
		{16, gemmTurned5x16AVX512},
		{16, gemmTurned6x16AVX512},
		{16, gemmTurned7x16AVX512},
		{16, gemmTurned8x16AVX512},
		{16, gemmTurned9x16AVX512},
		{16, gemmTurned10x16AVX512},
		{16, gemmTurned11x16AVX512},
		{16, gemmTurned12x16AVX512},
		{16, gemmTurned13x16AVX512},
		{16, gemmTurned14x16AVX512},
	},
	readsLines: true,
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

// checkWideTile does so for a tile of twice so many columns.
func checkWideTile(t *tileArgs, half int) {
	checkTile(t, half)
	inside(t.b[t.bHalf:], t.bRow, t.k, half)
}

// tilesAVX512 holds the micro-kernels by rows-1 and vectors-1.
var tilesAVX512 = [14][2]tileFunction{
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
	{gemmTile13x16AVX512, gemmTile13x32AVX512},
	{gemmTile14x16AVX512, gemmTile14x32AVX512},
}

// wideTilesAVX512 are those of 64 columns, by rows-1.
var wideTilesAVX512 = [2]tileFunction{gemmTile1x64AVX512, gemmTile2x64AVX512}

func gemmTileAVX512(t *tileArgs) {
	if t.cols > 32 {
		checkWideTile(t, 32)
		wideTilesAVX512[t.rows-1](t)
		return
	}
	vectors := (t.cols-1)/16 + 1
	checkTile(t, 16*vectors)
	tilesAVX512[t.rows-1][vectors-1](t)
}

var gemmAVX2 = gemmTile{
	rows:     6,
	cols:     16,
	lanes:    8,
	wideRows: 2,
	balanced: true,
	compute:  gemmTileAVX2,
	turned: []turnedTile{
		{32, gemmTurned1x32AVX2},
		{16, gemmTurned2x16AVX2},
		{16, gemmTurned3x16AVX2},
	},
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

// tilesAVX2 holds the micro-kernels by rows-1 and vectors-1.
var tilesAVX2 = [6][2]tileFunction{
	{gemmTile1x8AVX2, gemmTile1x16AVX2},
	{gemmTile2x8AVX2, gemmTile2x16AVX2},
	{gemmTile3x8AVX2, gemmTile3x16AVX2},
	{gemmTile4x8AVX2, gemmTile4x16AVX2},
	{gemmTile5x8AVX2, gemmTile5x16AVX2},
	{gemmTile6x8AVX2, gemmTile6x16AVX2},
}

// wideTilesAVX2 are those of 32 columns, by rows-1.
var wideTilesAVX2 = [2]tileFunction{gemmTile1x32AVX2, gemmTile2x32AVX2}

func gemmTileAVX2(t *tileArgs) {
	if t.cols > 16 {
		checkWideTile(t, 16)
		wideTilesAVX2[t.rows-1](t)
		return
	}
	vectors := (t.cols-1)/8 + 1
	checkTile(t, 8*vectors)
	tilesAVX2[t.rows-1][vectors-1](t)
}
