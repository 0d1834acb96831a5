package kernels

import (
	"fmt"
	"testing"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// The products of the base model for 1 to 3200 rows, with weights in float32, in 16 bits, and in bytes with the rounding of the rows.
func BenchmarkPrecision(b *testing.B) {
	defer parallel.SetThreads(parallel.Threads())
	for _, threads := range []int{1, 2} {
		for _, s := range [][2]int{{768, 768}, {3072, 768}, {768, 3072}} {
			for _, m := range []int{1, 4, 26, 416, 3200} {
				n, k := s[0], s[1]
				shape := fmt.Sprintf("threads=%d/%dx%dx%d", threads, m, n, k)
				flops := 2 * float64(m) * float64(n) * float64(k)
				x, w, out := random(m*k, 1), random(n*k, 2), make([]float32, m*n)
				// As many matrices as a model has, one after the other, so that they come from memory.
				next, matrices := 0, (160<<20)/(4*n*k)
				turn := func() int { next = (next + 1) % matrices; return next }
				b.Run("float32/"+shape, func(b *testing.B) {
					parallel.SetThreads(threads)
					var packed []*PackedB
					for range matrices {
						packed = append(packed, PackB(w, n, n, k, 0))
					}
					for b.Loop() {
						GemmPacked(out, n, x, k, packed[turn()], m, 0, Options{})
					}
					reportFLOPs(b, flops)
				})
				for format, name := range []string{BFloat16: "bfloat16", Float16: "float16"} {
					b.Run(name+"/"+shape, func(b *testing.B) {
						parallel.SetThreads(threads)
						var list []*HalfMatrix
						for range matrices {
							list = append(list, NewHalfMatrix(make([]uint16, HalfLen(n, k)), make([]uint16, n*k), HalfFormat(format), n, n, k, 0, 0))
						}
						for b.Loop() {
							GemmHalf(out, n, x, k, list[turn()], m, 0, Options{})
						}
						reportFLOPs(b, flops)
					})
				}
				for _, isa := range Available()[1:] { // plain Go would take minutes
					for _, tile := range int8Tiles(isa) {
						b.Run(tile.name+"/"+shape, func(b *testing.B) {
							defer useInt8(isa, tile)()
							parallel.SetThreads(threads)
							c := newInt8Case(0, n, k, 0, 0, true, 1)
							var list []*Int8Matrix
							for range matrices {
								list = append(list, c.prepared())
							}
							var rows Int8Rows
							for b.Loop() {
								rows.Set(x, k, m, k, 0)
								GemmInt8(out, n, &rows, list[turn()], Options{Bias: c.bias})
							}
							reportFLOPs(b, flops)
						})
					}
				}
			}
		}
	}
}
