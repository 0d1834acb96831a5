package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/x448/float16"
)

// Cast returns r with all of its floating-point tensors (F16, BF16, F32, F64) as numbers of the type dtype: F16, BF16 or
// F32. Other tensors stay as they are. Values are rounded to the nearest, ties to even; F64
// to float32 first, as [Float32s] does. A float32 too large for the type is an error of Bytes. NaN and infinities stay. Tensors are cast when Bytes is called, and not
// kept. Closing the result closes r.
//
// Half the bytes are enough for a model that only answers: what it computes with is float32 all the same ([Float32s]).
func Cast(r Reader, dtype DType) (Reader, error) {
	if dtype != F16 && dtype != BF16 && dtype != F32 {
		return nil, inFile(r.Path(), fmt.Errorf("tensors are not cast to %v; choose F16, BF16 or F32", dtype))
	}
	return &cast{r, dtype}, nil
}

// cast implements the reader of [Cast].
type cast struct {
	Reader
	to DType
}

func (c *cast) seen(info Info) Info {
	if info.DType.Float() {
		info.DType = c.to
	}
	return info
}

func (c *cast) Tensors() []Info {
	infos := c.Reader.Tensors()
	for i := range infos {
		infos[i] = c.seen(infos[i])
	}
	return infos
}

func (c *cast) Info(name string) (Info, error) {
	info, err := c.Reader.Info(name)
	return c.seen(info), err
}

func (c *cast) Bytes(name string) ([]byte, error) {
	info, data, err := lookup(c.Reader, name)
	if err != nil || !info.DType.Float() || info.DType == c.to {
		return data, err
	}
	values, _, err := Float32s(c.Reader, name)
	if err != nil {
		return nil, err
	}
	size := c.to.Size()
	out := make([]byte, size*len(values))
	for i, v := range values {
		at, became := out[size*i:], v
		switch c.to {
		case F16:
			half := float16.Fromfloat32(v)
			binary.LittleEndian.PutUint16(at, half.Bits())
			became = half.Float32()
		case BF16:
			upper := upperHalf(v)
			binary.LittleEndian.PutUint16(at, upper)
			became = math.Float32frombits(uint32(upper) << 16)
		default:
			binary.LittleEndian.PutUint32(at, math.Float32bits(v))
		}
		if math.IsInf(float64(became), 0) && !math.IsInf(float64(v), 0) {
			return nil, inFile(c.Path(), fmt.Errorf("tensor %q: %g is too large for %v; choose a type with a larger range", name, v, c.to))
		}
	}
	return out, nil
}

// upperHalf is the BF16 nearest to v, ties to even.
func upperHalf(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 1<<6 // no infinity, whatever the lower half was
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
