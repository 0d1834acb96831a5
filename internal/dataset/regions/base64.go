package regions

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"unsafe"
)

// nativeLittle says whether memory has the byte order of the files.
var nativeLittle = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// asBytes returns the memory of values.
func asBytes(values []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values))
}

// littleEndian turns values whose memory was read from a file into values.
func littleEndian(values []float32) {
	if nativeLittle {
		return
	}
	for i, raw := 0, asBytes(values); i < len(values); i++ {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
}

// littleBytes returns values as the files have them: their memory where that is the same.
func littleBytes(values []float32) []byte {
	if nativeLittle {
		return asBytes(values)
	}
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}

// floatsIn returns how many float32 a field of base64 holds.
func floatsIn(field []byte) (int, error) {
	n := len(field) / 4 * 3
	for i := len(field) - 1; i >= 0 && i >= len(field)-2 && field[i] == '='; i-- {
		n--
	}
	if len(field)%4 != 0 || n%4 != 0 {
		return 0, errors.New("is not base64 of float32 values; it was cut off, or is something else")
	}
	return n / 4, nil
}

// encodedSize returns the length of base64 that holds n float32.
func encodedSize(n int) int { return base64.StdEncoding.EncodedLen(4 * n) }

// decodeFloats sets dst, of the length that floatsIn says, to what a field holds.
func decodeFloats(dst []float32, field []byte) error {
	raw := asBytes(dst)
	// All but the last four characters decode to three bytes each, right where they
	// belong; the last may be fewer, but the decoder wants room for three.
	whole := max(0, len(field)-4)
	n, err := base64.StdEncoding.Decode(raw, field[:whole])
	if err == nil && whole < len(field) {
		var last [3]byte
		var k int
		if k, err = base64.StdEncoding.Decode(last[:], field[whole:]); err == nil {
			n += copy(raw[n:], last[:k])
		}
	}
	if err != nil {
		return err
	}
	if n != len(raw) { // a line end in the middle, which the decoder passes over
		return base64.CorruptInputError(n)
	}
	littleEndian(dst)
	return nil
}
