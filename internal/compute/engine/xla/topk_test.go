package xla

import (
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// The largest elements, of equal ones the lower column first, are the CPU engine's, and so are rows that hold what is not finite.
func TestTopK(t *testing.T) {
	x := open(t, Options{})
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	type result struct {
		ids     []int32
		values  []float32
		logSums []float64
	}
	for _, c := range []struct {
		rows, cols, k int
		except        int32
	}{{1, 2, 1, -1}, {3, 300, 5, 299}, {13, 40, 39, 0}} {
		want, got := onBoth(x, func(d engine.Device, n *numbers) result {
			logits := n.value(c.rows, c.cols)
			if c.rows == 13 {
				n.change(logits, func(i int, x float32) float32 {
					row, col := i/c.cols, i%c.cols
					switch {
					case row == 1: // many are equal
						return float32(col % 3)
					case row == 2:
						return []float32{0, float32(math.Copysign(0, -1))}[col%2]
					case row == 3 && col == 7, row == 4 && col == 0: // the latter does not count
						return nan
					case row == 5 && col == 30:
						return inf
					case row == 6 && col != 5, row == 7:
						return -inf
					case row == 8:
						return x * 1e37
					}
					return x
				})
			}
			r := result{make([]int32, c.rows*c.k), make([]float32, c.rows*c.k), make([]float64, c.rows)}
			d.TopK(r.ids, r.values, r.logSums, logits, c.k, c.except)
			return r
		})
		for row, w := range want.logSums {
			g := got.logSums[row]
			if g != w && (g == g || w == w) && !(math.Abs(g-w) <= 1e-6) {
				t.Errorf("%+v: row %d: log-sum-exp %v, want %v", c, row, g, w)
			}
			at := func(i int) bool { return i/c.k == row }
			if math.IsNaN(w) {
				for i, v := range got.values {
					if at(i) && (v == v || got.ids[i] < 0 || int(got.ids[i]) >= c.cols) {
						t.Errorf("%+v: row %d, which is not finite: %v in column %d", c, row, v, got.ids[i])
					}
				}
				continue
			}
			lo, hi := row*c.k, (row+1)*c.k
			if !slices.Equal(got.ids[lo:hi], want.ids[lo:hi]) || !slices.Equal(got.values[lo:hi], want.values[lo:hi]) {
				t.Errorf("%+v: row %d: %v in columns %v, want %v in %v", c, row, got.values[lo:hi], got.ids[lo:hi], want.values[lo:hi], want.ids[lo:hi])
			}
		}
	}
	x.TopK(nil, nil, nil, x.New(0, 4), 2, -1)
	y := x.New(1, 4)
	refuses(t, "as many as there are", func() { x.TopK(make([]int32, 4), make([]float32, 4), make([]float64, 1), y, 4, -1) })
}
