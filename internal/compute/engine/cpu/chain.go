package cpu

import (
	"sync"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// chainBlock is the elements that lie between the convolutions of a chain at a time: what a core's second-level cache holds beside the
// weights.
const chainBlock = 256 << 10

// chain is a run of convolutions on rows of its last picture. Between them are line buffers: the rows that the next convolution
// needs for its next rows.
type chain struct {
	layers []convolution
	ends   []int // of each layer, the row after the last that it has computed
	wanted []int // the row after the last that it is to compute
}

var chains = sync.Pool{New: func() any { return new(chain) }}

// ConvolveChain implements [engine.Device].
func (d *Device) ConvolveChain(y, x *engine.Tensor, steps ...engine.Step) {
	engine.CheckChain(y, x, steps)
	if len(steps) == 1 {
		d.Convolve(y, x, steps[0].Filter, steps[0].Window, steps[0].Epilogue)
		return
	}
	if y.Rows == 0 {
		return
	}
	height, _ := steps[len(steps)-1].Window.Out()
	// Threads take a part of the rows each and compute again what two parts need.
	parts := min(d.limit.Threads(), height)
	d.loops.chain.run(d.limit, height, (height-1)/parts+1, chaining{data(y), data(x), steps}, (*chaining).rows)
}

// chaining is the arguments of a chain.
type chaining struct {
	y, x  []float32
	steps []engine.Step
}

// rows computes rows lo to hi of the last picture.
func (a *chaining) rows(lo, hi int) {
	c := chains.Get().(*chain)
	defer chains.Put(c)
	c.layers, c.ends, c.wanted = c.layers[:0], c.ends[:0], c.wanted[:0]
	perRow := 0 // elements between the layers for a row of the last picture
	for _, s := range a.steps {
		w := s.Window
		w.Rows, w.Cols, w.Stride, w.Dilation = s.Filter.Rows, s.Filter.Cols, max(w.Stride, 1), max(w.Dilation, 1)
		c.layers = append(c.layers, newConvolution(s.Filter, w, s.Epilogue))
		c.ends, c.wanted = append(c.ends, 0), append(c.wanted, 0)
		perRow *= w.Stride
		perRow += c.layers[len(c.layers)-1].outWidth * s.Filter.Out
	}
	last := len(c.layers) - 1
	band := min(max(chainBlock/max(perRow, 1), 1), hi-lo)
	bands := (hi - lo - 1) / band
	band = (hi-lo-1)/(bands+1) + 1 // equal ones

	// How many rows each buffer has to hold, for a band anywhere in the picture.
	total, rows := 0, band
	for i := last; i > 0; i-- {
		l := &c.layers[i]
		rows = min((rows-1)*l.Stride+(l.Rows-1)*l.Dilation+1, l.Height)
		total += rows * l.Width * l.in
	}
	buffer, memory := borrow(total)
	defer borrowed.Put(memory)
	rows = band
	for i := last; i > 0; i-- {
		l, before := &c.layers[i], &c.layers[i-1]
		rows = min((rows-1)*l.Stride+(l.Rows-1)*l.Dilation+1, l.Height)
		n := rows * l.Width * l.in
		l.x, before.y, buffer = buffer[:n], buffer[:n], buffer[n:]
	}
	c.layers[0].x, c.layers[last].y = a.x, a.y
	c.ends[last] = lo
	for top := lo; top < hi; top += band {
		c.compute(min(top+band, hi))
	}
	clear(c.layers) // the pool must not keep pictures alive
}

// compute computes the rows of the last picture up to end, and before them what they need of the others.
func (c *chain) compute(end int) {
	last := len(c.layers) - 1
	c.wanted[last] = end
	for i := last; i > 0; i-- {
		l, before := &c.layers[i], &c.layers[i-1]
		if c.wanted[i] <= c.ends[i] { // it has all the rows
			c.wanted[i-1] = c.ends[i-1]
			continue
		}
		first, end := l.needs(c.ends[i], c.wanted[i])
		// Rows that were computed before and are needed again move to the top of the buffer.
		line := l.Width * l.in
		if c.ends[i-1] > first {
			copy(l.x, l.x[(first-l.xFirst)*line:(c.ends[i-1]-l.xFirst)*line])
		} else {
			c.ends[i-1] = first
		}
		l.xFirst, before.yFirst = first, first
		c.wanted[i-1] = max(end, c.ends[i-1])
	}
	for i := range c.layers {
		if l := &c.layers[i]; c.wanted[i] > c.ends[i] {
			l.rows(c.ends[i], c.wanted[i])
			c.ends[i] = c.wanted[i]
		}
	}
}
