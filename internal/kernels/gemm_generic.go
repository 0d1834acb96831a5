package kernels

// gemmGeneric is the product in plain Go. A tile of 4×4 has 16 sums, which
// compilers keep in registers on processors that have 32 of them. Everything is packed,
// so that the inner loop walks over two contiguous panels.
var gemmGeneric = gemmTile{
	rows:      4,
	cols:      4,
	compute:   gemmTileGeneric,
	copyRows:  copyRowsGeneric,
	transpose: transposeGeneric,
}

func gemmTileGeneric(a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols, k int, add []float32, addRow int) {
	if rows == 4 && cols == 4 && aRow == 1 && aCol == 4 && bRow == 4 {
		gemmTile4x4(a[:4*k], b[:4*k], c, ldc, add, addRow)
		return
	}
	for i := range rows {
		row := c[i*ldc : i*ldc+cols]
		for j := range row {
			var sum float32
			for p := range k {
				sum += a[i*aRow+p*aCol] * b[p*bRow+j]
			}
			if add != nil {
				sum += add[i*addRow+j]
			}
			row[j] = sum
		}
	}
}

func gemmTile4x4(a, b, c []float32, ldc int, add []float32, addRow int) {
	var (
		c00, c01, c02, c03 float32
		c10, c11, c12, c13 float32
		c20, c21, c22, c23 float32
		c30, c31, c32, c33 float32
	)
	for len(a) >= 4 && len(b) >= 4 {
		b0, b1, b2, b3 := b[0], b[1], b[2], b[3]
		a0 := a[0]
		c00 += a0 * b0
		c01 += a0 * b1
		c02 += a0 * b2
		c03 += a0 * b3
		a1 := a[1]
		c10 += a1 * b0
		c11 += a1 * b1
		c12 += a1 * b2
		c13 += a1 * b3
		a2 := a[2]
		c20 += a2 * b0
		c21 += a2 * b1
		c22 += a2 * b2
		c23 += a2 * b3
		a3 := a[3]
		c30 += a3 * b0
		c31 += a3 * b1
		c32 += a3 * b2
		c33 += a3 * b3
		a, b = a[4:], b[4:]
	}
	for i, sums := range [4][4]float32{
		{c00, c01, c02, c03},
		{c10, c11, c12, c13},
		{c20, c21, c22, c23},
		{c30, c31, c32, c33},
	} {
		row := c[i*ldc : i*ldc+4]
		for j := range row {
			if add != nil {
				sums[j] += add[i*addRow+j]
			}
			row[j] = sums[j]
		}
	}
}

func copyRowsGeneric(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	for r := range rows {
		copy(dst[r*dstStride:r*dstStride+cols], src[r*srcStride:])
	}
}

func transposeGeneric(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	for r := range rows {
		for c, v := range src[r*srcStride : r*srcStride+cols] {
			dst[c*dstStride+r] = v
		}
	}
}
