package nn

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Int8 returns the whole numbers and scales that a tensor of r is shown from, as [checkpoint.QuantisedReader] has them; ok is false if
// there are none. What shows a part of another checkpoint has the method, so that a model stays one of whole numbers behind it.
func Int8(r checkpoint.Reader, name string) (values []int8, scales []float32, perRow, ok bool, err error) {
	q, is := r.(interface {
		Int8(name string) (values []int8, scales []float32, perRow, ok bool, err error)
	})
	if !is {
		return nil, nil, false, false, nil
	}
	return q.Int8(name)
}

// tensor returns a tensor of r that stays. A matrix in fewer bytes than float32 is not expanded: most are multiplied or looked up, which
// devices do with what is stored.
func tensor(d engine.Device, r checkpoint.Reader, name string, spec Spec) (*engine.Tensor, error) {
	rows, cols := spec.Matrix()
	bytes, scales, byRow, ok, err := Int8(r, name)
	if err != nil {
		return nil, err
	}
	if want := map[bool]int{true: rows, false: cols}[byRow]; ok && len(scales) != want {
		return nil, fmt.Errorf("tensor %s: %d scales for %d x %d; quantise the model again", name, len(scales), rows, cols)
	}
	if ok {
		return d.Store(engine.Stored{Rows: rows, Cols: cols, Format: engine.Int8, Bytes: bytes, Scales: scales, ByRow: byRow}), nil
	}
	info, err := r.Info(name)
	if err != nil {
		return nil, err
	}
	format, half := map[checkpoint.DType]engine.Format{checkpoint.BF16: engine.BFloat16, checkpoint.F16: engine.Float16}[info.DType]
	if half && rows > 1 && cols > 1 {
		data, err := r.Bytes(name)
		if err != nil {
			return nil, err
		}
		return d.Store(engine.Stored{Rows: rows, Cols: cols, Format: format, Halves: halves(data)}), nil
	}
	values, _, err := checkpoint.Float32s(r, name)
	if err != nil {
		return nil, err
	}
	return d.Wrap(rows, cols, values), nil
}

// halves returns the 16-bit numbers of little-endian data, in its memory if that is possible.
func halves(data []byte) []uint16 {
	n := len(data) / 2
	start := unsafe.Pointer(unsafe.SliceData(data))
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 && uintptr(start)%2 == 0 {
		return unsafe.Slice((*uint16)(start), n)
	}
	list := make([]uint16, n)
	for i := range list {
		list[i] = binary.LittleEndian.Uint16(data[2*i:])
	}
	return list
}
