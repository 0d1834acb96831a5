// Package wire is the protocol between unimo and its helper program unimo-xla: the messages on the socket, and what is in them.
//
// A message is its length in four bytes, then a byte that says what it is, then fields: numbers of variable length, and bytes behind their
// number. Requests are done in the order in which they come. Some are answered: by a byte that says whether it went well, then fields.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// Op says what a request is for.
type Op byte

const (
	OpOpen           Op = iota + 1 // version, size of the shared memory, plugin, ahead, options; answered: Info as JSON
	OpPing                         // answered
	OpUpload                       // buffer, device, type, dims, place, data
	OpStage                        // bytes in the shared memory that are the next piece of a large upload; answered
	OpDownload                     // buffer, size; answered by what is then in the shared memory, or by its first piece
	OpFetch                        // position, size: a piece of a large download; answered
	OpFree                         // buffers
	OpCompile                      // executable, options, program; answered
	OpSerialize                    // executable; answered by bytes
	OpDeserialize                  // executable, options, bytes; answered
	OpMemory                       // executable; answered by a plan
	OpFreeExecutable               // executable
	OpExecute                      // executable, replicas, arguments and results of each; of one that runs anywhere no replicas, and its device before the rest
	OpCompileFor                   // options of the topology, options, program; answered by size and plan
)

// Where the data of an upload are.
const (
	InMessage = iota
	InShared  // position and size follow
	InStages  // what came with OpStage
)

// How an answer begins.
const (
	Done   = iota
	Failed // code and message follow
)

// MaxMessage is the most bytes of a message: a compiled program is the largest.
const MaxMessage = 1 << 30

// Append functions write fields.

func AppendInt(b []byte, n int64) []byte   { return binary.AppendVarint(b, n) }
func AppendUint(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }

func AppendBytes[T string | []byte](b []byte, x T) []byte {
	return append(AppendUint(b, uint64(len(x))), x...)
}

// AppendIDs writes numbers that are mostly near each other.
func AppendIDs(b []byte, ids []uint64) []byte {
	b = AppendUint(b, uint64(len(ids)))
	last := uint64(0)
	for _, id := range ids {
		b = AppendInt(b, int64(id-last))
		last = id
	}
	return b
}

// AppendDims writes a shape.
func AppendDims[T int | int64](b []byte, dims []T) []byte {
	b = AppendUint(b, uint64(len(dims)))
	for _, d := range dims {
		b = AppendUint(b, uint64(d))
	}
	return b
}

// AppendBool writes a byte.
func AppendBool(b []byte, x bool) []byte {
	if x {
		return append(b, 1)
	}
	return append(b, 0)
}

// Begin starts a message, and End writes its length where it began.
func Begin(b []byte, op byte) []byte { return append(b, 0, 0, 0, 0, op) }

func End(b []byte, from int) []byte {
	binary.LittleEndian.PutUint32(b[from:], uint32(len(b)-from-4))
	return b
}

// Fields reads the fields of a message. After an error all are zero.
type Fields struct {
	b   []byte
	err error
}

// NewFields reads b, which must stay as it is meanwhile.
func NewFields(b []byte) *Fields { return &Fields{b: b} }

var errCut = errors.New("the message is cut off")

// Fail keeps the first error.
func (f *Fields) Fail(err error) {
	if f.err == nil {
		f.err, f.b = err, nil
	}
}

func (f *Fields) Byte() byte {
	if len(f.b) == 0 {
		f.Fail(errCut)
		return 0
	}
	x := f.b[0]
	f.b = f.b[1:]
	return x
}

func (f *Fields) Int() int64 {
	x, n := binary.Varint(f.b)
	if n <= 0 {
		f.Fail(errCut)
		return 0
	}
	f.b = f.b[n:]
	return x
}

func (f *Fields) Uint() uint64 {
	x, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.Fail(errCut)
		return 0
	}
	f.b = f.b[n:]
	return x
}

// Bytes are a part of the message.
func (f *Fields) Bytes() []byte {
	n := f.Uint()
	if n > uint64(len(f.b)) {
		f.Fail(errCut)
		return nil
	}
	x := f.b[:n:n]
	f.b = f.b[n:]
	return x
}

func (f *Fields) String() string { return string(f.Bytes()) }

// Count reads how many fields follow, each of at least a byte.
func (f *Fields) Count() int {
	n := f.Uint()
	if n > uint64(len(f.b)) {
		f.Fail(errCut)
		return 0
	}
	return int(n)
}

// IDs are added to list.
func (f *Fields) IDs(list []uint64) []uint64 {
	n := f.Count()
	list = slices.Grow(list, n)
	last := uint64(0)
	for range n {
		last += uint64(f.Int())
		list = append(list, last)
	}
	return list
}

// maxElements bounds a buffer: its bytes are then a number that can be computed with.
const maxElements = 1 << 40

// Dims are a shape of at most maxElements.
func (f *Fields) Dims() []int64 {
	n := f.Count()
	dims := make([]int64, n)
	total := uint64(1)
	for i := range dims {
		d := f.Uint()
		if d > maxElements/total {
			f.Fail(fmt.Errorf("dimension %d is %d: too large", i, d))
			return nil
		}
		total *= max(d, 1)
		dims[i] = int64(d)
	}
	return dims
}

