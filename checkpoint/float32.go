package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"github.com/x448/float16"
)

// nativeLittle says whether memory has the byte order of the files.
var nativeLittle = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// Float32s returns the elements of a tensor of a floating-point type as float32, row-major.
//
// If aliased is true, values is the memory of Reader.Bytes and ends with Close. That is so for F32
// whose data is aligned to 4 bytes on a little-endian machine; otherwise values is a copy. F16 and BF16
// convert exactly; F64 is rounded to nearest, and what is too large becomes an infinity. Another type
// is an error: nothing in a model means an integer as a weight.
func Float32s(r Reader, name string) (values []float32, aliased bool, err error) {
	info, data, err := lookup(r, name)
	if err != nil {
		return nil, false, err
	}
	n := info.Elements()
	if info.DType == F32 {
		if n > 0 && nativeLittle && uintptr(unsafe.Pointer(&data[0]))%4 == 0 {
			return unsafe.Slice((*float32)(unsafe.Pointer(&data[0])), n), true, nil
		}
	}
	if !info.DType.Computed() {
		return nil, false, inFile(r.Path(), fmt.Errorf("tensor %q: %w", name, errNotComputed(info.DType)))
	}
	var at func(i int) float32
	switch info.DType {
	case F16:
		at = func(i int) float32 { return float16.Frombits(binary.LittleEndian.Uint16(data[2*i:])).Float32() }
	case BF16:
		at = func(i int) float32 {
			return math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*i:])) << 16)
		}
	case F32:
		at = func(i int) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])) }
	case F64:
		at = func(i int) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))) }
	default:
		return nil, false, inFile(r.Path(), fmt.Errorf("tensor %q has type %v, where floating-point numbers are needed", name, info.DType))
	}
	values = make([]float32, n)
	for i := range values {
		values[i] = at(i)
	}
	return values, false, nil
}

// filler is a reader that copies a tensor's data without touching its own memory.
type filler interface {
	fill(dst []byte, name string) error
}

// ReadFloat32s sets dst to the elements of a tensor, converted as by [Float32s]. It is for weights that
// are kept: F32 goes straight from the file into dst, without the pages of a mapping, which would
// count as memory of the process. It panics if the length of dst is not the number of elements.
func ReadFloat32s(dst []float32, r Reader, name string) error {
	info, err := r.Info(name)
	if err != nil {
		return err
	}
	if info.Elements() != len(dst) {
		panic(fmt.Sprintf("checkpoint: tensor %q: %d values for shape %v", name, len(dst), info.Shape))
	}
	if f, ok := r.(filler); ok && info.DType == F32 && nativeLittle {
		return f.fill(FromFloat32(name, info.Shape, dst).Data, name)
	}
	values, _, err := Float32s(r, name)
	copy(dst, values)
	return err
}

// FromFloat32 makes an F32 tensor of values, row-major. On a little-endian machine Data aliases
// values; otherwise it is a copy. It panics if the length of values is not the product of shape.
func FromFloat32(name string, shape []int, values []float32) Tensor {
	t := Tensor{Info: Info{Name: name, DType: F32, Shape: shape}}
	size, err := byteSize(F32, shape)
	if err != nil || size != 4*len(values) {
		panic(fmt.Sprintf("checkpoint: tensor %q: %d values for shape %v", name, len(values), shape))
	}
	if nativeLittle && len(values) > 0 {
		t.Data = unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), size)
		return t
	}
	t.Data = make([]byte, size)
	for i, v := range values {
		binary.LittleEndian.PutUint32(t.Data[4*i:], math.Float32bits(v))
	}
	return t
}

// lookup returns a tensor's description and data.
func lookup(r Reader, name string) (Info, []byte, error) {
	data, err := r.Bytes(name)
	if err != nil {
		return Info{}, nil, err
	}
	info, err := r.Info(name)
	return info, data, err
}
