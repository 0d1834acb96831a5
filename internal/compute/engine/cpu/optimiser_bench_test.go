package cpu

import (
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Adam on as many parameters as the layers of the base model have: a stream from and to memory.
func BenchmarkAdam(b *testing.B) {
	const rows, cols = 28 << 10, 3072
	d := New()
	p, m, v, g := d.New(rows, cols), d.New(rows, cols), d.New(rows, cols), d.New(rows, cols)
	for _, t := range []*engine.Tensor{p, m, v, g} {
		for i := range data(t) {
			data(t)[i] = 1e-3
		}
	}
	s := engine.AdamStep{Beta1: 0.9, Beta2: 0.98, StepSize: 1e-5, Epsilon: 1e-6, GradScale: 1}
	b.SetBytes(28 * rows * cols)
	for b.Loop() {
		d.Adam(p, m, v, g, nil, s)
	}
}
