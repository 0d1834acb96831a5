package checkpoint

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// What paddle.save of Paddle 2 and 3 writes (.pdparams): one pickle of a dictionary from names to NumPy arrays, whose
// elements stand in the pickle itself. It is read as PyTorch's are, with other functions.
// Source: paddle/framework/io.py of Paddle, and numpy/_core/src/multiarray/methods.c of NumPy.

// maxInstructions bounds what a pickle that holds its tensors may do; one of a model has some fifty a tensor.
const maxInstructions = 1 << 21

// Keys of the dictionary that are none of the model's.
const (
	paddleNames  = "StructuredToParameterName@@" // what the parameters are called elsewhere
	paddleSlices = "UnpackBigParamInfor@@"       // which tensors were cut into several
)

// arrayTypes are NumPy's types by their codes. Paddle has no 16-bit integers without sign: it keeps bfloat16 as such.
var arrayTypes = map[string]DType{
	"b1": Bool, "u1": U8, "i1": I8, "i2": I16, "i4": I32, "i8": I64, "u2": BF16,
	"f2": F16, "f4": F32, "f8": F64, "c8": C64, "c16": C128,
}

// readArrays reads a pickle of NumPy arrays.
func (p *pytorchFile) readArrays() (any, error) {
	texts := encoder{budget: len(p.data)}
	outside := func(tuple) (any, error) { return nil, errors.New("refers to something outside of it") }
	u := &unpickler{data: p.data, length: len(p.data), globals: texts.find, persistent: outside, instructions: maxInstructions}
	value, err := u.load()
	if err != nil {
		return nil, err
	}
	if len(u.data) > 0 {
		return nil, fmt.Errorf("%d bytes after the pickle", len(u.data))
	}
	if d, ok := value.(*dict); ok {
		kept := d.entries[:0]
		for _, e := range d.entries {
			switch e.key {
			case paddleNames:
				continue
			case paddleSlices:
				return nil, errors.New("its largest tensors are cut into slices; save it again with paddle.save(..., protocol=4)")
			}
			kept = append(kept, e)
		}
		d.entries = kept
	}
	return value, nil
}

// find returns what stands for the globals of Python that arrays need.
func (e *encoder) find(module, name string) (any, error) {
	switch strings.Replace(module, "numpy._core", "numpy.core", 1) + "." + name {
	case "numpy.core.multiarray._reconstruct":
		return function(func(tuple) (any, error) { return new(ndarray), nil }), nil
	case "numpy.dtype":
		return function(newArrayType), nil
	case "_codecs.encode":
		return function(e.encode), nil
	case "__builtin__.bytes", "builtins.bytes":
		return function(noBytes), nil
	case "__builtin__.tuple", "builtins.tuple":
		return function(argument), nil
	case "collections.OrderedDict":
		return function(newOrderedDict), nil
	}
	return object{module, name}, nil
}

// latin1 is bytes whose every one is written as the character of that number, in UTF-8: protocol 2 has no others.
type latin1 struct {
	text   []byte
	length int // in bytes; those of an array are decoded when they are asked for
}

// encoder makes latin1 of texts.
type encoder struct{ budget int } // bytes that may be looked at: of a text each once

func (e *encoder) encode(args tuple) (any, error) {
	if len(args) != 2 || args[1] != "latin1" && args[1] != "latin-1" {
		return nil, errPickleStack
	}
	var l latin1
	switch s := args[0].(type) {
	case string:
		l.text = []byte(s)
	case longString:
		l.text = s
	default:
		return nil, errPickleStack
	}
	if e.budget -= len(l.text); e.budget < 0 {
		return nil, errors.New("has the same bytes several times; save it again with paddle.save(..., protocol=4)")
	}
	for i := 0; i < len(l.text); l.length++ {
		if l.text[i] < utf8.RuneSelf {
			i++
			continue
		}
		if r, size := utf8.DecodeRune(l.text[i:]); size != 2 || r > 0xff {
			return nil, errors.New("a text that stands for bytes has characters that are none")
		}
		i += 2
	}
	return l, nil
}

// decode returns the bytes.
func (l latin1) decode() []byte {
	out := make([]byte, 0, l.length)
	for i := 0; i < len(l.text); i++ {
		b := l.text[i]
		if b >= utf8.RuneSelf { // 110000xx 10xxxxxx
			i++
			b = b<<6 | l.text[i]&0x3f
		}
		out = append(out, b)
	}
	return out
}

func noBytes(args tuple) (any, error) {
	if len(args) > 0 {
		return nil, errPickleStack
	}
	return []byte{}, nil
}

// builder is a value that is not complete before it gets its state.
type builder interface{ build(state any) error }

// arrayType is a type of NumPy.
type arrayType struct {
	code  string
	dtype DType // 0: none that is known here
}

func newArrayType(args tuple) (any, error) {
	if len(args) == 0 {
		return nil, errPickleStack
	}
	code, ok := args[0].(string)
	if !ok {
		return object{"numpy", "dtype"}, nil
	}
	return &arrayType{code, arrayTypes[code]}, nil
}

// build takes a version, the order of bytes and what other types need.
func (t *arrayType) build(state any) error {
	s, ok := state.(tuple)
	if !ok || len(s) < 2 {
		return errPickleStack
	}
	if s[1] == ">" {
		return errBigEndian
	}
	return nil
}

// ndarray is an array of NumPy.
type ndarray struct {
	*view        // nil before build, and of a type that is not known here
	code  string // of the type
}

// build takes a version, the shape, the type, whether columns come first, and the elements.
func (a *ndarray) build(state any) error {
	s, ok := state.(tuple)
	if !ok || len(s) != 5 || a.view != nil {
		return errPickleStack
	}
	shape, isShape := integers(s[1])
	kind, isType := s[2].(*arrayType)
	columns, isBool := s[3].(bool)
	if !isShape || !isType || !isBool {
		return errPickleStack
	}
	if a.code = kind.code; kind.dtype == 0 {
		return nil
	}
	st := &storage{dtype: kind.dtype, at: -1}
	var have int
	switch data := s[4].(type) {
	case []byte:
		st.data, have = data, len(data)
	case string: // of Python 2
		st.data, have = []byte(data), len(data)
	case longString:
		st.data, have = data, len(data)
	case latin1:
		st.encoded, have = data, data.length
	default:
		return errPickleStack
	}
	size, err := byteSize(kind.dtype, shape)
	if err != nil {
		return fmt.Errorf("array of shape %v: %w", shape, err)
	}
	if have != size {
		return fmt.Errorf("array of shape %v has %d bytes of data, want %d", shape, have, size)
	}
	st.length = size / kind.dtype.Size()
	strides, step := make([]int, len(shape)), 1
	for i := range shape {
		if !columns {
			i = len(shape) - 1 - i
		}
		strides[i] = step
		step *= max(shape[i], 1) // of an empty array no element is read
	}
	a.view = &view{storage: st, dtype: kind.dtype, shape: shape, strides: strides}
	return nil
}
