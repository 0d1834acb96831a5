package cpu

import (
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// topKChunk is the columns whose largest element and exponentials are found together. One of the k
// largest elements of a row lies in one of the k chunks with the largest largest elements.
const topKChunk = 256

// TopK implements [engine.Device].
func (d *Device) TopK(ids []int32, values []float32, logSums []float64, x *engine.Tensor, k int, except int32) {
	engine.CheckTopK(ids, values, logSums, x, k, except)
	rows, cols := x.Rows, x.Cols
	a := topK{ids: ids, values: values, logSums: logSums, x: data(x), cols: cols, k: k, except: int(except)}
	a.chunks = (cols-1)/topKChunk + 1
	a.pieces = grow(&d.loops.pieces, rows*a.chunks)
	d.loops.topK.run(d.limit, len(a.pieces), 64, a, (*topK).scan)
	d.loops.topK.run(d.limit, rows, 1, a, (*topK).choose)
}

// topK is a search for the largest elements of rows.
type topK struct {
	ids       []int32
	values    []float32
	logSums   []float64
	x         []float32
	cols      int
	k, except int

	chunks int // of a row
	pieces []piece
}

// chunk returns the elements of chunk c of a row; with -Inf in the column except, in the buffer.
func (a *topK) chunk(row, c int, buffer []float32) []float32 {
	lo, hi := c*topKChunk, min((c+1)*topKChunk, a.cols)
	x := rowOf(a.x, row, a.cols)[lo:hi]
	if lo <= a.except && a.except < hi {
		copy(buffer, x)
		buffer[a.except-lo] = float32(math.Inf(-1))
		x = buffer[:len(x)]
	}
	return x
}

// scan finds what is to be known of chunks.
func (a *topK) scan(lo, hi int) {
	s := scratches.Get().(*scratch)
	buffer := grow(&s.scores, topKChunk)
	for i := lo; i < hi; i++ {
		x := a.chunk(i/a.chunks, i%a.chunks, buffer)
		a.pieces[i].largest, a.pieces[i].exponentials = exponentials(buffer[:len(x)], x)
	}
	scratches.Put(s)
}

// choose finds the largest elements of rows.
func (a *topK) choose(lo, hi int) {
	s := scratches.Get().(*scratch)
	buffer := grow(&s.scores, topKChunk)
	for row := lo; row < hi; row++ {
		pieces := a.pieces[row*a.chunks:][:a.chunks]
		best := heap{ids: a.ids[row*a.k:][:0:a.k], values: a.values[row*a.k:][:0:a.k]}
		a.logSums[row] = logSumExpOf(pieces)
		if math.IsNaN(a.logSums[row]) {
			for i := range a.k {
				best.ids, best.values = append(best.ids, int32(i)), append(best.values, float32(math.NaN()))
			}
			continue
		}
		floor := float32(math.Inf(-1)) // what is below is none of the largest
		if a.chunks >= a.k {
			for c, p := range pieces {
				best.offer(int32(c), p.largest)
			}
			floor = best.values[0]
			best.ids, best.values = best.ids[:0], best.values[:0]
		}
		for c, p := range pieces {
			if p.largest < floor {
				continue
			}
			for i, v := range a.chunk(row, c, buffer) {
				if v < floor {
					continue
				}
				if best.offer(int32(c*topKChunk+i), v); len(best.values) == a.k {
					floor = best.values[0]
				}
			}
		}
		best.sort()
	}
	scratches.Put(s)
}

// heap holds as many of the largest elements as it has room for, the smallest of them on top (of equal
// ones the highest column). Elements are offered in the order of columns.
type heap struct {
	ids    []int32
	values []float32
}

func (h *heap) less(i, j int) bool {
	return h.values[i] < h.values[j] || h.values[i] == h.values[j] && h.ids[i] > h.ids[j]
}

func (h *heap) swap(i, j int) {
	h.ids[i], h.ids[j] = h.ids[j], h.ids[i]
	h.values[i], h.values[j] = h.values[j], h.values[i]
}

func (h *heap) offer(id int32, value float32) {
	if len(h.ids) == cap(h.ids) {
		if value > h.values[0] {
			h.ids[0], h.values[0] = id, value
			h.sink(len(h.ids))
		}
		return
	}
	h.ids, h.values = append(h.ids, id), append(h.values, value)
	for i := len(h.ids) - 1; i > 0 && h.less(i, (i-1)/2); i = (i - 1) / 2 {
		h.swap(i, (i-1)/2)
	}
}

// sink moves the top of the first n elements down to its place.
func (h *heap) sink(n int) {
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < n; child++ {
			if h.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

// sort puts the largest element first.
func (h *heap) sort() {
	for n := len(h.ids) - 1; n > 0; n-- {
		h.swap(0, n)
		h.sink(n)
	}
}