// Rest is what has not been read.
func (f *Fields) Rest() []byte {
	x := f.b
	f.b = nil
	return x
}

// Err is the first error; also where something is left over.
func (f *Fields) Err() error {
	if f.err == nil && len(f.b) > 0 {
		return fmt.Errorf("the message has %d bytes too many", len(f.b))
	}
	return f.err
}

// Reader reads messages.
type Reader struct {
	from io.Reader
	buf  []byte // what was read and not used is buf[at:]
	at   int
}

func NewReader(from io.Reader) *Reader { return &Reader{from: from, buf: make([]byte, 0, 64<<10)} }

// Next returns the next message, which is good until the next call. io.EOF: the other side is gone.
func (r *Reader) Next() ([]byte, error) {
	if err := r.fill(4); err != nil {
		return nil, err
	}
	n := int(binary.LittleEndian.Uint32(r.buf[r.at:]))
	if n == 0 || n > MaxMessage {
		return nil, fmt.Errorf("a message of %d bytes, want 1 to %d", n, MaxMessage)
	}
	if err := r.fill(4 + n); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	m := r.buf[r.at+4 : r.at+4+n]
	r.at += 4 + n
	return m, nil
}

// fill reads until n bytes are there. Memory grows with what comes, not with what is said to come.
func (r *Reader) fill(n int) error {
	for len(r.buf)-r.at < n {
		if r.at > 0 {
			r.buf = r.buf[:copy(r.buf, r.buf[r.at:])]
			r.at = 0
		}
		if len(r.buf) == cap(r.buf) {
			r.buf = slices.Grow(r.buf, min(n, 2*len(r.buf))-len(r.buf))
		}
		k, err := r.from.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+k]
		if k == 0 && err == nil {
			err = io.ErrNoProgress
		}
		if err != nil && len(r.buf) < n {
			if err == io.EOF && len(r.buf) > 0 {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// Option is a named value: string, int64, bool, float32 or []int64.
type Option struct {
	Name  string
	Value any
}

// AppendOptions writes options.
func AppendOptions(b []byte, options []Option) ([]byte, error) {
	b = AppendUint(b, uint64(len(options)))
	for _, o := range options {
		b = AppendBytes(b, o.Name)
		switch x := o.Value.(type) {
		case string:
			b = AppendBytes(append(b, 's'), x)
		case int64:
			b = AppendInt(append(b, 'i'), x)
		case bool:
			b = AppendBool(append(b, 'b'), x)
		case float32:
			b = binary.LittleEndian.AppendUint32(append(b, 'f'), math.Float32bits(x))
		case []int64:
			b = AppendUint(append(b, 'l'), uint64(len(x)))
			for _, n := range x {
				b = AppendInt(b, n)
			}
		default:
			return nil, fmt.Errorf("option %s is %T, want string, int64, bool, float32 or []int64", o.Name, o.Value)
		}
	}
	return b, nil
}

// Options reads what AppendOptions wrote.
func (f *Fields) Options() []Option {
	n := f.Count()
	var list []Option
	for range n {
		o := Option{Name: f.String()}
		switch kind := f.Byte(); kind {
		case 's':
			o.Value = f.String()
		case 'i':
			o.Value = f.Int()
		case 'b':
			o.Value = f.Byte() != 0
		case 'f':
			if len(f.b) < 4 {
				f.Fail(errCut)
				return nil
			}
			o.Value = math.Float32frombits(binary.LittleEndian.Uint32(f.b))
			f.b = f.b[4:]
		case 'l':
			x := make([]int64, f.Count())
			for i := range x {
				x[i] = f.Int()
			}
			o.Value = x
		default:
			f.Fail(fmt.Errorf("an option of kind %q", kind))
			return nil
		}
		list = append(list, o)
	}
	return list
}

const maxDevices = 1 << 16

// CompileOptions are how a program is compiled.
type CompileOptions struct {
	Device   int      // the first of the devices
	Replicas int      // 0: on one device, any of them
	Flags    []Option // strings
}

func AppendCompileOptions(b []byte, o CompileOptions) ([]byte, error) {
	return AppendOptions(AppendUint(AppendUint(b, uint64(o.Device)), uint64(o.Replicas)), o.Flags)
}

// CompileOptions reads what AppendCompileOptions wrote.
func (f *Fields) CompileOptions() CompileOptions {
	device, replicas := f.Uint(), f.Uint()
	if device > maxDevices || replicas > maxDevices {
		f.Fail(fmt.Errorf("%d devices from %d", replicas, device))
	}
	o := CompileOptions{Device: int(device), Replicas: int(replicas)}
	o.Flags = f.Options()
	return o
}

// AppendPlan writes a plan.
func AppendPlan(b []byte, p Plan) []byte {
	for _, n := range []int64{p.Arguments, p.Results, p.Temporary, p.Alias, p.Code, p.Peak} {
		b = AppendInt(b, n)
	}
	return b
}

// Plan reads what AppendPlan wrote.
func (f *Fields) Plan() Plan {
	return Plan{f.Int(), f.Int(), f.Int(), f.Int(), f.Int(), f.Int()}
}

// Broken says whether a field could not be read.
func (f *Fields) Broken() bool { return f.err != nil }
