package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// A pickle is a program for a stack machine, and Python's own runs whatever it
// names. This one has only the instructions that build dictionaries, lists,
// tuples, strings and numbers, and calls only the functions that its table of
// globals hands out; for every other global, and for what that would make, an object stands. Every value costs at least a byte of the pickle.
// Source: the comments of pickletools.py in Python's library.

// maxPickle bounds the length of a pickle; that of a model with a thousand tensors has some 200 KB.
const maxPickle = 16 << 20

// The values of a pickle are nil, bool, int, float64, string, []byte, tuple, *list, *dict,
// object, and what globals, functions and persistent ids stand for.
type (
	tuple []any

	// object stands for a class or function of Python's that is not known here, and for what it would
	// make: it is never built or run. What is put into it is dropped.
	object struct{ module, name string }
	list   struct{ items []any }
	dict   struct{ entries []dictEntry } // in the pickle's order; keys may repeat

	dictEntry struct{ key, value any }

	// longString is a string too long for a name. It aliases the pickle: in old files the elements of a tensor are one.
	longString []byte

	// function is what a pickle may call.
	function func(args tuple) (any, error)
)

// unpickler reads pickles that stand one behind the other.
type unpickler struct {
	data       []byte // what is left
	length     int    // of data at the start
	globals    func(module, name string) (any, error)
	persistent func(id tuple) (any, error)

	instructions int // that it may still carry out; 0: as many as data has

	stack []any
	marks []int // where on the stack sequences begin
	memo  map[uint32]any
	err   error // the first; what a method returns after it means nothing
}

var (
	errPickleShort = fmt.Errorf("ends within its pickle (or this is over %d bytes): it was cut off; fetch it again", maxPickle)
	errPickleStack = errors.New("an instruction finds other values than it needs")
)

// load runs one pickle and returns its value.
func (u *unpickler) load() (any, error) {
	u.stack, u.marks, u.memo = nil, nil, make(map[uint32]any)
	for {
		at := u.length - len(u.data)
		op := u.integer(1, false)
		if op == '.' && u.err == nil { // STOP
			if v := u.pop(); u.err == nil {
				return v, nil
			}
		}
		if u.err == nil {
			u.step(byte(op))
		}
		if u.instructions--; u.instructions == 0 {
			u.fail(errors.New("has more instructions than a dictionary of tensors needs"))
		}
		if u.err != nil {
			return nil, fmt.Errorf("pickle, byte %d: %w", at, u.err)
		}
	}
}

// step carries out one instruction.
func (u *unpickler) step(op byte) {
	switch op {
	case 0x80: // PROTO
		if v := u.integer(1, false); v < 2 || v > 5 {
			u.fail(fmt.Errorf("protocol %d, known are 2 to 5", v))
		}
	case 0x95: // FRAME, a hint for readers of streams
		u.take(8)

	case 'N': // NONE
		u.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		u.push(op == 0x88)
	case 'K': // BININT1
		u.push(u.integer(1, false))
	case 'M': // BININT2
		u.push(u.integer(2, false))
	case 'J': // BININT
		u.push(u.integer(4, true))
	case 0x8a: // LONG1
		u.long(u.integer(1, false))
	case 0x8b: // LONG4
		u.long(u.integer(4, true))
	case 'G': // BINFLOAT
		if b := u.take(8); u.err == nil {
			u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}
	case 'U', 0x8c: // SHORT_BINSTRING, SHORT_BINUNICODE
		u.string(u.integer(1, false))
	case 'T', 'X': // BINSTRING, BINUNICODE
		u.string(u.integer(4, false))
	case 'C': // SHORT_BINBYTES
		u.push(u.take(u.integer(1, false)))
	case 'B': // BINBYTES
		u.push(u.take(u.integer(4, false)))
	case 0x8d: // BINUNICODE8
		u.string(u.integer(8, false))
	case 0x8e, 0x96: // BINBYTES8, BYTEARRAY8
		u.push(u.take(u.integer(8, false)))

	case '(': // MARK
		u.marks = append(u.marks, len(u.stack))
	case ')': // EMPTY_TUPLE
		u.push(tuple(nil))
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		u.push(tuple(u.popN(int(op-0x85) + 1)))
	case 't': // TUPLE
		u.push(tuple(u.popMark()))
	case ']': // EMPTY_LIST
		u.push(&list{})
	case 'a': // APPEND
		u.extend(u.popN(1))
	case 'e': // APPENDS
		u.extend(u.popMark())
	case '}': // EMPTY_DICT
		u.push(&dict{})
	case 's': // SETITEM
		u.insert(u.popN(2))
	case 'u': // SETITEMS
		u.insert(u.popMark())
	case 0x8f: // EMPTY_SET
		u.push(object{"builtins", "set"})
	case 0x90: // ADDITEMS
		u.popMark()
		as[object](u, u.top())
	case 0x91: // FROZENSET
		u.popMark()
		u.push(object{"builtins", "frozenset"})
	case '0': // POP
		u.pop()
	case '1': // POP_MARK
		u.popMark()
	case '2': // DUP
		u.push(u.top())

	case 'q': // BINPUT
		u.put(u.integer(1, false))
	case 'r': // LONG_BINPUT
		u.put(u.integer(4, false))
	case 0x94: // MEMOIZE
		u.put(len(u.memo))
	case 'h': // BINGET
		u.get(u.integer(1, false))
	case 'j': // LONG_BINGET
		u.get(u.integer(4, false))

	case 'c': // GLOBAL
		module := u.line()
		u.global(module, u.line())
	case 0x93: // STACK_GLOBAL
		name := as[string](u, u.pop())
		u.global(as[string](u, u.pop()), name)
	case 'Q': // BINPERSID
		u.call(function(u.persistent), as[tuple](u, u.pop()))
	case 'R', 0x81: // REDUCE, NEWOBJ
		args := as[tuple](u, u.pop())
		u.call(u.pop(), args)
	case 0x92: // NEWOBJ_EX
		u.pop()
		args := as[tuple](u, u.pop())
		u.call(u.pop(), args)
	case 'b': // BUILD: a state dict has the versions of its layers as an attribute, which nobody needs
		state := u.pop()
		switch v := u.top().(type) {
		case *dict, object, *view:
		case builder:
			if err := v.build(state); err != nil {
				u.fail(err)
			}
		default:
			u.fail(errPickleStack)
		}

	default:
		u.fail(fmt.Errorf("instruction %#x is none that a state dict needs; save the tensors as safetensors with Python", op))
	}
}

