package kernels

import "testing"

// The copies into panels, with every size of a panel: nothing but the panel is
// written, for panels lie beside each other and are packed at the same time.
func TestPack(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		tile := &active().gemm
		// dst is rows of length width; stride is tile.cols for B, and width for A.
		for _, side := range []struct{ most, stride int }{{tile.rows, 0}, {tile.cols, tile.cols}} {
			for width := 1; width <= side.most; width++ {
				stride := max(side.stride, width)
				for _, length := range []int{1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 50} {
					// Only the last row of a wider panel must keep to its width.
					panel := func() *guarded { return guard(1, length*stride, length*stride, width%9, 0) }
					check := func(name string, dst *guarded, at func(r, c int) float32) {
						t.Helper()
						dst.check(t)
						for r := range length {
							for c := range width {
								if got := dst.x[r*stride+c]; got != at(r, c) {
									t.Fatalf("%s, width %d of %d, length %d: (%d, %d) is %g, want %g", name, width, stride, length, r, c, got, at(r, c))
								}
							}
						}
					}
					const ld = 60
					x, dst := random(ld*ld, 1), panel()
					tile.copyRows(dst.x, stride, x, ld, length, width)
					check("copyRows", dst, func(r, c int) float32 { return x[r*ld+c] })
					dst = panel()
					tile.transpose(dst.x, stride, x, ld, width, length)
					check("transpose", dst, func(r, c int) float32 { return x[c*ld+r] })
				}
			}
		}
	})
}

func TestTranspose(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, rows := range []int{0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 50} {
			for _, cols := range []int{0, 1, 7, 8, 15, 16, 17, 33} {
				ldSrc, wide := cols+rows%3, (rows+TransposeWidth-1)/TransposeWidth*TransposeWidth
				src := random(max(0, rows*ldSrc), 1)
				dst := guard(cols, wide, wide+cols%3, rows%5, old)
				Transpose(dst.x, dst.ld, src, ldSrc, rows, cols)
				dst.check(t)
				for r := range rows {
					for c := range cols {
						if got, want := dst.row(c)[r], src[r*ldSrc+c]; got != want {
							t.Fatalf("%d×%d: column %d of row %d is %g, want %g", rows, cols, c, r, got, want)
						}
					}
				}
			}
		}
	})
	x := make([]float32, 64)
	mustPanic(t, "narrow", func() { Transpose(x, 4, x, 4, 4, 4) })
	mustPanic(t, "short", func() { Transpose(x[:40], 16, x, 4, 4, 4) })
	mustPanic(t, "negative", func() { Transpose(x, 16, x, 4, -4, 4) })
}
