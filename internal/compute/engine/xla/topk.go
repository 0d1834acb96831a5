package xla

import (
	"math"
	"strconv"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// TopK implements [engine.Device].
func (d *Device) TopK(ids []int32, values []float32, logSums []float64, x *engine.Tensor, k int, except int32) {
	engine.CheckTopK(ids, values, logSums, x, k, except)
	if x.Rows == 0 {
		return
	}
	width := 2*k + 3
	found := d.New(x.Rows, width)
	of(found).room = of(x).room
	defer d.Free(found)
	record(d, "top k", k, lowerTopK, []*engine.Tensor{found}, d.tensor(x), d.count(int(except)))
	host := make([]float32, found.Len())
	d.Read(host, found)
	for row := range x.Rows {
		of := host[row*width:][:width]
		largest, sum := of[2*k], engine.Joined(of[2*k+1], of[2*k+2])
		logSums[row] = float64(largest) + math.Log(sum)
		for i := range k {
			ids[row*k+i], values[row*k+i] = int32(math.Float32bits(of[k+i])), of[i]
			if math.IsNaN(logSums[row]) {
				ids[row*k+i], values[row*k+i] = int32(i), float32(math.NaN())
			}
		}
	}
}

// lowerTopK returns the values, the bits of their columns, the largest and the sum of the exponentials of what is below it.
func lowerTopK(b *builder, k int, ins []val) []val {
	x := ins[0]
	rows, cols := x.dims[0], x.dims[1]
	column := b.iota(pjrt.I32, 1, rows, cols)
	x = b.choose(b.compare("EQ", column, b.fill(ins[1], rows, cols)), b.like(x, math.Inf(-1)), x)
	// A sum that is not finite says that x is not either. Where all are -Inf, nothing is below.
	largest := b.largest(x, 1)
	top := b.choose(b.compare("EQ", largest, b.like(largest, math.Inf(-1))), b.like(largest, 0), largest)
	below := b.convert(b.unary("exponential", b.subtract(x, b.column(top, cols))), pjrt.F64)
	sum := b.parts(b.reduce("add", below, b.constant(pjrt.F64, "0.0"), 1))
	// 0 and -0 are equal, and of equal ones the lower column comes first.
	values, ids := b.topK(b.choose(b.compare("EQ", x, b.like(x, 0)), b.like(x, 0), x), k)
	return []val{b.concatenate(1, values, b.bits(ids, f32), b.reshape(top, rows, 1), sum)}
}

// topK returns the k largest elements of each row and their columns.
func (b *builder) topK(x val, k int) (values, ids val) {
	b.n++
	name, dims := "%v"+strconv.Itoa(b.n), []int{x.dims[0], k}
	values, ids = val{name + "#0", x.typ, dims}, val{name + "#1", pjrt.I32, dims}
	b.text.WriteString("    " + name + ":2 = chlo.top_k(" + x.name + ", k = " + strconv.Itoa(k) + ") : " + x.tensor() + " -> (" + values.tensor() + ", " + ids.tensor() + ")\n")
	return values, ids
}
