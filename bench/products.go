package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// shape is a forward product: rows tokens, from inner to cols features.
type shape struct{ rows, cols, inner int }

func (s shape) String() string { return fmt.Sprintf("%dx%dx%d", s.rows, s.cols, s.inner) }

func (s shape) flops() float64 { return 2 * float64(s.rows) * float64(s.cols) * float64(s.inner) }

// productRows are the tokens of a batch of eight passages, of a batch of SST-2, and
// of one sentence.
var productRows = []int{3200, 416, 26}

// productShapes are the products of a layer for those rows.
func productShapes() []shape {
	var shapes []shape
	for _, rows := range productRows {
		shapes = append(shapes, shape{rows, 768, 768}, shape{rows, 3072, 768}, shape{rows, 768, 3072})
	}
	return shapes
}

// productForms are the products of a training step: NN is y = x·W, NT is dx = dy·Wᵀ
// and TN is dW += xᵀ·dy.
var productForms = []string{"NN", "NT", "TN"}

// packedForm is NN with W packed before, as prediction has it from the second call on.
const packedForm = "packed"

// productKey names a measurement; isa is empty for peers, which choose themselves.
func productKey(isa string, threads int, s shape, form string) string {
	if isa != "" {
		isa += "/"
	}
	return fmt.Sprintf("%s%d/%v/%s", isa, threads, s, form)
}

// threadCounts are one and all.
func threadCounts(threads int) []int { return slices.Compact([]int{1, threads}) }

// vectorSets are the instruction sets of this processor, plain Go left out.
func vectorSets() []kernels.ISA {
	sets := kernels.Available()
	return slices.DeleteFunc(sets, func(isa kernels.ISA) bool { return isa == kernels.Generic })
}

// newProducts returns the function that measures every product once: GFLOP/s by
// productKey, and under the key with "peak:" before it the peak measured just before.
func newProducts(threads int) func() map[string]float64 {
	const largest = 3200 * 3072
	rng := rand.New(rand.NewPCG(1, 2))
	a, b, c := cpu.Floats(largest), cpu.Floats(largest), cpu.Floats(largest) // as tensors lie
	for i := range a {
		a[i], b[i] = rng.Float32()-0.5, rng.Float32()-0.5
	}
	return func() map[string]float64 {
		values := map[string]float64{}
		for _, isa := range vectorSets() {
			maps.Copy(values, measureProducts(isa, threads, a, b, c))
		}
		return values
	}
}

func measureProducts(isa kernels.ISA, threads int, a, b, c []float32) map[string]float64 {
	defer kernels.Use(isa)()
	defer parallel.SetThreads(parallel.Threads())
	values := map[string]float64{}
	for _, n := range threadCounts(threads) {
		parallel.SetThreads(n)
		for _, s := range productShapes() {
			packed := kernels.PackB(b, s.cols, s.cols, s.inner, 0)
			for _, form := range append(productForms, packedForm) {
				key := productKey(isa.String(), n, s, form)
				call := func() { multiply(form, s, a, b, c) }
				if form == packedForm {
					call = func() { kernels.GemmPacked(c, s.cols, a, s.inner, packed, s.rows, 0, kernels.Options{}) }
				}
				call()
				values["peak:"+key] = kernels.PeakGFLOPs()
				values[key] = 1e-9 * s.flops() / repeat(call)
			}
		}
	}
	return values
}

func multiply(form string, s shape, a, b, c []float32) {
	m, n, k := s.rows, s.cols, s.inner
	switch form {
	case "NN":
		kernels.Gemm(c, n, a, k, b, n, m, n, k, 0)
	case "NT":
		kernels.Gemm(c, k, a, n, b, n, m, k, n, kernels.TransB)
	case "TN":
		kernels.Gemm(c, n, a, k, b, n, k, n, m, kernels.TransA|kernels.Accumulate)
	}
}

// repeat returns the median time of a call in seconds, of enough calls for 5 ms.
func repeat(call func()) float64 {
	var times []float64
	for total := 0.0; len(times) < 2 || total < 0.005; {
		start := time.Now()
		call()
		t := time.Since(start).Seconds()
		times = append(times, t)
		total += t
	}
	return median(times)
}
