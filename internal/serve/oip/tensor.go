package oip

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

// tensor is an input, or an output. One of the slices holds its values, row-major.
type tensor struct {
	name, datatype string
	shape          []int64
	bytes          [][]byte  // BYTES
	ints           []int64   // INT32, INT64
	bools          []bool    // BOOL
	f32            []float32 // FP32
	f64            []float64 // FP64
	fromJSON       bool      // bytes are JSON strings, in which a picture is a data URL
}

// maxRank bounds shapes: no tensor here has more dimensions than two.
const maxRank = 8

// volume is the number of values of a shape, an error if it is more than limit.
func volume(name string, shape []int64, limit int64) (int64, error) {
	if len(shape) == 0 || len(shape) > maxRank {
		return 0, backend.Errorf(backend.Invalid, name, "input %q has a shape of %d dimensions; want one, the batch, or two", name, len(shape))
	}
	n := int64(1)
	for _, d := range shape {
		if d <= 0 {
			return 0, backend.Errorf(backend.Invalid, name, "input %q has the shape %v; every dimension must be 1 or more", name, shape)
		}
		if d > limit/n {
			return 0, &backend.Error{Kind: backend.TooLarge, Param: name, Limit: int(limit), Message: fmt.Sprintf("input %q has the shape %v, more values than the request can hold", name, shape)}
		}
		n *= d
	}
	return n, nil
}

// width is the number of bytes of a value of a datatype that inputs may have, 0 for BYTES.
func width(name, datatype string) (int, error) {
	switch datatype {
	case "BYTES":
		return 0, nil
	case "INT32":
		return 4, nil
	case "INT64":
		return 8, nil
	}
	return 0, backend.Errorf(backend.Invalid, name, "input %q has the datatype %q; inputs here are BYTES, INT64 or INT32", name, datatype)
}

// readRaw takes the values of t, which has n, from their binary form: little-endian numbers, or values of BYTES with their lengths in four
// bytes before them. BYTES go on sharing raw's memory.
func (t *tensor) readRaw(raw []byte, n int64) error {
	wide, err := width(t.name, t.datatype)
	if err != nil {
		return err
	}
	if wide > 0 {
		if int64(len(raw))/int64(wide) != n || len(raw)%wide != 0 {
			return backend.Errorf(backend.Invalid, t.name, "input %q has %d bytes; the shape %v of %s has %d values of %d bytes", t.name, len(raw), t.shape, t.datatype, n, wide)
		}
		t.ints = make([]int64, n)
		for i := range t.ints {
			if wide == 4 {
				t.ints[i] = int64(int32(binary.LittleEndian.Uint32(raw[4*i:])))
			} else {
				t.ints[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
			}
		}
		return nil
	}
	if int64(len(raw))/4 < n {
		return backend.Errorf(backend.Invalid, t.name, "input %q has %d bytes, too few for the %d values of its shape %v; each has its length before it, in 4 bytes", t.name, len(raw), n, t.shape)
	}
	t.bytes = make([][]byte, n)
	for i := range t.bytes {
		if len(raw) < 4 {
			return backend.Errorf(backend.Invalid, t.name, "input %q ends before value %d of %d", t.name, i, n)
		}
		size := int64(binary.LittleEndian.Uint32(raw))
		raw = raw[4:]
		if size > int64(len(raw)) {
			return backend.Errorf(backend.Invalid, t.name, "input %q says that value %d has %d bytes, and %d follow", t.name, i, size, len(raw))
		}
		t.bytes[i], raw = raw[:size:size], raw[size:]
	}
	if len(raw) > 0 {
		return backend.Errorf(backend.Invalid, t.name, "input %q has %d bytes more than the %d values of its shape %v", t.name, len(raw), n, t.shape)
	}
	return nil
}

// readJSON takes the values of t, which has n, from a JSON array: nested as the shape is, or flat.
func (t *tensor) readJSON(data []byte, n int64) error {
	if _, err := width(t.name, t.datatype); err != nil {
		return err
	}
	if len(data) == 0 {
		return backend.Errorf(backend.Invalid, t.name, "input %q has no data; give \"data\", or \"binary_data_size\" in its parameters", t.name)
	}
	if int64(len(data))/2 < n { // a value and what separates it from the next
		return backend.Errorf(backend.Invalid, t.name, "input %q has fewer values than its shape %v", t.name, t.shape)
	}
	t.fromJSON = true
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	token, err := d.Token()
	if err != nil || token != json.Delim('[') {
		return backend.Errorf(backend.Invalid, t.name, "the data of input %q is no array", t.name)
	}
	return t.readArray(d, t.shape)
}

// readArray reads the values of an array after its bracket, whose shape is given.
func (t *tensor) readArray(d *json.Decoder, shape []int64) error {
	want, arrays, values := int64(1), int64(0), int64(0)
	for _, n := range shape {
		want *= n
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return backend.Errorf(backend.Invalid, t.name, "the data of input %q: %w", t.name, err)
		}
		if token == json.Delim('[') {
			arrays++
			if values > 0 || len(shape) < 2 || arrays > shape[0] {
				return t.misfit()
			}
			if err := t.readArray(d, shape[1:]); err != nil {
				return err
			}
			continue
		}
		values++
		if arrays > 0 || values > want {
			return t.misfit()
		}
		if err := t.readValue(token); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return backend.Errorf(backend.Invalid, t.name, "the data of input %q: %w", t.name, err)
	}
	if values != want && (arrays == 0 || arrays != shape[0]) {
		return t.misfit()
	}
	return nil
}

