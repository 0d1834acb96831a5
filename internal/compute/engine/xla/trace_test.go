package xla

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Host data have the rows of the grid, behind theirs zeros; the same data are sent once, and others at the same place are others.
func TestHostDataAreInputs(t *testing.T) {
	d := open(t, Options{})
	x, y := d.New(3, 4), d.New(3, 4)
	host := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}
	put := func(y *engine.Tensor) {
		record(d, "put", none{}, func(b *builder, _ none, ins []val) []val {
			return []val{b.transpose(b.reshape(b.concatenate(0, ins[0], b.like(b.slice(ins[0], []int{0}, []int{2}), 7)), 4, 3), 1, 0)}
		}, []*engine.Tensor{y}, d.floats(host))
	}
	put(x)
	put(y)
	if n := len(d.trace.inputs); n != 1 {
		t.Errorf("%d inputs, want 1", n)
	}
	clear(host[1:])
	put(y)
	if got := engine.Values(d, x); !slices.Equal(got, []float32{1, 4, 7, 0, 2, 5, 8, 7, 3, 6, 9, 7}) {
		t.Errorf("%v", got)
	}
	if got := engine.Values(d, y); !slices.Equal(got, []float32{1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 7}) {
		t.Errorf("after a change %v", got)
	}
}
