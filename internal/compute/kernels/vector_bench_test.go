package kernels

import (
	"slices"
	"testing"
)

// The row kernels run on the rows of the base model, elementwise ones on 12 of
// them (36 KiB: what is measured is the kernel, not the memory). MB/s counts
// every element that is read or written.
func BenchmarkVector(b *testing.B) {
	const n = 12 * 768
	x, y, z, w := random(n, 1), random(n, 2), random(n, 3), random(n, 4)
	for i := range w {
		w[i] *= w[i]
	}
	long := []struct {
		name  string
		bytes int // per element
		run   func()
	}{
		{"Add", 12, func() { Add(z, x, y) }},
		{"Axpy", 12, func() { Axpy(z, 1e-9, x) }},
		{"Dot", 8, func() { Dot(x, y) }},
		{"SumSquares", 4, func() { SumSquares(x) }},
		{"GELU", 8, func() { GELU(z, x) }},
		{"GELUBackward", 16, func() { GELUBackward(z, w, x, y) }},
		{"TanhGELU", 8, func() { Activate(z, x, TanhGELU, 0) }},
		{"TanhGELUBackward", 16, func() { ActivateBackward(z, w, x, y, TanhGELU) }},
		{"Adam", 28, func() {
			Adam(z, y, w, x, AdamStep{Beta1: 0.9, Beta2: 0.99, StepSize: 1e-6, Epsilon: 1e-6, GradScale: 1})
		}},
		{"Dropout", 8, func() { Dropout(z, x, 0.1, 1, 2, 3, false) }},
		{"DropoutAccumulate", 12, func() { Dropout(z, x, 0.1, 1, 2, 3, true) }},
	}
	row := func(x []float32) []float32 { return slices.Clone(x[:768]) }
	rx, ry, gamma, beta, dgamma, dbeta := row(x), row(y), row(x), row(y), row(x), row(y)
	p := make([]float32, 768)
	var buffer []uint32
	words := Words(&buffer, 512, 1, 2, 0)
	rows := []struct {
		name       string
		elements   int
		perElement int
		run        func()
	}{
		{"LayerNorm", 768, 16, func() { LayerNorm(ry, rx, gamma, beta, 1e-5) }},
		{"LayerNormBackward", 768, 40, func() { LayerNormBackward(ry, dgamma, dbeta, rx, p, gamma, 0.1, 1) }},
		{"Softmax/13", 13, 8, func() { Softmax(ry[:13], rx[:13], 0.125) }},
		{"Softmax/128", 128, 8, func() { Softmax(ry[:128], rx[:128], 0.125) }},
		{"Softmax/512", 512, 8, func() { Softmax(ry[:512], rx[:512], 0.125) }},
		{"Exponentials/13", 13, 8, func() { Exponentials(ry[:13], rx[:13], 0.125) }},
		{"Exponentials/512", 512, 8, func() { Exponentials(ry[:512], rx[:512], 0.125) }},
		{"SoftmaxBackward/13", 13, 16, func() { SoftmaxBackward(p[:13], rx[:13], 0.125, 1, nil, 0) }},
		{"SoftmaxBackward/512", 512, 16, func() { SoftmaxBackward(p[:512], rx[:512], 0.125, 1, nil, 0) }},
		{"SoftmaxBackwardDropout/512", 512, 20, func() { SoftmaxBackward(p[:512], rx[:512], 0.125, 1, words, 0.1) }},
	}
	eachISABenchmark(b, func(b *testing.B) {
		bench := func(name string, elements, bytes int, run func()) {
			b.Run(name, func(b *testing.B) {
				b.SetBytes(int64(elements * bytes))
				b.ReportAllocs()
				for b.Loop() {
					run()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(elements), "ns/element")
			})
		}
		for _, c := range long {
			bench(c.name, n, c.bytes, c.run)
		}
		for _, c := range rows {
			bench(c.name, c.elements, c.perElement, c.run)
		}
	})
}
