package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of onnx.proto that are written.
const (
	modelIRVersion       protowire.Number = 1
	modelProducer        protowire.Number = 2
	modelProducerVersion protowire.Number = 3
	modelGraph           protowire.Number = 7
	modelOpsets          protowire.Number = 8
	modelMetadata        protowire.Number = 14

	graphNode        protowire.Number = 1
	graphName        protowire.Number = 2
	graphInitializer protowire.Number = 5
	graphInput       protowire.Number = 11
	graphOutput      protowire.Number = 12

	nodeInput     protowire.Number = 1
	nodeOutput    protowire.Number = 2
	nodeName      protowire.Number = 3
	nodeKind      protowire.Number = 4
	nodeAttribute protowire.Number = 5

	attributeName  protowire.Number = 1
	attributeFloat protowire.Number = 2
	attributeInt   protowire.Number = 3
	attributeInts  protowire.Number = 8
	attributeType  protowire.Number = 20

	tensorDims     protowire.Number = 1
	tensorType     protowire.Number = 2
	tensorName     protowire.Number = 8
	tensorRaw      protowire.Number = 9
	tensorExternal protowire.Number = 13
	tensorLocation protowire.Number = 14

	valueName      protowire.Number = 1
	valueType      protowire.Number = 2
	valueDoc       protowire.Number = 3
	typeTensor     protowire.Number = 1
	typeElement    protowire.Number = 1
	typeShape      protowire.Number = 2
	shapeDimension protowire.Number = 1
	dimensionValue protowire.Number = 1
	dimensionParam protowire.Number = 2

	entryKey   protowire.Number = 1
	entryValue protowire.Number = 2

	opsetVersion protowire.Number = 2
)

// Types of attributes.
const (
	typeFloat = 1
	typeInt   = 2
	typeInts  = 7
)

// external is the location of a tensor whose values are in another file.
const external = 1

// element is the type of a tensor's elements.
type element int

const (
	float32s element = 1
	uint8s   element = 2
	int8s    element = 3
	int32s   element = 6
	int64s   element = 7
)

// size is that of an element in bytes.
func (e element) size() int {
	return map[element]int{float32s: 4, uint8s: 1, int8s: 1, int32s: 4, int64s: 8}[e]
}

// message is a message of protobuf that is being written.
type message []byte

func (m *message) int(field protowire.Number, v int) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(v))
}

func (m *message) float(field protowire.Number, v float32) {
	*m = protowire.AppendFixed32(protowire.AppendTag(*m, field, protowire.Fixed32Type), math.Float32bits(v))
}

func (m *message) text(field protowire.Number, v string) {
	*m = protowire.AppendString(protowire.AppendTag(*m, field, protowire.BytesType), v)
}

func (m *message) message(field protowire.Number, v message) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), v)
}

// opens writes the beginning of a field of so many bytes, which follow elsewhere.
func (m *message) opens(field protowire.Number, size int64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.BytesType), uint64(size))
}

// attribute is one of a node: an int, a float32 or several ints.
type attribute struct {
	name  string
	value any
}

func (a attribute) message() message {
	var m message
	m.text(attributeName, a.name)
	switch v := a.value.(type) {
	case int:
		m.int(attributeInt, v)
		m.int(attributeType, typeInt)
	case float32:
		m.float(attributeFloat, v)
		m.int(attributeType, typeFloat)
	case []int:
		for _, i := range v {
			m.int(attributeInts, i)
		}
		m.int(attributeType, typeInts)
	default:
		panic(fmt.Sprintf("onnx: attribute %s of type %T", a.name, a.value))
	}
	return m
}

// dimension is that of a shape: a number, or the name of one that is known when the graph runs.
type dimension struct {
	size int
	name string
}

// value is an input or an output of a graph.
type value struct {
	name    string
	element element
	shape   []dimension
	doc     string
}

func (v value) message() message {
	var shape, tensor, kind, m message
	for _, d := range v.shape {
		var dim message
		if d.name != "" {
			dim.text(dimensionParam, d.name)
		} else {
			dim.int(dimensionValue, d.size)
		}
		shape.message(shapeDimension, dim)
	}
	tensor.int(typeElement, int(v.element))
	tensor.message(typeShape, shape)
	kind.message(typeTensor, tensor)
	m.text(valueName, v.name)
	m.message(valueType, kind)
	m.text(valueDoc, v.doc)
	return m
}

// tensor is a constant of a graph: a weight, or a number that the graph needs.
type tensor struct {
	name    string
	element element
	shape   []int
	write   func(w io.Writer) error // the values, so that those of a large model are never there twice
	place   *place                  // in another file; nil: in the graph's
}

// place says where the values of a tensor begin in a file beside the graph's.
type place struct {
	file   string
	offset int64
}

func (t *tensor) bytes() int64 {
	n := int64(t.element.size())
	for _, d := range t.shape {
		n *= int64(d)
	}
	return n
}

// head is the tensor's message without its values, which follow it where it has no place elsewhere.
func (t *tensor) head() message {
	var m message
	for _, d := range t.shape {
		m.int(tensorDims, d)
	}
	m.int(tensorType, int(t.element))
	m.text(tensorName, t.name)
	if t.place == nil {
		m.opens(tensorRaw, t.bytes())
		return m
	}
	m.int(tensorLocation, external)
	m.message(tensorExternal, entry("location", t.place.file))
	m.message(tensorExternal, entry("offset", fmt.Sprint(t.place.offset)))
	m.message(tensorExternal, entry("length", fmt.Sprint(t.bytes())))
	return m
}

// inside counts the bytes of the values that are in the graph's file.
func (t *tensor) inside() int64 {
	if t.place != nil {
		return 0
	}
	return t.bytes()
}

func entry(key, value string) message {
	var m message
	m.text(entryKey, key)
	m.text(entryValue, value)
	return m
}

// number is a constant of the type that its Go type says.
func number[T int32 | int64 | float32](name string, shape []int, values ...T) *tensor {
	t := &tensor{name: name, element: int64s, shape: shape, write: func(w io.Writer) error {
		return binary.Write(w, binary.LittleEndian, values)
	}}
	switch any(values).(type) {
	case []float32:
		t.element = float32s
	case []int32:
		t.element = int32s
	}
	return t
}
