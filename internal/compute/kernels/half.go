package kernels

import "math"

// FromBFloat16 computes dst = x, whose elements are the upper halves of float32.
func FromBFloat16(dst []float32, x []uint16) {
	sameLen("FromBFloat16", "dst", len(dst), "x", len(x))
	for i, v := range x {
		dst[i] = math.Float32frombits(uint32(v) << 16)
	}
}

// FromFloat16 computes dst = x, whose elements are of IEEE 754 half precision, which is exact.
func FromFloat16(dst []float32, x []uint16) {
	sameLen("FromFloat16", "dst", len(dst), "x", len(x))
	for i, v := range x {
		dst[i] = fromFloat16(v)
	}
}

// fromFloat16 moves the bits to where a float32 has them and multiplies by the difference of the exponents, which also makes
// subnormal numbers normal.
func fromFloat16(v uint16) float32 {
	const subnormals = 0x1p112 // 2^(127-15)
	bits := math.Float32bits(math.Float32frombits(uint32(v&0x7fff)<<13) * subnormals)
	if v&0x7c00 == 0x7c00 { // NaN, or an infinity
		bits |= 0x7f800000
	}
	return math.Float32frombits(bits | uint32(v&0x8000)<<16)
}