func (t *tensor) readValue(token json.Token) error {
	if t.datatype == "BYTES" {
		s, ok := token.(string)
		if !ok {
			return backend.Errorf(backend.Invalid, t.name, "input %q is BYTES, whose values in JSON are strings; there is %v", t.name, token)
		}
		t.bytes = append(t.bytes, []byte(s))
		return nil
	}
	number, ok := token.(json.Number)
	bits := 64
	if t.datatype == "INT32" {
		bits = 32
	}
	v, err := strconv.ParseInt(number.String(), 10, bits)
	if !ok || err != nil {
		return backend.Errorf(backend.Invalid, t.name, "input %q is %s; %v is none", t.name, t.datatype, token)
	}
	t.ints = append(t.ints, v)
	return nil
}

func (t *tensor) misfit() error {
	return backend.Errorf(backend.Invalid, t.name, "the data of input %q do not fit its shape %v; give them nested as the shape is, or flat", t.name, t.shape)
}

// raw is the binary form of t's values.
func (t *tensor) raw() []byte {
	var b []byte
	switch {
	case t.datatype == "BYTES":
		size := 0
		for _, v := range t.bytes {
			size += 4 + len(v)
		}
		b = make([]byte, 0, size)
		for _, v := range t.bytes {
			b = append(binary.LittleEndian.AppendUint32(b, uint32(len(v))), v...)
		}
	case t.datatype == "BOOL":
		b = make([]byte, len(t.bools))
		for i, v := range t.bools {
			if v {
				b[i] = 1
			}
		}
	case t.datatype == "FP32":
		b = make([]byte, 0, 4*len(t.f32))
		for _, v := range t.f32 {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	case t.datatype == "FP64":
		b = make([]byte, 0, 8*len(t.f64))
		for _, v := range t.f64 {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
	}
	return b
}

// values are t's values for JSON, flat.
func (t *tensor) values() any {
	switch t.datatype {
	case "BOOL":
		return t.bools
	case "FP32":
		return t.f32
	case "FP64":
		return t.f64
	}
	list := make([]string, len(t.bytes))
	for i, v := range t.bytes {
		list[i] = strings.ToValidUTF8(string(v), "\uFFFD")
	}
	return list
}
