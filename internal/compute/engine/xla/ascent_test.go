package xla

import (
	"fmt"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Steps of examples of no row, one and several, behind rows that stay and before others; slopes of zero; every norm and bound, some of which hold and some
// do not. One program has those of a size.
func TestAscend(t *testing.T) {
	for _, c := range []struct {
		rows, before int
		offsets      []int32
	}{{8, 0, []int32{0, 8}}, {30, 3, []int32{0, 4, 4, 5, 12, 13, 14, 15, 16, 17, 26}}, {13, 1, []int32{0}}} {
		same(t, 1e-6, 0, func(d engine.Device, n *numbers) (results []*engine.Tensor) {
			for _, scale := range []float32{1, 30} {
				for _, a := range []engine.Ascent{{}, {Bound: 1}, {Bound: 5, BySlopes: true}, {Bound: 100}, {Largest: true}, {Largest: true, Bound: 0.7}} {
					a.Before, a.Offsets, a.Rate = c.before, c.offsets, 0.3
					x, slopes := n.gradient(c.rows, 5), n.gradient(c.rows, 5)
					n.change(slopes, func(i int, x float32) float32 {
						if row := i / 5; len(c.offsets) > 4 && row >= 8 && row < 15 { // those of an example
							return 0
						}
						return x
					})
					d.Ascend(x, slopes, scale, a)
					results = append(results, x)
				}
			}
			return results
		})
	}
}

// Lengths that are too small and too large for the squares of float32.
func TestAscendOfAnySize(t *testing.T) {
	same(t, 1e-6, 0, func(d engine.Device, n *numbers) (results []*engine.Tensor) {
		for _, size := range []float32{1e-30, 1e-9, 1e25} {
			x, slopes := n.gradient(9, 3), n.gradient(9, 3)
			n.change(slopes, func(_ int, x float32) float32 { return size * x })
			d.Ascend(x, slopes, 2, engine.Ascent{Offsets: []int32{0, 4, 9}, Rate: 0.5, Bound: 2})
			results = append(results, x)
		}
		return results
	})
}

// Which rows are whose, and the scale, are no part of the program.
func TestAscendIsOneProgram(t *testing.T) {
	d := open(t, Options{})
	x, slopes := d.Wrap(9, 2, make([]float32, 18)), d.Wrap(9, 2, make([]float32, 18))
	for i, offsets := range [][]int32{{0, 1, 9}, {0, 5, 6}, {2, 3, 8}} {
		d.Ascend(x, slopes, 1/float32(i+1), engine.Ascent{Before: i % 2, Offsets: offsets, Rate: 1})
		engine.Values(d, x)
	}
	if s := d.Stats(); s.Compiled != 1 || s.Ran != 3 {
		t.Errorf("%d programs compiled and %d ran, want 1 and 3", s.Compiled, s.Ran)
	}
}

func TestAscendRefuses(t *testing.T) {
	d := open(t, Options{})
	x := d.New(9, 2)
	for _, a := range []engine.Ascent{{}, {Offsets: []int32{0, 10}}, {Before: 8, Offsets: []int32{0, 2}}, {Before: -1, Offsets: []int32{0, 2}}, {Offsets: []int32{0, 4, 3}}, {Offsets: []int32{-1, 4}}} {
		refused(t, d, fmt.Sprint(a), func() { d.Ascend(x, x, 1, a) })
	}
	refused(t, d, "other slopes", func() { d.Ascend(x, d.New(2, 9), 1, engine.Ascent{Offsets: []int32{0, 9}}) })
}
