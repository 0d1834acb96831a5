package rank

import (
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// The vectors lie in the device's memory once, until the store is closed, and queries leave nothing there.
func TestExactOnAnAccelerator(t *testing.T) {
	d := accelerator.Open(t)
	before, _ := d.Held()
	x := NewExact(d, Rows{IDs: []string{"a", "b", "c"}, Origins: make([]Origin, 3), Vectors: []float32{1, 0, 0, 1, 0.6, 0.8}, Size: 2})
	for range 3 {
		list, err := x.Nearest(t.Context(), []float32{0, 1}, 2)
		if err != nil || len(list) != 2 || list[0].ID != "b" || list[1].ID != "c" {
			t.Fatalf("found %v, %v", list, err)
		}
		if now, _ := d.Held(); now != before+1 {
			t.Errorf("%d buffers are held, want %d", now, before+1)
		}
	}
	if x.Close(); x.Close() != nil {
		t.Error("closed twice")
	}
	engine.Settle(d)
	if now, _ := d.Held(); now != before {
		t.Errorf("%d buffers are held after it was closed, want %d", now, before)
	}
}
