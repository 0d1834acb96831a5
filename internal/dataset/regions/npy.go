package regions

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/x448/float16"
)

// npyHeader describes an array of NumPy's .npy format, version 1 to 3: magic, version,
// the length of a Python dictionary, the dictionary, the data.
type npyHeader struct {
	shape   []int
	kind    string // type and bytes of an element, such as f4
	big     bool   // big-endian
	fortran bool   // the first index runs fastest
	bytes   int    // of all before the data
}

const (
	npyMagic     = "\x93NUMPY"
	maxNpyHeader = 64 << 10
	maxNpyRank   = 8
)

var (
	npyType    = regexp.MustCompile(`'descr': *'([<>|=])([fiu][1248])'`)
	npyFortran = regexp.MustCompile(`'fortran_order': *(True|False)`)
	npyShape   = regexp.MustCompile(`'shape': *\(([0-9L, ]*)\)`)
)

// readNpyHeader reads up to the data.
func readNpyHeader(r io.Reader) (h npyHeader, err error) {
	var start [10]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return h, fmt.Errorf("too short for a NumPy array: %w", err)
	}
	if string(start[:6]) != npyMagic || start[6] < 1 || start[6] > 3 {
		return h, errors.New("is no NumPy array")
	}
	size := int(binary.LittleEndian.Uint16(start[8:]))
	if start[6] > 1 { // the length has four bytes
		var rest [2]byte
		if _, err := io.ReadFull(r, rest[:]); err != nil {
			return h, fmt.Errorf("header: %w", err)
		}
		size |= int(binary.LittleEndian.Uint16(rest[:])) << 16
	}
	if size > maxNpyHeader {
		return h, fmt.Errorf("header of %d bytes; more than %d is no array of features", size, maxNpyHeader)
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(r, raw); err != nil {
		return h, fmt.Errorf("header: %w", err)
	}
	h, err = parseNpyHeader(raw)
	h.bytes = len(start) + size
	if start[6] > 1 {
		h.bytes += 2
	}
	return h, err
}

// fits says whether a file of that many bytes holds what the header says, no less and no more.
func (h npyHeader) fits(size int64) error {
	n, err := h.elements()
	if err != nil {
		return err
	}
	switch want := int64(h.bytes) + int64(n)*int64(h.size()); {
	case size < want:
		return cutOff(io.ErrUnexpectedEOF)
	case size > want:
		return fmt.Errorf("holds %d bytes more than its shape %v says", size-want, h.shape)
	}
	return nil
}

func parseNpyHeader(raw []byte) (h npyHeader, err error) {
	for _, field := range []string{"'descr':", "'fortran_order':", "'shape':"} {
		if bytes.Count(raw, []byte(field)) > 1 {
			return h, fmt.Errorf("header %q says %s twice", raw[:min(len(raw), 80)], strings.Trim(field, "':"))
		}
	}
	element, order, shape := npyType.FindSubmatch(raw), npyFortran.FindSubmatch(raw), npyShape.FindSubmatch(raw)
	if element == nil {
		return h, fmt.Errorf("holds no plain numbers (%q); only arrays of integers and floating-point numbers are read", raw[:min(len(raw), 80)])
	}
	if order == nil || shape == nil {
		return h, fmt.Errorf("header %q without fortran_order or shape", raw[:min(len(raw), 80)])
	}
	h.kind, h.big, h.fortran = string(element[2]), element[1][0] == '>', order[1][0] == 'T'
	if h.kind == "f1" {
		return h, errors.New("holds no numbers of a known type")
	}
	for part := range strings.SplitSeq(string(shape[1]), ",") {
		part = strings.TrimSuffix(strings.TrimSpace(part), "L") // Python 2 wrote long numbers so
		if part == "" {
			continue
		}
		n, err := strconv.Atoi(part)
		if err != nil || len(h.shape) == maxNpyRank {
			return h, fmt.Errorf("shape (%s)", shape[1])
		}
		h.shape = append(h.shape, n)
	}
	_, err = h.elements()
	return h, err
}

func (h npyHeader) size() int { return int(h.kind[1] - '0') }

// elements returns the number of elements, or an error if it is more than any image has.
func (h npyHeader) elements() (int, error) {
	n := 1
	for _, d := range h.shape {
		if d > maxElements || n*max(1, d) > maxElements {
			return 0, fmt.Errorf("shape %v has more than %d elements", h.shape, maxElements)
		}
		n *= d
	}
	return n, nil
}

// cut lowers the first dimension to n.
func (h *npyHeader) cut(n int) error {
	if h.fortran && h.shape[0] != n {
		return errors.New("padded arrays in Fortran's order are not read; save them with numpy.ascontiguousarray")
	}
	h.shape[0] = n
	return nil
}

// maxElements bounds an array: those of images are far below.
const maxElements = 1 << 28

// readFloats reads the data as float32, in C's order.
func (h npyHeader) readFloats(r io.Reader, dst []float32) ([]float32, error) {
	n, err := h.elements()
	if err != nil {
		return nil, err
	}
	dst = resize(dst, n)
	if h.kind == "f4" && !h.big {
		_, err := io.ReadFull(r, asBytes(dst))
		littleEndian(dst)
		return h.order(dst), cutOff(err)
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if h.big {
		order = binary.BigEndian
	}
	size := h.size()
	buf := make([]byte, min(size*n, 64<<10))
	for at := 0; at < n; {
		k := min(n-at, len(buf)/size)
		if _, err := io.ReadFull(r, buf[:k*size]); err != nil {
			return nil, cutOff(err)
		}
		for i := range k {
			dst[at+i] = h.value(order, buf[i*size:])
		}
		at += k
	}
	return h.order(dst), nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the data ends too early; the file was cut off: %w", io.ErrUnexpectedEOF)
	}
	return err
}

func (h npyHeader) value(order binary.ByteOrder, b []byte) float32 {
	switch h.kind {
	case "f2":
		return float16.Frombits(order.Uint16(b)).Float32()
	case "f4":
		return math.Float32frombits(order.Uint32(b))
	case "f8":
		return float32(math.Float64frombits(order.Uint64(b)))
	case "i1":
		return float32(int8(b[0]))
	case "u1":
		return float32(b[0])
	case "i2":
		return float32(int16(order.Uint16(b)))
	case "u2":
		return float32(order.Uint16(b))
	case "i4":
		return float32(int32(order.Uint32(b)))
	case "u4":
		return float32(order.Uint32(b))
	case "i8":
		return float32(int64(order.Uint64(b)))
	}
	return float32(order.Uint64(b)) // u8
}

// order returns the values of an array of two dimensions or fewer in C's order.
func (h npyHeader) order(values []float32) []float32 {
	if !h.fortran || len(h.shape) < 2 {
		return values
	}
	rows, cols := h.shape[0], h.shape[1]
	out := make([]float32, len(values))
	for r := range rows {
		for c := range cols {
			out[r*cols+c] = values[c*rows+r]
		}
	}
	return out
}

// isNumPy says whether a file's name is that of an array or an archive of arrays.
func isNumPy(path string) bool {
	path = strings.ToLower(path)
	return strings.HasSuffix(path, ".npy") || strings.HasSuffix(path, ".npz")
}

var zipMagic = []byte("PK\x03\x04")

// isZip says whether the file is a .npz, whatever its name.
func isZip(head []byte) bool { return bytes.HasPrefix(head, zipMagic) }
