package kernels

// gemmGeneric is the product in plain Go. A tile of 4×4 has 16 sums, which
// compilers keep in registers on processors that have 32 of them.
var gemmGeneric = gemmTile{
	rows:      4,
	cols:      4,
	lanes:     1,
	compute:   gemmTileGeneric,
	copyRows:  copyRowsGeneric,
	transpose: transposeGeneric,
}

func gemmTileGeneric(t *tileArgs) {
	for repeat := t.repeat; repeat > 0; repeat-- {
		gemmOneTile(t)
		if repeat > 1 {
			t.a, t.c = t.a[t.aStep:], t.c[t.rows*t.ldc:]
			if t.add != nil {
				t.add = t.add[t.rows*t.addRow:]
			}
		}
	}
}

func gemmOneTile(t *tileArgs) {
	if t.rows == 4 && t.cols == 4 {
		gemmTile4x4(t)
		return
	}
	for i := range t.rows {
		row := t.c[i*t.ldc : i*t.ldc+t.cols]
		for j := range row {
			var sum float32
			for p := range t.k {
				sum += t.a[i*t.aRow+p*t.aCol] * t.b[p*t.bRow+j]
			}
			if t.add != nil {
				sum += t.add[i*t.addRow+j]
			}
			row[j] = t.bounded(sum)
		}
	}
}

func gemmTile4x4(t *tileArgs) {
	var (
		c00, c01, c02, c03 float32
		c10, c11, c12, c13 float32
		c20, c21, c22, c23 float32
		c30, c31, c32, c33 float32
	)
	a, b := t.a, t.b
	a1At, a2At, a3At := t.aRow, 2*t.aRow, 3*t.aRow
	for k := t.k; k > 0; k-- {
		b0, b1, b2, b3 := b[0], b[1], b[2], b[3]
		a0 := a[0]
		c00 += a0 * b0
		c01 += a0 * b1
		c02 += a0 * b2
		c03 += a0 * b3
		a1 := a[a1At]
		c10 += a1 * b0
		c11 += a1 * b1
		c12 += a1 * b2
		c13 += a1 * b3
		a2 := a[a2At]
		c20 += a2 * b0
		c21 += a2 * b1
		c22 += a2 * b2
		c23 += a2 * b3
		a3 := a[a3At]
		c30 += a3 * b0
		c31 += a3 * b1
		c32 += a3 * b2
		c33 += a3 * b3
		if k > 1 {
			a, b = a[t.aCol:], b[t.bRow:]
		}
	}
	for i, sums := range [4][4]float32{
		{c00, c01, c02, c03},
		{c10, c11, c12, c13},
		{c20, c21, c22, c23},
		{c30, c31, c32, c33},
	} {
		row := t.c[i*t.ldc : i*t.ldc+4]
		for j := range row {
			if t.add != nil {
				sums[j] += t.add[i*t.addRow+j]
			}
			row[j] = t.bounded(sums[j])
		}
	}
}

// bounded returns what of an element is stored.
func (t *tileArgs) bounded(c float32) float32 {
	if t.clamp {
		return min(max(c, t.least), t.most)
	}
	return c
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
