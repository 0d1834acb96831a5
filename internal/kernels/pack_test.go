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
