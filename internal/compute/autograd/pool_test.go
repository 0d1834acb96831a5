package autograd

import (
	"slices"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

func values(name string, rows, cols int) []float32 {
	var list []float32
	for _, x := range normal(name, rows, cols).x {
		list = append(list, float32(x))
	}
	return list
}

// Tapes of pools on a device compute side by side what one computes alone, also with a weight that none has prepared before, and a tape that was
// given back is used again.
func TestPool(t *testing.T) {
	d := cpu.New()
	pool := NewPool(d)
	newWeight := func() *Weight { return NewWeight(Fixed(d.Wrap(64, 64, values("w", 64, 64))), engine.NN) }
	w := newWeight()
	scale, shift := Const(d.Wrap(1, 64, values("s", 1, 64))), Const(d.Wrap(1, 64, values("b", 1, 64)))
	compute := func(pool *Pool, rows int) []float32 {
		tape := pool.Take()
		defer pool.Give(tape)
		x := tape.Input(rows, 64, values("x", rows, 64))
		for range 3 {
			x = tape.LayerNorm(tape.GELU(tape.Linear(x, w, shift)), scale, shift, 1e-5)
		}
		return slices.Clone(engine.Values(d, x.Value))
	}
	var want [4][]float32
	for i := range want {
		want[i] = compute(pool, 20*(i+1))
	}
	if len(pool.free) != 1 {
		t.Errorf("%d tapes, want 1", len(pool.free))
	}
	w = newWeight()
	var wait sync.WaitGroup
	for i := range want {
		of := []*Pool{pool, NewPool(d)}[i%2] // models that share weights have one each
		wait.Go(func() {
			for range 20 {
				if !slices.Equal(compute(of, 20*(i+1)), want[i]) {
					t.Error("another result among others")
				}
			}
		})
	}
	wait.Wait()
	if n := len(pool.free); n > len(want) {
		t.Errorf("%d tapes, want %d at most", n, len(want))
	}
}
