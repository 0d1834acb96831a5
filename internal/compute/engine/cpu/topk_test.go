package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// sorted is the oracle of TopK for a row: its columns, the largest first, and the log-sum-exp.
func sorted(row []float32, except int) (order []int32, logSum float64) {
	x := wide(row)
	if except >= 0 {
		x[except] = math.Inf(-1)
	}
	for i := range x {
		order = append(order, int32(i))
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		switch {
		case x[a] > x[b]:
			return -1
		case x[a] < x[b]:
			return 1
		}
		return 0
	})
	if top := x[order[0]]; math.IsInf(top, -1) {
		return order, top
	}
	_, logSum = softmax(x)
	return order, logSum
}

// checkTopK compares TopK with the oracle, with one thread and with more.
func checkTopK(t interface{ Errorf(string, ...any) }, x []float32, rows, cols, k, except int) {
	d := New()
	tensor := d.Wrap(rows, cols, slices.Clone(x))
	ids, values, sums := make([]int32, rows*k), make([]float32, rows*k), make([]float64, rows)
	d.TopK(ids, values, sums, tensor, k, int32(except))
	if !sameBits(data(tensor), x) {
		t.Errorf("the input was changed")
	}
	for r := range rows {
		row := x[r*cols : (r+1)*cols]
		order, logSum := sorted(row, except)
		if got := ids[r*k : (r+1)*k]; !slices.Equal(got, order[:k]) {
			t.Errorf("row %d: columns %v, want %v", r, got, order[:k])
			return
		}
		for i, id := range order[:k] {
			want := row[id]
			if int(id) == except {
				want = float32(math.Inf(-1))
			}
			if values[r*k+i] != want {
				t.Errorf("row %d: element %d is %g, want %g", r, i, values[r*k+i], want)
			}
		}
		// A lane of a vector adds up to 32 exponentials of a chunk.
		if !(math.Abs(sums[r]-logSum) <= (32+8)*epsilon || sums[r] == logSum) {
			t.Errorf("row %d: log sum %g, want %g", r, sums[r], logSum)
		}
	}
}

func TestTopK(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, c := range []struct{ rows, cols, k, except int }{
			{0, 5, 2, -1}, {1, 2, 1, 0}, {1, 2, 1, 1}, {3, 7, 6, 2}, {2, topKChunk, 10, -1}, {2, topKChunk + 1, 10, topKChunk},
			{3, 5*topKChunk - 1, 4, 2 * topKChunk}, {3, 5 * topKChunk, 5, 2*topKChunk - 1}, {3, 5*topKChunk + 1, 6, 0},
			{2, 3*topKChunk + 9, 3*topKChunk + 8, 77}, {3, 50265, 16, 0}, {1, 50265, 1000, -1},
		} {
			setThreads(t, 2)
			checkTopK(t, random(c.rows*c.cols, "x"), c.rows, c.cols, c.k, c.except)
		}
	})
}

// Rows with many equal elements and many -Inf, whose order only the columns decide.
func TestTopKOfTies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cols := rapid.IntRange(2, 4*topKChunk).Draw(t, "cols")
		k := min(rapid.IntRange(1, 12).Draw(t, "k"), cols-1)
		values := []float32{float32(math.Inf(-1)), -1, 0, 1, 2}[:rapid.IntRange(1, 5).Draw(t, "values")]
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		row := make([]float32, cols)
		for i := range row {
			row[i] = values[r.IntN(len(values))]
		}
		checkTopK(t, row, 1, cols, k, rapid.IntRange(-1, cols-1).Draw(t, "except"))
	})
}

func TestTopKIsTheSameForAnyNumberOfThreads(t *testing.T) {
	const rows, cols, k = 3, 9*topKChunk + 3, 5
	var first []float64
	for _, threads := range []int{1, 2, 7} {
		setThreads(t, threads)
		d := New()
		sums := make([]float64, rows)
		d.TopK(make([]int32, rows*k), make([]float32, rows*k), sums, d.Wrap(rows, cols, random(rows*cols, "x")), k, 1)
		if first == nil {
			first = sums
		}
		if !slices.Equal(sums, first) {
			t.Errorf("with %d threads the sums are %v, with one %v", threads, sums, first)
		}
	}
}

// A row that holds NaN or +Inf says so, and the others do not notice.
func TestTopKOfNaN(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const cols, k = 2*topKChunk + 5, 3
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
			for _, at := range []int{0, 7, topKChunk, cols - 1} {
				for _, except := range []int{-1, at} {
					x := random(3*cols, "x")
					x[cols+at] = bad
					d := New()
					ids, values, sums := make([]int32, 3*k), make([]float32, 3*k), make([]float64, 3)
					d.TopK(ids, values, sums, d.Wrap(3, cols, x), k, int32(except))
					for r := range 3 {
						want := r == 1 && except < 0
						if math.IsNaN(sums[r]) != want || (values[r*k] != values[r*k]) != want || (values[r*k+k-1] != values[r*k+k-1]) != want {
							t.Errorf("%g in column %d without %d: row %d is %v, its sum %g", bad, at, except, r, values[r*k:(r+1)*k], sums[r])
						}
					}
					for _, id := range ids {
						if id < 0 || id >= cols {
							t.Errorf("column %d", id)
						}
					}
				}
			}
		}
	})
}

func TestTopKRefusesBadSizes(t *testing.T) {
	d := New()
	x := d.New(2, 5)
	for _, c := range []struct {
		k, except, ids, values, sums int
	}{
		{0, -1, 0, 0, 2}, {-1, -1, 0, 0, 2}, {5, -1, 10, 10, 2}, {2, 5, 4, 4, 2}, {2, -1, 3, 4, 2}, {2, -1, 4, 5, 2}, {2, -1, 4, 4, 1},
	} {
		mustPanicWithShape(t, fmt.Sprintf("%+v", c), func() {
			d.TopK(make([]int32, c.ids), make([]float32, c.values), make([]float64, c.sums), x, c.k, int32(c.except))
		})
	}
	mustPanicWithShape(t, "no columns", func() { d.TopK(nil, nil, nil, &engine.Tensor{Memory: x.Memory}, 1, -1) })
}

// Beams of 4 for 10 sources, and one text.
func BenchmarkTopK(b *testing.B) {
	const cols = 50265
	for _, c := range [][2]int{{40, 8}, {40, 50}, {40, 1000}, {1, 8}} {
		rows, k := c[0], c[1]
		d := New()
		x := d.Wrap(rows, cols, random(rows*cols, "x"))
		ids, values, sums := make([]int32, rows*k), make([]float32, rows*k), make([]float64, rows)
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%d of %dx%d/threads=%d", k, rows, cols, threads), func(b *testing.B) {
				setThreads(b, threads)
				b.ReportAllocs()
				for b.Loop() {
					d.TopK(ids, values, sums, x, k, 0)
				}
				b.ReportMetric(float64(4*rows*cols)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
			})
		}
	}
}
