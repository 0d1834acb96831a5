package cpu

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/engine"
)

// TopK implements [engine.Device].
func (d *Device) TopK(ids []int32, values []float32, logSums []float64, x *engine.Tensor, k int, except int32) {
	const op = "top k"
	rows, cols := x.Rows, x.Cols
	if k < 1 || k >= cols || len(ids) != rows*k || len(values) != rows*k || len(logSums) != rows || int(except) >= cols {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d of %d x %d but column %d, into %d ids, %d values and %d sums", k, rows, cols, except, len(ids), len(values), len(logSums))})
	}
	order := make([]int32, cols)
	row := make([]float32, cols)
	for r := range rows {
		copy(row, rowOf(data(x), r, cols))
		if except >= 0 {
			row[except] = float32(math.Inf(-1))
		}
		logSums[r] = logSumExp(row)
		for i := range order {
			order[i] = int32(i)
		}
		if logSums[r] == logSums[r] {
			slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(row[b], row[a]) })
		}
		for i, id := range order[:k] {
			ids[r*k+i], values[r*k+i] = id, row[id]
			if logSums[r] != logSums[r] {
				values[r*k+i] = float32(logSums[r])
			}
		}
	}
}
