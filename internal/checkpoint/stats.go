package checkpoint

import (
	"encoding/binary"
	"math"

	"github.com/x448/float16"
)

// Stats describes the values of a tensor. Min, Max, Mean, Std and AbsMax are over
// the finite ones, and finite themselves, so that they can go into JSON: 0 if there
// are none, and the largest float64 where a sum of F64 overflows. Std is the
// deviation of the values themselves (divided by their number, not by one less).
type Stats struct {
	Min, Max, Mean, Std, AbsMax float64
	Zeros, NaN, Inf             int
}

// Statistics reads a tensor of any type and describes its values. Sums are taken
// in float64 in the order of the elements, so the result is the same on every
// machine; 64-bit integers above 2^53 are rounded.
func Statistics(r Reader, name string) (Stats, error) {
	info, data, err := lookup(r, name)
	if err != nil {
		return Stats{}, err
	}
	var s Stats
	count, sum := 0, 0.0
	forEach(info.DType, data, func(v float64) {
		switch {
		case math.IsNaN(v):
			s.NaN++
			return
		case math.IsInf(v, 0):
			s.Inf++
			return
		case v == 0:
			s.Zeros++
		}
		if count == 0 {
			s.Min, s.Max = v, v
		}
		s.Min, s.Max = min(s.Min, v), max(s.Max, v)
		count++
		sum += v
	})
	if count == 0 {
		return s, nil
	}
	s.Mean = saturate(sum / float64(count))
	s.AbsMax = max(-s.Min, s.Max)
	// A second pass, because the sum of squares less the square of the sum would
	// cancel for a tensor such as a layer norm's scale, all near 1.
	squares := 0.0
	forEach(info.DType, data, func(v float64) {
		if d := v - s.Mean; !math.IsNaN(d) && !math.IsInf(d, 0) {
			squares += d * d
		}
	})
	s.Std = saturate(math.Sqrt(squares / float64(count)))
	return s, nil
}

func saturate(v float64) float64 { return max(-math.MaxFloat64, min(v, math.MaxFloat64)) }

// forEach calls f with every element as a float64.
func forEach(d DType, data []byte, f func(v float64)) {
	le := binary.LittleEndian
	size := d.Size()
	for ; len(data) >= size; data = data[size:] {
		switch d {
		case Bool, U8:
			f(float64(data[0]))
		case I8:
			f(float64(int8(data[0])))
		case U16:
			f(float64(le.Uint16(data)))
		case I16:
			f(float64(int16(le.Uint16(data))))
		case U32:
			f(float64(le.Uint32(data)))
		case I32:
			f(float64(int32(le.Uint32(data))))
		case U64:
			f(float64(le.Uint64(data)))
		case I64:
			f(float64(int64(le.Uint64(data))))
		case F16:
			f(float64(float16.Frombits(le.Uint16(data)).Float32()))
		case BF16:
			f(float64(math.Float32frombits(uint32(le.Uint16(data)) << 16)))
		case F32:
			f(float64(math.Float32frombits(le.Uint32(data))))
		case F64:
			f(math.Float64frombits(le.Uint64(data)))
		}
	}
}
