package checkpoint

import (
	"fmt"
	"math"
)

// DType is the type of a tensor's elements. The zero value is no type, and an error where one is needed.
type DType uint8

// The element types, by their names in safetensors.
const (
	Bool DType = iota + 1 // one byte, 0 or 1
	U8
	I8
	U16
	I16
	U32
	I32
	U64
	I64
	F16  // IEEE 754 half precision
	BF16 // the upper half of an F32
	F32
	F64

	// The types below are read, listed and copied, and nothing is computed with them.

	F8E4M3     // one byte: sign, four bits of exponent, three of fraction
	F8E5M2     // one byte, with five and two
	F8E4M3FNUZ // the same without infinities and negative zero
	F8E5M2FNUZ
	F8E8M0 // one byte: an exponent
	C64    // complex: two F32
	C128   // complex: two F64
)

// dtypes is indexed by DType.
var dtypes = [...]struct {
	name string
	size int
}{
	Bool: {"BOOL", 1},
	U8:   {"U8", 1}, I8: {"I8", 1},
	U16: {"U16", 2}, I16: {"I16", 2},
	U32: {"U32", 4}, I32: {"I32", 4},
	U64: {"U64", 8}, I64: {"I64", 8},
	F16: {"F16", 2}, BF16: {"BF16", 2}, F32: {"F32", 4}, F64: {"F64", 8},
	F8E4M3: {"F8_E4M3", 1}, F8E5M2: {"F8_E5M2", 1}, F8E4M3FNUZ: {"F8_E4M3FNUZ", 1}, F8E5M2FNUZ: {"F8_E5M2FNUZ", 1}, F8E8M0: {"F8_E8M0", 1},
	C64: {"C64", 8}, C128: {"C128", 16},
}

// String returns the type's name in safetensors, such as "F32".
func (d DType) String() string {
	if !d.valid() {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return dtypes[d].name
}

// Size returns the bytes of one element, 0 for what is no type.
func (d DType) Size() int {
	if !d.valid() {
		return 0
	}
	return dtypes[d].size
}

// Computed says whether this package knows the values of the type: [Statistics] takes them, and
// [Float32s] where they are floating-point numbers. Others can be listed and copied.
func (d DType) Computed() bool { return d.valid() && d <= F64 }

// Float says whether the type is one of floating-point numbers that [Float32s] takes.
func (d DType) Float() bool { return d == F16 || d == BF16 || d == F32 || d == F64 }

func (d DType) valid() bool { return d != 0 && int(d) < len(dtypes) }

// parseDType finds a type by its safetensors name.
func parseDType(name string) (DType, bool) {
	for d, t := range dtypes {
		if t.name == name && t.name != "" {
			return DType(d), true
		}
	}
	return 0, false
}

// Info describes a tensor without its data.
type Info struct {
	Name  string
	DType DType
	Shape []int // empty for a scalar; shared between callers, not to be changed
}

// Elements returns the number of elements: the product of Shape, 1 for a scalar.
// Readers only hand out shapes for which the product and the size in bytes fit an int.
func (i Info) Elements() int {
	n := 1
	for _, d := range i.Shape {
		n *= d
	}
	return n
}

// Tensor is a tensor with its data.
type Tensor struct {
	Info
	Data []byte // Elements() * DType.Size() bytes, little-endian, row-major
}

// maxRank bounds the dimensions of a tensor. numpy stops at 64, models at 5.
const maxRank = 64

// byteSize returns the bytes of a tensor of that type and shape, or an error if
// a dimension is negative or the size does not fit an int. A dimension of 0 does
// not excuse the others: code that multiplies them in another order must not
// overflow either.
func byteSize(d DType, shape []int) (int, error) {
	if len(shape) > maxRank {
		return 0, fmt.Errorf("shape has %d dimensions, at most %d are supported", len(shape), maxRank)
	}
	size, empty := d.Size(), false
	for _, n := range shape {
		switch {
		case n < 0:
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		case n == 0:
			empty = true
		case size > math.MaxInt/n:
			return 0, fmt.Errorf("shape %v of %v is larger than any memory", shape, d)
		default:
			size *= n
		}
	}
	if empty {
		return 0, nil
	}
	return size, nil
}
