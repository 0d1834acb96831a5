package engine

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// Format says what a tensor's numbers are in memory.
type Format uint8

// The formats.
const (
	Float32  Format = iota
	BFloat16        // the upper half of a float32
	Float16         // IEEE 754 half precision
	Int8            // -127 to 127, times a scale of the row or of the column
)

// String returns the format's name.
func (f Format) String() string {
	switch f {
	case Float32:
		return "float32"
	case BFloat16:
		return "bfloat16"
	case Float16:
		return "float16"
	case Int8:
		return "int8"
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// Stored is a matrix of weights that stay, row by row in fewer bytes than float32 has, in memory of the program that nobody changes.
type Stored struct {
	Rows, Cols int
	Format     Format
	Halves     []uint16  // of BFloat16 and Float16
	Bytes      []int8    // of Int8
	Scales     []float32 // of Int8: one for each column or, if ByRow, for each row
	ByRow      bool
}

// Check panics with a [ShapeError] unless there are as many numbers and scales as the shape wants.
func (s Stored) Check() {
	n, halves, bytes, scales := s.Rows*s.Cols, 0, 0, 0
	switch s.Format {
	case BFloat16, Float16:
		halves = n
	case Int8:
		bytes, scales = n, s.Cols
		if s.ByRow {
			scales = s.Rows
		}
	default:
		panic(ShapeError{"store", fmt.Sprintf("format %v", s.Format)})
	}
	if min(s.Rows, s.Cols) < 0 || len(s.Halves) != halves || len(s.Bytes) != bytes || len(s.Scales) != scales {
		panic(ShapeError{"store", fmt.Sprintf("%d halves, %d bytes and %d scales for %d x %d of %v", len(s.Halves), len(s.Bytes), len(s.Scales), s.Rows, s.Cols, s.Format)})
	}
}

// Floats returns the numbers in float32.
func (s *Stored) Floats() []float32 {
	x := make([]float32, s.Rows*s.Cols)
	s.ReadRows(x, 0)
	return x
}

// ReadRows sets x to the numbers of whole rows, from row on.
func (s *Stored) ReadRows(x []float32, row int) {
	at := row * s.Cols
	if format, ok := s.Half(); ok {
		format.Widen(x, s.Halves[at:at+len(x)])
		return
	}
	for ; len(x) > 0; x, row = x[s.Cols:], row+1 {
		for i, v := range s.Bytes[row*s.Cols:][:s.Cols] {
			scale := row
			if !s.ByRow {
				scale = i
			}
			x[i] = float32(v) * s.Scales[scale]
		}
	}
}

// Half says what the 16-bit numbers of s are; ok is false if it has none. The receiver may be nil.
func (s *Stored) Half() (format kernels.HalfFormat, ok bool) {
	switch {
	case s == nil:
	case s.Format == BFloat16:
		return kernels.BFloat16, true
	case s.Format == Float16:
		return kernels.Float16, true
	}
	return 0, false
}

// Multiplied says whether s is bytes with a scale for each column of a product with op(s), whose sums fit, so that bytes are multiplied.
// The receiver may be nil.
func (s *Stored) Multiplied(op Transpose) bool {
	if s == nil || s.Format != Int8 || s.ByRow != (op == NT) {
		return false
	}
	k := s.Rows
	if s.ByRow {
		k = s.Cols
	}
	return k <= kernels.Int8MaxK
}
