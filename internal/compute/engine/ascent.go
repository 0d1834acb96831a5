package engine

import "fmt"

// Ascent is a step of an attack: what is added to each example, some rows of a tensor, goes along its slopes, by itself. The examples' rows lie
// one after the other behind those that stay.
type Ascent struct {
	Before  int     // rows that stay
	Offsets []int32 // of the examples, behind these
	Largest bool    // norms are the largest element, else the root of the sum of squares
	Rate    float64 // the norm of a step
	// Bound is that of what is added; 0: none. With Largest each element is cut to it, else all shrink where the norm is above it: by the norm of what is
	// added or, with BySlopes, by that of the slopes.
	Bound    float64
	BySlopes bool
}

// LeastSlopes is the least norm that slopes are divided by.
const LeastSlopes = 1e-8

// Check panics with a [ShapeError] unless x has the examples' rows.
func (a Ascent) Check(op string, x, slopes *Tensor) {
	CheckShape(op, "slopes", slopes, x.Rows, x.Cols)
	last := int32(0)
	for i, offset := range a.Offsets {
		if offset < last {
			panic(ShapeError{op, fmt.Sprintf("example %d begins at row %d, behind %d", i, offset, last)})
		}
		last = offset
	}
	if a.Before < 0 || len(a.Offsets) == 0 || a.Before+int(last) > x.Rows {
		panic(ShapeError{op, fmt.Sprintf("%d rows of examples behind %d, of %d", last, a.Before, x.Rows)})
	}
}

// Example returns where the rows of the i-th example begin and end.
func (a Ascent) Example(i int) (from, to int) {
	return a.Before + int(a.Offsets[i]), a.Before + int(a.Offsets[i+1])
}