func (u *unpickler) fail(err error) {
	if u.err == nil {
		u.err = err
	}
}

// take returns the next n bytes.
func (u *unpickler) take(n int) []byte {
	if u.err != nil || n < 0 || n > len(u.data) {
		u.fail(errPickleShort)
		return nil
	}
	b := u.data[:n]
	u.data = u.data[n:]
	return b
}

// integer reads a number of n bytes.
func (u *unpickler) integer(n int, signed bool) int {
	b := u.take(n)
	var word [8]byte
	if len(b) > len(word) {
		u.fail(fmt.Errorf("a number of %d bytes, at most %d are supported", n, len(word)))
		return 0
	}
	copy(word[:], b)
	v := int64(binary.LittleEndian.Uint64(word[:]))
	if signed {
		unused := 64 - 8*len(b)
		v = v << unused >> unused
	}
	if int64(int(v)) != v {
		u.fail(fmt.Errorf("%d does not fit %d bits", v, strconv.IntSize))
	}
	return int(v)
}

// long pushes a number of n bytes; one that does not fit an int, as a state of random numbers has, as an object.
func (u *unpickler) long(n int) {
	if n > 8 {
		u.take(n)
		u.push(object{"builtins", "int"})
		return
	}
	u.push(u.integer(n, true))
}

// maxString is the length up to which strings are copied.
const maxString = 1 << 16

// string pushes a string of n bytes.
func (u *unpickler) string(n int) {
	b := u.take(n)
	if n > maxString {
		u.push(longString(b))
		return
	}
	u.push(string(b))
}

func (u *unpickler) line() string {
	n := bytes.IndexByte(u.data, '\n')
	line := u.take(n + 1)
	if n < 0 || u.err != nil {
		u.fail(errPickleShort)
		return ""
	}
	return string(line[:n])
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

// floor is where the values above the newest mark begin; those below are not an instruction's to take.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

// popN takes n values off, in the order in which they were pushed.
func (u *unpickler) popN(n int) []any {
	from := len(u.stack) - n
	if from < u.floor() {
		u.fail(errPickleStack)
		return nil
	}
	items := slices.Clone(u.stack[from:])
	u.stack = u.stack[:from]
	return items
}

// popMark takes off all values above the newest mark, and the mark.
func (u *unpickler) popMark() []any {
	if len(u.marks) == 0 {
		u.fail(errPickleStack)
		return nil
	}
	items := u.popN(len(u.stack) - u.floor())
	u.marks = u.marks[:len(u.marks)-1]
	return items
}

func (u *unpickler) pop() any {
	v := u.top()
	u.popN(1)
	return v
}

func (u *unpickler) top() any {
	if len(u.stack) == u.floor() {
		u.fail(errPickleStack)
		return nil
	}
	return u.stack[len(u.stack)-1]
}

// as returns v, which must have the type T.
func as[T any](u *unpickler, v any) T {
	t, ok := v.(T)
	if !ok {
		u.fail(errPickleStack)
	}
	return t
}

// extend appends to the list on top of the stack.
func (u *unpickler) extend(items []any) {
	if _, ok := u.top().(object); ok {
		return
	}
	if l := as[*list](u, u.top()); u.err == nil {
		l.items = append(l.items, items...)
	}
}

// insert adds keys and values, in turn, to the dictionary on top of the stack.
func (u *unpickler) insert(items []any) {
	if len(items)%2 != 0 {
		u.fail(errPickleStack)
	}
	if _, ok := u.top().(object); ok {
		return
	}
	if d := as[*dict](u, u.top()); u.err == nil {
		for pair := range slices.Chunk(items, 2) {
			d.entries = append(d.entries, dictEntry{pair[0], pair[1]})
		}
	}
}

// put remembers the value on top of the stack; get pushes what was remembered.
func (u *unpickler) put(key int) { u.memo[uint32(key)] = u.top() }

func (u *unpickler) get(key int) {
	v, ok := u.memo[uint32(key)]
	if !ok {
		u.fail(fmt.Errorf("value %d is used before it is there", key))
	}
	u.push(v)
}

func (u *unpickler) global(module, name string) {
	if u.err != nil {
		return
	}
	v, err := u.globals(module, name)
	if err != nil {
		u.fail(err)
	}
	u.push(v)
}

// call pushes what f makes of args: an object makes itself.
func (u *unpickler) call(f any, args tuple) {
	if o, ok := f.(object); ok {
		u.push(o)
		return
	}
	run := as[function](u, f)
	if u.err != nil {
		return
	}
	v, err := run(args)
	if err != nil {
		u.fail(err)
	}
	u.push(v)
}
