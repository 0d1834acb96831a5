package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The encoding of one Paddle variable; its layout is drawn in the package's page.
// Source: paddle/fluid/framework/{lod_tensor,tensor_util}.cc and framework.proto of
// PaddlePaddle 1.8 (SerializeToStream, TensorFromStream, VarType.TensorDesc).

const (
	// maxDesc bounds the TensorDesc: 64 dimensions of 11 bytes each stay under 1 KiB,
	// the rest is room for fields of later versions.
	maxDesc = 64 << 10

	// maxLevels bounds the LoD levels; Paddle's own code expects two or three.
	maxLevels = 1 << 10

	descDataType protowire.Number = 1
	descDims     protowire.Number = 2
)

// paddleTypes maps the enum VarType.Type to the types of tensors.
var paddleTypes = map[uint64]DType{
	0: Bool, 1: I16, 2: I32, 3: I64, 4: F16, 5: F32, 6: F64, 20: U8, 21: I8,
	22: BF16, 23: C64, 24: C128, 32: F8E4M3, 33: F8E5M2, // of PaddlePaddle 2 and 3
}

// paddleCode is the inverse of paddleTypes.
func paddleCode(d DType) (uint64, bool) {
	for code, t := range paddleTypes {
		if t == d {
			return code, true
		}
	}
	return 0, false
}

// errNotVariable is returned for bytes that do not begin like a variable.
var errNotVariable = errors.New("not a Paddle variable: does not begin with version 0")

// errCutOff is what a file that ends before its content is reported as.
var errCutOff = errors.New("cut off; fetch it again")

// variableHeader is what stands before the data of a variable.
type variableHeader struct {
	info   Info // without the name
	length int  // bytes of the header
	size   int  // bytes of the data
}

// readVariableHeader reads a variable up to its data. available is the number
// of bytes that r can give at most, the header's included; nothing larger is
// believed, whatever the header says.
func readVariableHeader(r io.Reader, available int64) (variableHeader, error) {
	in := countedReader{r: r, left: available}
	version, err := in.uint32("version")
	if err != nil {
		return variableHeader{}, err
	}
	if version != 0 {
		return variableHeader{}, errNotVariable
	}
	if err := skipLevels(&in); err != nil {
		return variableHeader{}, err
	}
	if version, err = in.uint32("tensor version"); err != nil {
		return variableHeader{}, err
	}
	if version != 0 {
		return variableHeader{}, fmt.Errorf("tensor version %d, only 0 is known", version)
	}
	n, err := in.uint32("size of TensorDesc")
	if err != nil {
		return variableHeader{}, err
	}
	if n == 0 || n > maxDesc {
		return variableHeader{}, fmt.Errorf("TensorDesc of %d bytes, expected 1 to %d", int32(n), maxDesc)
	}
	desc, err := in.bytes(int(n), "TensorDesc")
	if err != nil {
		return variableHeader{}, err
	}
	h := variableHeader{length: int(available - in.left)}
	if h.info, err = parseTensorDesc(desc); err != nil {
		return variableHeader{}, fmt.Errorf("TensorDesc: %w", err)
	}
	if h.size, err = byteSize(h.info.DType, h.info.Shape); err != nil {
		return variableHeader{}, err
	}
	if int64(h.size) > in.left {
		return variableHeader{}, fmt.Errorf("%v of shape %v needs %d bytes of data, but only %d follow: %w", h.info.DType, h.info.Shape, h.size, in.left, errCutOff)
	}
	return h, nil
}

// skipLevels reads over the LoD.
func skipLevels(in *countedReader) error {
	levels, err := in.uint64("number of LoD levels")
	if err != nil {
		return err
	}
	if levels > maxLevels {
		return fmt.Errorf("%d LoD levels, at most %d are supported", levels, maxLevels)
	}
	for level := range levels {
		size, err := in.uint64("size of a LoD level")
		if err != nil {
			return err
		}
		if size > uint64(in.left) {
			return fmt.Errorf("LoD level %d has %d bytes, but only %d follow: %w", level, size, in.left, errCutOff)
		}
		if err := in.skip(int64(size)); err != nil {
			return err
		}
	}
	return nil
}

