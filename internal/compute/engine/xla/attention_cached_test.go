package xla

import (
	"fmt"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

func TestCachedAttention(t *testing.T) {
	for _, c := range []struct {
		hypotheses, sources []int
		steps, pool         int
	}{
		{nil, nil, 0, 0},
		{[]int{0}, []int{5}, 3, 3},
		{[]int{1}, []int{1}, 0, 0},
		{[]int{1}, []int{0}, 1, 1},
		{[]int{1, 2}, []int{0, 0}, 0, 4}, // without keys
		{[]int{3, 1}, []int{0, 7}, 2, 9},
		{[]int{1, 0, 2, 9, 0}, []int{13, 4, 16, 17, 0}, 5, 40},
		{[]int{4, 0, 10}, []int{10, 3, 5}, 19, 70},
	} {
		t.Run(fmt.Sprintf("%v to %v and %d of %d", c.hypotheses, c.sources, c.steps, c.pool), func(t *testing.T) {
			same(t, 2e-6, 1, func(d engine.Device, n *numbers) []*engine.Tensor {
				const heads, hidden = 3, 15
				a := engine.CachedAttention{Heads: heads, Hypotheses: offsets(c.hypotheses...), Sources: offsets(c.sources...), Steps: c.steps}
				rows, keys := int(a.Hypotheses[len(a.Hypotheses)-1]), int(a.Sources[len(a.Sources)-1])
				for range rows * c.steps {
					a.Paths = append(a.Paths, int32(n.rng.IntN(c.pool)))
				}
				y := d.New(rows, hidden)
				d.CachedAttention(y, n.value(rows, hidden), n.value(keys, hidden), n.value(keys, hidden), n.value(c.pool, hidden), n.value(c.pool, hidden), a)
				return []*engine.Tensor{y}
			})
		})
	}
}

// A loop that writes 60 words, of beams of 4 of which some end before, meets few programs.
func TestDecodingMeetsFewPrograms(t *testing.T) {
	d := open(t, Options{})
	const hidden, beam = 4, 4
	pool := d.Wrap(beam*2*60, hidden, make([]float32, beam*2*60*hidden))
	sources := d.Wrap(11, hidden, make([]float32, 11*hidden))
	for step := 1; step <= 60; step++ {
		a := engine.CachedAttention{Heads: 2, Hypotheses: offsets(beam, beam), Sources: offsets(5, 6), Steps: step}
		if step > 40 {
			a.Hypotheses = offsets(0, beam)
		}
		rows := int(a.Hypotheses[2])
		a.Paths = make([]int32, rows*step)
		y := d.New(rows, hidden)
		d.CachedAttention(y, d.Wrap(rows, hidden, make([]float32, rows*hidden)), sources, sources, pool, pool, a)
		engine.Values(d, y)
		d.Free(y)
	}
	if s := d.Stats(); s.Compiled != 4 || s.Ran != 60 { // 16 steps, 32, 64 with 8 rows, with 4
		t.Errorf("%d programs compiled and %d ran, want 4 and 60", s.Compiled, s.Ran)
	}
}
