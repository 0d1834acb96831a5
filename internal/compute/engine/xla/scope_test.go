package xla

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// What was made within a scope, on forks too, is freed with it: what was computed, what was only recorded, and nothing else.
func TestScope(t *testing.T) {
	d := open(t, Options{})
	outside := d.Wrap(1, 2, []float32{1, 2})
	buffers, bytes := d.Held()
	in, free := engine.Scope(d)
	x := in.Wrap(1, 2, []float32{3, 4})
	fork := in.Fork()
	y, z := fork.New(1, 2), fork.New(1, 2)
	fork.Add(y, x, outside)
	if got := engine.Values(fork, y); !slices.Equal(got, []float32{4, 6}) {
		t.Errorf("the sum is %v", got)
	}
	fork.Add(z, y, y) // nobody reads it
	freed := in.Wrap(1, 2, []float32{5, 6})
	in.Free(freed)
	if now, _ := d.Held(); now != buffers+2 {
		t.Errorf("%d buffers are held, want %d", now, buffers+2)
	}
	free()
	free()
	if now, n := d.Held(); now != buffers || n != bytes {
		t.Errorf("%d buffers of %d bytes are left, want %d of %d", now, n, buffers, bytes)
	}
	if got := engine.Values(d, outside); !slices.Equal(got, []float32{1, 2}) {
		t.Errorf("what is outside is %v", got)
	}
}
