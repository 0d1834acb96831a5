package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/x448/float16"
)

// Stats describes the values of a tensor. Min, Max, Mean, Std and AbsMax are of the finite values, and
// finite themselves, so that they can go into JSON: 0 if there are none, and the largest float64 where
// a sum of F64 overflows. Std is the deviation of the values themselves (divided by their number, not
// by one less). Zeros, NaN and Inf count values.
type Stats struct {
	Min, Max, Mean, Std, AbsMax float64
	Zeros, NaN, Inf             int
}

// errNotComputed is the answer to the use of a tensor that can only be listed and copied.
func errNotComputed(d DType) error {
	return fmt.Errorf("has type %v, with which nothing is computed here; convert it to a type such as F32 first, with the library that wrote it", d)
}

// Statistics reads a tensor and describes its values. The type must be [DType.Computed]. Sums are taken
// in float64 in the order of the elements, so the result is the same on every machine; 64-bit integers
// above 2^53 are rounded.
func Statistics(r Reader, name string) (Stats, error) {
	info, data, err := lookup(r, name)
	if err != nil {
		return Stats{}, err
	}
	if !info.DType.Computed() {
		return Stats{}, inFile(r.Path(), fmt.Errorf("tensor %q: %w", name, errNotComputed(info.DType)))
	}
	var s Stats
	count, sum := 0, 0.0
	low, high := math.Inf(1), math.Inf(-1)
	forChunks(info.DType, data, func(chunk []float64) {
		for _, v := range chunk {
			switch {
			case math.IsNaN(v):
				s.NaN++
				continue
			case math.IsInf(v, 0):
				s.Inf++
				continue
			case v == 0:
				s.Zeros++
			}
			if v < low {
				low = v
			}
			if v > high {
				high = v
			}
			count++
			sum += v
		}
	})
	if count == 0 {
		return s, nil
	}
	s.Min, s.Max = low, high
	s.Mean = saturate(sum / float64(count))
	s.AbsMax = max(math.Abs(low), math.Abs(high))
	// A second pass, because the sum of squares less the square of the sum would
	// cancel for a tensor such as a layer norm's scale, all near 1.
	squares := 0.0
	forChunks(info.DType, data, func(chunk []float64) {
		for _, v := range chunk {
			if d := v - s.Mean; !math.IsNaN(d) && !math.IsInf(d, 0) {
				squares += d * d
			}
		}
	})
	s.Std = saturate(math.Sqrt(squares / float64(count)))
	return s, nil
}

func saturate(v float64) float64 { return max(-math.MaxFloat64, min(v, math.MaxFloat64)) }

// chunkElements fit the first-level cache as float64, 16 of its 32 KiB or more.
const chunkElements = 2048

// forChunks calls f with all elements as float64, some at a time. f must not keep the slice.
func forChunks(d DType, data []byte, f func(chunk []float64)) {
	var buffer [chunkElements]float64
	for len(data) > 0 {
		n := min(len(data)/d.Size(), chunkElements)
		chunk := buffer[:n]
		decode(chunk, d, data)
		f(chunk)
		data = data[n*d.Size():]
	}
}

// decode converts the first len(dst) elements of data.
func decode(dst []float64, d DType, data []byte) {
	le := binary.LittleEndian
	for i := range dst {
		switch d {
		case Bool, U8:
			dst[i] = float64(data[i])
		case I8:
			dst[i] = float64(int8(data[i]))
		case U16:
			dst[i] = float64(le.Uint16(data[2*i:]))
		case I16:
			dst[i] = float64(int16(le.Uint16(data[2*i:])))
		case U32:
			dst[i] = float64(le.Uint32(data[4*i:]))
		case I32:
			dst[i] = float64(int32(le.Uint32(data[4*i:])))
		case U64:
			dst[i] = float64(le.Uint64(data[8*i:]))
		case I64:
			dst[i] = float64(int64(le.Uint64(data[8*i:])))
		case F16:
			dst[i] = float64(float16.Frombits(le.Uint16(data[2*i:])).Float32())
		case BF16:
			dst[i] = float64(math.Float32frombits(uint32(le.Uint16(data[2*i:])) << 16))
		case F32:
			dst[i] = float64(math.Float32frombits(le.Uint32(data[4*i:])))
		case F64:
			dst[i] = math.Float64frombits(le.Uint64(data[8*i:]))
		}
	}
}