// parseTensorDesc reads the protobuf message. Unknown fields are skipped, as protobuf asks.
func parseTensorDesc(b []byte) (Info, error) {
	info := Info{Shape: []int{}}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return info, protowire.ParseError(n)
		}
		b = b[n:]
		switch {
		case number == descDataType && kind == protowire.VarintType:
			code, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return info, protowire.ParseError(n)
			}
			b = b[n:]
			d, ok := paddleTypes[code]
			if !ok {
				return info, fmt.Errorf("unknown data type %d", code)
			}
			info.DType = d
		case number == descDims && kind == protowire.VarintType:
			n, err := consumeDim(&info, b)
			if err != nil {
				return info, err
			}
			b = b[n:]
		case number == descDims && kind == protowire.BytesType:
			packed, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return info, protowire.ParseError(n)
			}
			b = b[n:]
			for len(packed) > 0 {
				n, err := consumeDim(&info, packed)
				if err != nil {
					return info, err
				}
				packed = packed[n:]
			}
		case number == descDataType || number == descDims:
			return info, fmt.Errorf("field %d has wire type %d", number, kind)
		default:
			n := protowire.ConsumeFieldValue(number, kind, b)
			if n < 0 {
				return info, protowire.ParseError(n)
			}
			b = b[n:]
		}
	}
	if info.DType == 0 {
		return info, errors.New("has no data type")
	}
	return info, nil
}

// consumeDim appends one dimension to the shape and returns its length.
func consumeDim(info *Info, b []byte) (int, error) {
	v, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return 0, protowire.ParseError(n)
	}
	if v > math.MaxInt {
		return 0, fmt.Errorf("dimension %d of %d is impossible", len(info.Shape), int64(v))
	}
	if len(info.Shape) == maxRank {
		return 0, fmt.Errorf("more than %d dimensions", maxRank)
	}
	info.Shape = append(info.Shape, int(v))
	return n, nil
}

// appendVariableHeader appends what stands before the data of a variable.
func appendVariableHeader(b []byte, info Info) ([]byte, error) {
	code, ok := paddleCode(info.DType)
	if !ok {
		return nil, fmt.Errorf("tensor %q: Paddle has no type for %v; write safetensors instead", info.Name, info.DType)
	}
	var desc []byte
	desc = protowire.AppendTag(desc, descDataType, protowire.VarintType)
	desc = protowire.AppendVarint(desc, code)
	for _, n := range info.Shape {
		desc = protowire.AppendTag(desc, descDims, protowire.VarintType)
		desc = protowire.AppendVarint(desc, uint64(n))
	}
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
	return append(b, desc...), nil
}

// countedReader reads the fields of a header and knows how many bytes are left.
type countedReader struct {
	r    io.Reader
	left int64
}

func (c *countedReader) uint32(what string) (uint32, error) {
	b, err := c.bytes(4, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *countedReader) uint64(what string) (uint64, error) {
	b, err := c.bytes(8, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// bytes reads n bytes, where n is small.
func (c *countedReader) bytes(n int, what string) ([]byte, error) {
	if int64(n) > c.left {
		return nil, fmt.Errorf("%s: %d bytes needed, but only %d follow: %w", what, n, c.left, errCutOff)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return nil, fmt.Errorf("%s: %w", what, endsEarly(err))
	}
	c.left -= int64(n)
	return b, nil
}

func (c *countedReader) skip(n int64) error {
	if _, err := io.CopyN(io.Discard, c.r, n); err != nil {
		return endsEarly(err)
	}
	c.left -= n
	return nil
}

// firstAllocation is what readData believes of a length before it has seen any
// byte; from there it doubles, so that a lie costs at most as much again as was read.
const firstAllocation = 1 << 20

// readData reads n bytes of a stream whose real length is not known.
func readData(r io.Reader, n int) ([]byte, error) {
	data := make([]byte, 0, min(n, firstAllocation))
	for len(data) < n {
		if len(data) == cap(data) {
			grown := make([]byte, len(data), min(n, 2*len(data)))
			copy(grown, data)
			data = grown
		}
		m, err := io.ReadFull(r, data[len(data):cap(data)])
		data = data[:len(data)+m]
		if err != nil {
			return nil, fmt.Errorf("%d bytes of data, but %d were expected: %w", len(data), n, endsEarly(err))
		}
	}
	return data, nil
}

// endsEarly turns the end of a stream into the error for a file that was cut off.
func endsEarly(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCutOff
	}
	return err
}
