// Package clusters makes vectors for tests of search that are as vectors of pictures are: in clusters, in fewer dimensions than they have values.
package clusters

import (
	"math"
	"math/rand/v2"
)

const (
	hidden = 32  // dimensions
	count  = 200 // clusters
)

// Maker makes vectors of length 1, the same for the same size and seed.
type Maker struct {
	rng     *rand.Rand
	basis   [][]float32
	centres [][]float32
}

// New returns a maker of vectors of so many values.
func New(size int, seed uint64) *Maker {
	m := &Maker{rng: rand.New(rand.NewPCG(seed, 2))}
	for range hidden {
		m.basis = append(m.basis, m.normal(size, 1))
	}
	for range count {
		m.centres = append(m.centres, m.normal(hidden, 1))
	}
	return m
}

func (m *Maker) normal(n int, deviation float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(deviation * m.rng.NormFloat64())
	}
	return x
}

// Next returns the next vector.
func (m *Maker) Next() []float32 {
	x := m.normal(len(m.basis[0]), 1)
	at := m.normal(hidden, 0.6)
	for i, c := range m.centres[m.rng.IntN(count)] {
		for j, b := range m.basis[i] {
			x[j] += (at[i] + c) * b
		}
	}
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	for j := range x {
		x[j] *= float32(1 / math.Sqrt(sum))
	}
	return x
}
