package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Each example takes its step, as the formulas say in float64, whatever the threads; other rows stay. The recipes' tests have every rule.
func TestAscend(t *testing.T) {
	const rows, cols, before, rate, scale = 9, 40, 2, 0.3, 2
	offsets := []int32{0, 1, 1, 6}
	start, along := random(rows*cols, "x"), random(rows*cols, "slopes")
	for _, bound := range []float64{0, 1} {
		want := wide(start)
		for i := range len(offsets) - 1 {
			from, to := (before+int(offsets[i]))*cols, (before+int(offsets[i+1]))*cols
			var slopes, added float64
			for _, s := range along[from:to] {
				slopes += float64(s) * float64(s)
			}
			for j := from; j < to; j++ {
				want[j] += rate * float64(along[j]) / math.Sqrt(slopes)
				added += want[j] * want[j]
			}
			for j := from; j < to && bound > 0; j++ { // all are longer
				want[j] *= bound / math.Sqrt(added)
			}
		}
		for _, threads := range []int{1, 2, 7} {
			setThreads(t, threads)
			d := New()
			x := d.Wrap(rows, cols, slices.Clone(start))
			d.Ascend(x, d.Wrap(rows, cols, along), scale, engine.Ascent{Before: before, Offsets: offsets, Rate: rate, Bound: bound})
			for i, v := range data(x) {
				if math.Abs(float64(v)-want[i]) > 1e-6 {
					t.Fatalf("bound %v, %d threads: element %d is %v, want %v", bound, threads, i, v, want[i])
				}
			}
		}
	}
	d := New()
	x := d.Wrap(rows, cols, start)
	for _, a := range []engine.Ascent{{}, {Offsets: []int32{0, 10}}, {Before: 8, Offsets: []int32{0, 2}}, {Before: -1, Offsets: []int32{0, 2}}, {Offsets: []int32{0, 4, 3}}, {Offsets: []int32{-1, 4}}} {
		mustPanicWithShape(t, fmt.Sprint(a), func() { d.Ascend(x, x, 1, a) })
	}
	mustPanicWithShape(t, "other slopes", func() { d.Ascend(x, d.New(cols, rows), 1, engine.Ascent{Offsets: []int32{0, 9}}) })
}

// Each row is drawn within its bound, by the same numbers whatever the threads.
func TestNoise(t *testing.T) {
	const rows, cols = 7, 300
	bounds := []float32{0, 1, 0.5, 0, 2, 3, 0.1}
	var want []float32
	for _, threads := range []int{1, 2, 7} {
		setThreads(t, threads)
		d := New()
		x := d.New(rows, cols)
		d.Noise(x, bounds, engine.Noise{Key: 5, Stream: 7})
		for row, bound := range bounds {
			if most := slices.Max(data(x)[row*cols:][:cols]); most > bound || most < 0.9*bound {
				t.Errorf("row %d: the largest is %v, the bound %v", row, most, bound)
			}
		}
		if want == nil {
			want = slices.Clone(data(x))
		}
		if !slices.Equal(data(x), want) {
			t.Errorf("%d threads: other numbers", threads)
		}
	}
	d := New()
	mustPanicWithShape(t, "bounds of other rows", func() { d.Noise(d.New(3, 2), []float32{1, 2}, engine.Noise{}) })
}
