package kernels

import (
	"fmt"
	"testing"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// eachISABenchmark runs a benchmark on every instruction set of this machine.
func eachISABenchmark(b *testing.B, bench func(b *testing.B)) {
	for _, isa := range Available() {
		b.Run(isa.String(), func(b *testing.B) {
			defer Use(isa)()
			bench(b)
		})
	}
}

// The products of the base model (768, 3072 and 192 per three heads) for
// batches of 26 to 4096 tokens: NN is forward, NT the gradient of the inputs,
// TN that of the weights.
func BenchmarkGemm(b *testing.B) {
	defer parallel.SetThreads(parallel.Threads())
	shapes := [][3]int{
		{26, 768, 192}, {26, 192, 768}, {26, 768, 768}, {416, 768, 768}, {416, 3072, 768}, {416, 768, 3072},
		{4096, 3072, 768}, {768, 3072, 416}, {768, 3072, 4096},
	}
	eachISABenchmark(b, func(b *testing.B) {
		for _, threads := range []int{1, 2} {
			for _, s := range shapes {
				for _, v := range []struct {
					name  string
					flags GemmFlags
				}{{"NN", 0}, {"NT", TransB}, {"TN", TransA}} {
					b.Run(fmt.Sprintf("threads=%d/%dx%dx%d/%s", threads, s[0], s[1], s[2], v.name), func(b *testing.B) {
						parallel.SetThreads(threads)
						c := newGemmCase(s[0], s[1], s[2], v.flags, 0, 1)
						out := make([]float32, c.m*c.n)
						b.ReportAllocs()
						for b.Loop() {
							Gemm(out, c.ldc, c.a, c.lda, c.b, c.ldb, c.m, c.n, c.k, c.flags)
						}
						reportFLOPs(b, 2*float64(c.m)*float64(c.n)*float64(c.k))
					})
				}
			}
		}
	})
}

// Products of few rows with a matrix of the base model, on one thread.
func BenchmarkGemmFewRows(b *testing.B) {
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(1)
	const n, k = 768, 768
	eachISABenchmark(b, func(b *testing.B) {
		for _, m := range []int{1, 2, 4, 8, 16, 26, 32, 64} {
			for _, form := range []struct {
				name  string
				flags GemmFlags
			}{{"NN", 0}, {"NT", TransB}, {"TN", TransA}, {"packed", 0}} {
				b.Run(fmt.Sprintf("%d/%s", m, form.name), func(b *testing.B) {
					c := newGemmCase(m, n, k, form.flags, 0, 1)
					out, packed := make([]float32, m*n), PackB(c.b, c.ldb, n, k, form.flags&TransB)
					for b.Loop() {
						if form.name == "packed" {
							GemmPacked(out, c.ldc, c.a, c.lda, packed, m, 0, Options{})
						} else {
							Gemm(out, c.ldc, c.a, c.lda, c.b, c.ldb, m, n, k, c.flags)
						}
					}
					reportFLOPs(b, 2*float64(m)*n*k)
				})
			}
		}
	})
}

// The products of attention, for one head of one sequence.
func BenchmarkGemmSerialAttention(b *testing.B) {
	eachISABenchmark(b, func(b *testing.B) {
		for _, s := range []struct {
			name    string
			m, n, k int
			flags   GemmFlags
		}{
			{"scores", 13, 13, 64, TransB},
			{"values", 13, 64, 13, 0},
			{"dvalues", 13, 64, 13, TransA},
			{"scores", 128, 128, 64, TransB},
			{"values", 128, 64, 128, 0},
			{"dvalues", 128, 64, 128, TransA},
		} {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", s.name, s.m, s.n, s.k), func(b *testing.B) {
				c := newGemmCase(s.m, s.n, s.k, s.flags, 0, 1)
				// Rows of queries, keys and values of 12 heads lie 768 apart.
				const ld = 768
				x := random(ld*ld, 1)
				if s.flags&TransB != 0 {
					c.a, c.lda, c.b, c.ldb = x, ld, x, ld
				} else {
					c.b, c.ldb = x, ld
				}
				out := make([]float32, c.m*c.n)
				b.ReportAllocs()
				for b.Loop() {
					GemmSerial(out, c.n, c.a, c.lda, c.b, c.ldb, c.m, c.n, c.k, c.flags)
				}
				reportFLOPs(b, 2*float64(c.m)*float64(c.n)*float64(c.k))
			})
		}
	})
}
