package xla

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Goroutines compute on a device and on its forks, which are made meanwhile, with weights that all read: each gets its own answers, from as
// many programs as one alone would need.
func TestForksAtATime(t *testing.T) {
	d := open(t, Options{})
	const workers, rounds = 4, 60
	weights := make([]*engine.Tensor, 8)
	for i := range weights {
		weights[i] = d.Wrap(1, 4, []float32{1, 2, 3, float32(i)})
	}
	late := d.New(1, 4) // is recorded, not computed, when the forks begin
	d.Add(late, weights[0], weights[1])
	work := func(x engine.Device, worker float32) error {
		for round := range rounds {
			y, z := x.Wrap(1, 4, []float32{worker, float32(round), 0, 0}), x.New(1, 4)
			for _, w := range weights {
				x.Add(y, y, w)
			}
			x.Add(z, y, late)
			if got, want := engine.Values(x, z), []float32{10 + worker, 20 + float32(round), 30, 29}; !slices.Equal(got, want) {
				return fmt.Errorf("worker %v, round %d: %v, want %v", worker, round, got, want)
			}
			x.Free(y)
			x.Free(z)
		}
		return nil
	}
	if err := engine.Guard(func() error { return work(d, -1) }); err != nil {
		t.Fatal(err)
	}
	alone := d.Stats().Compiled
	d.Add(late, weights[0], weights[1])
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for range 4 {
				if err := engine.Guard(func() error {
					x := engine.Device(d)
					if worker > 0 {
						x = d.Fork()
					}
					return work(x, float32(worker))
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if n := d.Stats().Compiled; n > alone+2 {
		t.Errorf("%d programs, want %d and those of the tensor that was late", n, alone)
	}
}
