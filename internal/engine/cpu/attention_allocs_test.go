//go:build !race

// With the race detector a sync.Pool drops things at random.

package cpu

import (
	"testing"

	"github.com/unimo-go/unimo/internal/engine"
)

func TestAttentionAllocatesNothing(t *testing.T) {
	d := New()
	c := selfAttention([]int{70, 13, 1}, 2, 16, 0.1)
	n, _ := c.rows()
	x := func(name string) *engine.Tensor { return d.Wrap(n, c.hidden(), random(n*c.hidden(), name)) }
	q, k, v, dy, y, dq, dk, dv, stats := x("q"), x("k"), x("v"), x("dy"), x("y"), x("dq"), x("dk"), x("dv"), d.New(n, c.heads)
	a := c.attention()
	run := func() {
		d.Attention(y, stats, q, k, v, a)
		d.AttentionBackward(dq, dk, dv, dy, stats, q, k, v, a)
	}
	run()
	if n := testing.AllocsPerRun(50, run); n > 0.5 { // the pools may be emptied now and then
		t.Errorf("%v allocations", n)
	}
}
