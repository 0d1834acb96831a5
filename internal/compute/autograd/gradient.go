package autograd

import (
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Gradient is the gradient of a parameter. It is empty (zero) until a pass adds to it, and
// accumulates over passes until it is cleared. Nothing is zeroed ahead of time: what
// comes first overwrites.
//
// A table gets the gradient of the rows that were looked up. The memory of its other rows means
// zero, whatever it holds; see [Gradient.Extent]. On a device that is not rowwise it is dense.
type Gradient struct {
	tensor *engine.Tensor // as large as the parameter
	extent Extent
	rows   []int32 // of extent Rows: those touched, in the order of their first touch
	touch  []bool  // by row; nil until rows are used
	first  []bool  // scratch of scatter

	pending bool

	// Before, if set, is called before a pass reads rows of the parameter (nil: all of it). An
	// optimiser that postpones updates makes them then.
	Before func(rows []int32)
}

// Extent says which part of a gradient is not zero.
type Extent int

// A gradient is empty, has some rows, or is dense.
const (
	Empty Extent = iota
	Rows
	Dense
)

// NewGradient returns an empty gradient that lives in t.
func NewGradient(t *engine.Tensor) *Gradient { return &Gradient{tensor: t} }

// Extent says which part is not zero.
func (g *Gradient) Extent() Extent { return g.extent }

// Tensor returns the memory; what it means depends on [Gradient.Extent].
func (g *Gradient) Tensor() *engine.Tensor { return g.tensor }

// Rows returns the rows that are not zero, in ascending order. It is for a gradient of extent
// Rows. The slice is valid until the next pass.
func (g *Gradient) Rows() []int32 {
	slices.Sort(g.rows)
	return g.rows[:len(g.rows):len(g.rows)]
}

// Pending says whether a pass that is on a tape with [Tape.Final] may add to the gradient yet.
func (g *Gradient) Pending() bool { return g.pending }

// Clear empties the gradient.
func (g *Gradient) Clear() {
	for _, row := range g.rows {
		g.touch[row] = false
	}
	g.rows, g.extent = g.rows[:0], Empty
}

// Fill makes the gradient dense: rows that mean zero become zero in memory.
func (g *Gradient) Fill(d engine.Device) *engine.Tensor {
	switch {
	case g.extent == Empty:
		d.Zero(g.tensor)
	case g.extent == Rows:
		part := d.New(len(g.rows), g.tensor.Cols)
		d.Gather(part, g.tensor, g.rows, false)
		d.Zero(g.tensor)
		d.ScatterAdd(g.tensor, g.rows, part, nil)
		d.Free(part)
	}
	g.Clear()
	g.extent = Dense
	return g.tensor
}

// all returns the memory for an operation that writes or adds to all of it.
func (g *Gradient) all(d engine.Device) (t *engine.Tensor, accumulate bool) {
	if g.extent == Empty {
		g.extent = Dense
		return g.tensor, false
	}
	return g.Fill(d), true
}

// scatter adds rows of dy to the rows ids.
func (g *Gradient) scatter(d engine.Device, ids []int32, dy *engine.Tensor) {
	if g.extent == Empty && !d.Rowwise() {
		g.Fill(d)
	}
	if g.extent == Dense {
		d.ScatterAdd(g.tensor, ids, dy, nil)
		return
	}
	engine.CheckIndices("scatter add", ids, g.tensor.Rows)
	if g.touch == nil {
		g.touch = make([]bool, g.tensor.Rows)
		d.Sparse(g.tensor)
	}
	g.extent = Rows
	g.first = slices.Grow(g.first[:0], len(ids))[:len(ids)]
	for i, id := range ids {
		g.first[i] = !g.touch[id]
		if g.first[i] {
			g.touch[id] = true
			g.rows = append(g.rows, id)
		}
	}
	d.ScatterAdd(g.tensor, ids, dy, g.first)
}

// Swap exchanges what two gradients of one parameter hold.
func (g *Gradient) Swap(h *Gradient) {
	g.tensor, h.tensor = h.tensor, g.tensor
	g.extent, h.extent = h.extent, g.extent
	g.rows, h.rows = h.rows, g.rows
	g.touch, h.touch = h.touch, g.touch
}

// Merge adds the gradient h of the same parameter and empties h. Rows that only one of them has are taken as they are.
func (g *Gradient) Merge(d engine.Device, h *Gradient) {
	if g.extent < h.extent {
		g.Swap(h)
	}
	switch h.extent {
	case Dense:
		d.Add(g.tensor, g.tensor, h.tensor)
	case Rows:
		part := d.New(len(h.rows), h.tensor.Cols)
		d.Gather(part, h.tensor, h.rows, false)
		g.scatter(d, h.rows, part)
		d.Free(part)
	}
	h.Clear()
}

// Widen makes the gradient have at least some rows (extent Rows), or all (Dense). Those that it did not have become -0, the one
// number that changes no other that it is added to, 0 and -0 included: sums with them are to the same bits those of
// [Gradient.Merge], which leaves such rows out. An empty gradient becomes dense without an operation of the device, also while
// it computes something else.
func (g *Gradient) Widen(d engine.Device, to Extent, rows []int32) {
	switch {
	case g.extent == Dense || to == Empty:
	case to == Rows:
		missing := slices.DeleteFunc(slices.Clone(rows), func(row int32) bool { return g.touch != nil && g.touch[row] })
		part := d.New(len(missing), g.tensor.Cols)
		minusZero(d, part)
		g.scatter(d, missing, part)
		d.Free(part)
	case g.extent == Empty:
		minusZero(d, g.tensor)
		g.extent = Dense
	default:
		had := slices.Clone(g.rows)
		part := d.New(len(had), g.tensor.Cols)
		d.Gather(part, g.tensor, had, false)
		minusZero(d, g.tensor)
		d.ScatterAdd(g.tensor, had, part, nil)
		d.Free(part)
		g.Clear()
		g.extent = Dense
	}
}

func minusZero(d engine.Device, t *engine.Tensor) {
	values := engine.Values(d, t)
	for i := range values {
		values[i] = float32(math.Copysign(0, -1))
	}
	d.Write(t, values)
}
