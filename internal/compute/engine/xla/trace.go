package xla

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// trace is what a device was asked for and has not computed yet: operations on values. Nothing runs before somebody reads; then all of
// it is one program.
type trace struct {
	shared    *shared
	heap      *heap
	chip      int // on which it runs
	precision Precision
	recording
}

// heap is what a device and its forks know of the chip's memory.
type heap struct {
	mu      sync.Mutex          // of the traces, too: a fork may read, and so run, what another has recorded
	readers map[pjrt.Buffer]int // how many traces read a buffer that have not run
	waste   []pjrt.Buffer       // of tensors that are no more
}

// release gives buffers back, those that a trace is going to read after it has run.
func (h *heap) release(c *pjrt.Client, bs ...pjrt.Buffer) {
	h.waste = append(h.waste, bs...)
	var now []pjrt.Buffer
	h.waste = slices.DeleteFunc(h.waste, func(b pjrt.Buffer) bool {
		if h.readers[b] > 0 {
			return false
		}
		now = append(now, b)
		return true
	})
	if len(now) > 0 {
		must(c.Free(now...))
	}
}

// recording is what a trace is made of.
type recording struct {
	values  int         // how many there are
	calls   []call      // operations, in order
	links   []int32     // values and shapes of the operations
	args    []argument  // what the program reads of the device's memory
	inputs  []input     // what it gets from the host, packed
	packed  []uint32    // their content
	known   map[key]int // inputs by their memory, so that what all layers use is sent once
	read    map[*memory]read
	changed []*memory // tensors with a new value; nil: it was taken back
	living  int       // of changed, how many are not nil
	wanted  []*memory // of these, whose numbers the host gets at once
	hash    uint64    // of all that decides which program it is

	repetition *repetition // nil: nothing is recorded again
}

// repetition is a part of the computation that was recorded before and is recorded again. The compiler would see that both are the same, and keep
// what the first one made. So all that was there before is read behind a barrier.
type repetition struct {
	before int         // so many values were there
	after  int         // what the barriers wait for
	values map[int]int // behind barriers
}

// call is an operation. What lower captures is in the hash. Its links are the values that it reads, of which -1 is none, and for each that it
// makes value, rows and columns; rows of -1: nobody takes it.
type call struct {
	name      string
	first     int // of its links
	ins, outs int
	lower     func(b *builder, ins []val) []val // nil: zeros
}

// argument is a tensor that the program reads.
type argument struct {
	buffer     pjrt.Buffer
	rows, cols int
	value      int
}

// read is what the trace knows of a tensor that it has not changed: it counts while the tensor has the same buffer.
type read struct {
	buffer    pjrt.Buffer
	value, at int // at: place in args; -1 where nothing was written yet
}

// input is host data of this run: so many elements, from a place in the packed words.
type input struct {
	typ   pjrt.Type
	dims  []int
	from  int
	value int
}

type key struct {
	at *uint32
	n  int
}

// operand is what an operation reads: a tensor, or data of the host. It becomes a value when the operation is recorded, as between the two
// a fork may have run what was recorded before.
type operand struct {
	tensor *memory
	data   *uint32 // of n elements of 4 bytes
	n      int
	typ    pjrt.Type
	length int // of the vector; -1: a scalar
	given  bool
}

// absent is an operand that is not there.
var absent operand

// none is the attributes of an operation that has none.
type none struct{}

var seed = maphash.MakeSeed()

// What is noted in the hash besides operations.
const (
	undefined = iota
	argued
	given
	resulting
	repeated
)

// reset begins anew.
func (tr *trace) reset() {
	for _, a := range tr.args {
		if tr.heap.readers[a.buffer]--; tr.heap.readers[a.buffer] == 0 {
			delete(tr.heap.readers, a.buffer)
		}
	}
	old := tr.recording
	clear(old.calls)
	clear(old.args)
	clear(old.changed)
	clear(old.wanted)
	clear(old.known)
	clear(old.read)
	tr.recording = recording{
		calls: old.calls[:0], links: old.links[:0], args: old.args[:0], inputs: old.inputs[:0], packed: old.packed[:0], known: old.known,
		read: old.read, changed: old.changed[:0], wanted: old.wanted[:0],
	}
}

func (tr *trace) value() int {
	tr.values++
	return tr.values - 1
}

// note adds a number to the hash.
func (tr *trace) note(n int) {
	high, low := bits.Mul64(tr.hash^0xa0761d6478bd642f, uint64(n)^0xe7037ed1a0b428db)
	tr.hash = high ^ low
}

func noteAny[T comparable](tr *trace, x T) { tr.note(int(maphash.Comparable(seed, x))) }

// record appends an operation. lower writes it in StableHLO, from the attributes and the operands to the values of outs; of an out that is nil
// the value is ignored. It is a function of the package or captures nothing: what it depends on is in attrs, which with the
// operands' shapes decide whether a program is there already. Nothing that changes from step to step belongs there: numbers go in as inputs.
// Where lower returns nil the outs are zeros. An operation whose outs have no elements is none.
func record[A comparable](d *Device, name string, attrs A, lower func(b *builder, attrs A, ins []val) []val, outs []*engine.Tensor, ins ...operand) {
	if !slices.ContainsFunc(outs, func(t *engine.Tensor) bool { return t != nil && t.Len() > 0 }) {
		return
	}
	var room [16]*memory
	made := room[:0]
	for _, out := range outs {
		if out == nil {
			made = append(made, nil)
		} else {
			made = append(made, of(out))
		}
	}
	d.heap.mu.Lock()
	defer d.heap.mu.Unlock()
	write(&d.trace, name, attrs, lower, made, ins...)
}

// write is [record]. The caller has the lock.
func write[A comparable](tr *trace, name string, attrs A, lower func(b *builder, attrs A, ins []val) []val, outs []*memory, ins ...operand) {
	var room [16]int32
	links := room[:0]
	for _, in := range ins {
		links = append(links, int32(tr.operand(in))) // which may write something before
	}
	tr.calls = append(tr.calls, call{name, len(tr.links), len(ins), len(outs), func(b *builder, ins []val) []val { return lower(b, attrs, ins) }})
	noteAny(tr, name)
	noteAny(tr, attrs)
	tr.note(len(ins))
	for _, in := range links {
		tr.note(int(in))
	}
	tr.links = append(tr.links, links...)
	first := tr.values
	for _, m := range outs {
		value := tr.value()
		if m == nil {
			tr.links = append(tr.links, int32(value), -1, 0)
			tr.note(-1)
			continue
		}
		tr.links = append(tr.links, int32(value), int32(m.room), int32(m.cols))
		tr.note(m.room)
		tr.note(m.cols)
	}
	for i, m := range outs {
		switch {
		case m == nil:
		case m.whole == nil:
			tr.set(m, first+i)
		default:
			tr.putPart(m, first+i)
		}
	}
}

// operand is the value of one; -1 of one that is absent.
func (tr *trace) operand(o operand) int {
	switch {
	case o.tensor != nil:
		return tr.again(o.tensor, tr.tensor(o.tensor))
	case o.given:
		return tr.send(o)
	}
	return -1
}

// tensor returns the value of a tensor; nil is absent.
func (d *Device) tensor(t *engine.Tensor) operand {
	if t == nil {
		return absent
	}
	return operand{tensor: of(t)}
}

// tensor is the value of a tensor now.
func (tr *trace) tensor(m *memory) int {
	switch {
	case m.whole != nil:
		return tr.getPart(m)
	case m.trace == tr:
		return m.value
	case m.trace != nil:
		m.trace.flush(true)
	}
	if known, ok := tr.read[m]; ok && known.buffer == m.buffer {
		return known.value
	}
	r := read{m.buffer, tr.value(), -1}
	if m.buffer == 0 { // nothing was written yet, so anything will do
		tr.calls = append(tr.calls, call{name: "undefined", first: len(tr.links), outs: 1})
		tr.links = append(tr.links, int32(r.value), int32(m.room), int32(m.cols))
		tr.note(undefined)
	} else {
		r.at = len(tr.args)
		tr.args = append(tr.args, argument{m.buffer, m.room, m.cols, r.value})
		tr.heap.readers[m.buffer]++
		tr.note(argued)
	}
	tr.note(m.room)
	tr.note(m.cols)
	tr.read[m] = r
	return r.value
}

// again returns a tensor's value, in a repetition behind a barrier.
func (tr *trace) again(m *memory, value int) int {
	r := tr.repetition
	if r == nil || value >= r.before {
		return value
	}
	behind, ok := r.values[value]
	if !ok {
		behind = tr.value()
		r.values[value] = behind
		tr.calls = append(tr.calls, call{"again", len(tr.links), 2, 1, lowerAgain})
		tr.links = append(tr.links, int32(value), int32(r.after), int32(behind), int32(m.room), int32(m.cols))
		tr.note(repeated)
		tr.note(value)
		tr.note(r.after)
	}
	return behind
}

func lowerAgain(b *builder, ins []val) []val { return []val{b.after(ins[0], ins[1])} }

// Repeat records what follows as a repetition; see [engine.Repeat].
func (d *Device) Repeat(after *engine.Tensor) {
	d.heap.mu.Lock()
	defer d.heap.mu.Unlock()
	value := d.trace.tensor(of(after))
	d.trace.repetition = &repetition{d.trace.values, value, map[int]int{}}
}

// Repeated ends a repetition; see [engine.Repeated].
func (d *Device) Repeated() {
	d.heap.mu.Lock()
	defer d.heap.mu.Unlock()
	d.trace.repetition = nil
}

// part is where a part lies.
type part struct{ from, rows, to int }

// getPart is the value of a part: that of its rows now.
func (tr *trace) getPart(m *memory) int {
	plain := &memory{rows: m.rows, cols: m.cols, room: m.room}
	write(tr, "get part", part{m.from, m.rows, m.room}, lowerGetPart, []*memory{plain}, operand{tensor: of(m.whole)})
	tr.forget(plain)
	return plain.value
}

func lowerGetPart(b *builder, p part, ins []val) []val {
	x := b.slice(ins[0], []int{p.from, 0}, []int{p.from + p.rows, ins[0].dims[1]})
	return []val{b.fit(x, p.to)}
}

// putPart writes the value of a part into the tensor that it is of.
func (tr *trace) putPart(m *memory, value int) {
	plain := &memory{rows: m.rows, cols: m.cols, room: m.room, trace: tr, value: value, changed: -1}
	write(tr, "put part", part{m.from, m.rows, 0}, lowerPutPart, []*memory{of(m.whole)}, operand{tensor: of(m.whole)}, operand{tensor: plain})
}

func lowerPutPart(b *builder, p part, ins []val) []val {
	whole, cols := ins[0], ins[0].dims[1]
	head := b.slice(whole, []int{0, 0}, []int{p.from, cols})
	rows := b.slice(ins[1], []int{0, 0}, []int{p.rows, cols})
	tail := b.slice(whole, []int{p.from + p.rows, 0}, []int{whole.dims[0], cols})
	return []val{b.concatenate(0, slices.DeleteFunc([]val{head, rows, tail}, func(v val) bool { return v.dims[0] == 0 })...)}
}

// ints, floats, words and count are data of the host for this run: vectors of room(n) elements, behind theirs zeros; a scalar i32.
func (d *Device) ints(x []int32) operand     { return host(pjrt.I32, x, d.room(len(x))) }
func (d *Device) floats(x []float32) operand { return host(pjrt.F32, x, d.room(len(x))) }
func (d *Device) words(x ...uint32) operand  { return host(pjrt.U32, x, len(x)) }
func (d *Device) count(n int) operand        { return host(pjrt.I32, []int32{int32(n)}, -1) }
func (d *Device) scalar(x float32) operand   { return host(pjrt.F32, []float32{x}, -1) }

// host makes an operand of host data, of 4 bytes an element.
func host[T int32 | float32 | uint32](typ pjrt.Type, x []T, length int) operand {
	return operand{data: (*uint32)(unsafe.Pointer(unsafe.SliceData(x))), n: len(x), typ: typ, length: length, given: true}
}

// send appends host data.
func (tr *trace) send(o operand) int {
	dims, n := []int{o.length}, o.length
	if o.length < 0 {
		dims, n = nil, 1
	}
	content, k := unsafe.Slice(o.data, o.n), key{o.data, o.n}
	if at, ok := tr.known[k]; ok && o.length >= 0 {
		// The same memory may hold something else by now.
		if in := tr.inputs[at]; in.typ == o.typ && slices.Equal(in.dims, dims) && slices.Equal(tr.packed[in.from:in.from+o.n], content) {
			return in.value
		}
	}
	in := input{o.typ, dims, len(tr.packed), tr.value()}
	tr.known[k] = len(tr.inputs)
	tr.inputs = append(tr.inputs, in)
	tr.packed = append(tr.packed, content...)
	for range n - o.n {
		tr.packed = append(tr.packed, 0)
	}
	tr.note(given)
	tr.note(int(o.typ))
	tr.note(o.length)
	return in.value
}

// set gives a tensor a new value.
func (tr *trace) set(m *memory, value int) {
	if m.trace != tr {
		if m.trace != nil {
			m.trace.forget(m)
		}
		m.trace, m.changed = tr, len(tr.changed)
		tr.changed = append(tr.changed, m)
		tr.living++
	}
	m.value, m.wanted, m.host = value, false, nil
}

// forget makes the trace know nothing of a tensor's new value.
func (tr *trace) forget(m *memory) {
	tr.changed[m.changed] = nil
	tr.living--
	m.trace = nil
}

// drop takes a tensor's value and its buffer. The caller has the lock.
func (h *heap) drop(c *pjrt.Client, m *memory) {
	if tr := m.trace; tr != nil {
		tr.forget(m)
		if tr.living == 0 { // what was recorded, nobody wants: it keeps no buffers
			tr.reset()
		}
	}
	if m.buffer != 0 {
		h.release(c, m.buffer)
	}
	m.buffer, m.host = 0, nil
}

// donated is the place in args of the buffer that the program may take over for a tensor's new value; -1: none.
func (tr *trace) donated(m *memory) int {
	if r, ok := tr.read[m]; ok && r.at >= 0 && r.buffer == m.buffer && tr.heap.readers[r.buffer] == 1 {
		return r.at
	}
	return -1
}

// mostWanted is how many numbers a tensor has at most that the host gets together with others.
const mostWanted = 1 << 16

// flush runs what was recorded. With reads it waits for what the host is going to read. The caller has the lock.
func (tr *trace) flush(reads bool) {
	tr.changed = slices.DeleteFunc(tr.changed, func(m *memory) bool { return m == nil })
	for i, m := range tr.changed {
		m.changed = i
	}
	if len(tr.changed) == 0 { // what was computed, nobody wants
		tr.reset()
		tr.heap.release(tr.shared.client)
		return
	}
	tr.wanted = tr.wanted[:0]
	tr.note(resulting)
	tr.note(int(tr.precision))
	size := 0
	for _, m := range tr.changed {
		tr.note(m.value)
		tr.note(tr.donated(m))
		if n := m.room * m.cols; reads && m.wanted && n <= mostWanted {
			tr.wanted = append(tr.wanted, m)
			tr.note(m.changed)
			size += n
		}
	}
	p := tr.shared.program(tr)
	defer tr.shared.release(p)
	c := tr.shared.client
	args, results := make([]pjrt.Buffer, 0, len(tr.args)+1), make([]pjrt.Buffer, len(tr.changed))
	for _, a := range tr.args {
		args = append(args, a.buffer)
	}
	var waste []pjrt.Buffer
	if len(tr.packed) > 0 {
		b := c.NewBuffer()
		must(c.Upload(b, tr.chip, pjrt.U32, []int{len(tr.packed)}, bytesOf(tr.packed)))
		args, waste = append(args, b), append(waste, b)
	}
	for i := range results {
		results[i] = c.NewBuffer()
	}
	var host pjrt.Buffer
	outs := results
	if size > 0 {
		host = c.NewBuffer()
		outs = append(outs, host)
	}
	tr.shared.ran()
	must(tr.shared.execute(p, tr.chip, args, outs))
	for i, m := range tr.changed {
		if m.buffer != 0 {
			waste = append(waste, m.buffer)
		}
		m.buffer, m.trace = results[i], nil
	}
	wanted := slices.Clone(tr.wanted)
	tr.reset()
	tr.heap.release(c, waste...)
	if size > 0 {
		all := make([]float32, size)
		tr.shared.download(host, all)
		must(c.Free(host))
		for _, m := range wanted {
			n := m.room * m.cols
			m.host, all = all[:n:n], all[n:]
		}
	}
}

// text writes the program.
func (tr *trace) text() []byte {
	b := newBuilder(builderOptions{precision: tr.precision, philox: tr.shared.philox})
	values := make([]val, tr.values)
	donated := map[int]int{}
	for i, m := range tr.changed {
		if at := tr.donated(m); at >= 0 {
			donated[at] = i
		}
	}
	b.text.WriteString("module @unimo {\n  func.func public @main(")
	for i, a := range tr.args {
		v := val{fmt.Sprintf("%%a%d", i), f32, []int{a.rows, a.cols}}
		values[a.value] = v
		if i > 0 {
			b.text.WriteString(", ")
		}
		b.text.WriteString(v.name + ": " + v.tensor())
		if at, ok := donated[i]; ok {
			fmt.Fprintf(&b.text, " {tf.aliasing_output = %d : i32}", at)
		}
	}
	packed := val{"%packed", pjrt.U32, []int{len(tr.packed)}}
	if len(tr.packed) > 0 {
		if len(tr.args) > 0 {
			b.text.WriteString(", ")
		}
		b.text.WriteString(packed.name + ": " + packed.tensor())
	}
	types := make([]string, len(tr.changed))
	for i, m := range tr.changed {
		types[i] = tensorType(f32, []int{m.room, m.cols})
	}
	if len(tr.wanted) > 0 {
		n := 0
		for _, m := range tr.wanted {
			n += m.room * m.cols
		}
		types = append(types, tensorType(f32, []int{n}))
	}
	all := strings.Join(types, ", ")
	b.text.WriteString(") -> (" + all + ") {\n")
	for _, in := range tr.inputs {
		n := 1
		if len(in.dims) > 0 {
			n = in.dims[0]
		}
		if n == 0 {
			values[in.value] = b.bits(b.integer(pjrt.U32, 0, in.dims...), in.typ)
			continue
		}
		v := b.slice(packed, []int{in.from}, []int{in.from + n})
		values[in.value] = b.bits(b.reshape(v, in.dims...), in.typ)
	}
	for _, c := range tr.calls {
		links := tr.links[c.first:]
		ins := make([]val, c.ins)
		for i, at := range links[:c.ins] {
			if at >= 0 {
				ins[i] = values[at]
			}
		}
		var results []val
		if c.lower != nil {
			results = c.lower(b, ins)
		}
		for i := range c.outs {
			out := links[c.ins+3*i:]
			value, dims := out[0], []int{int(out[1]), int(out[2])}
			if dims[0] < 0 {
				continue
			}
			if results == nil {
				values[value] = b.number(0, dims...)
				continue
			}
			if v := results[i]; v.typ != f32 || !slices.Equal(v.dims, dims) {
				panic(fmt.Sprintf("xla: %s made %s, want %s", c.name, v.tensor(), tensorType(f32, dims)))
			}
			values[value] = results[i]
		}
	}
	var names []string
	for _, m := range tr.changed {
		names = append(names, values[m.value].name)
	}
	if len(tr.wanted) > 0 {
		var flat []val
		for _, m := range tr.wanted {
			flat = append(flat, b.reshape(values[m.value], m.room*m.cols))
		}
		names = append(names, b.concatenate(0, flat...).name)
	}
	b.text.WriteString("    return " + strings.Join(names, ", ") + " : " + all + "\n  }\n}\n")
	return []byte(b.text.String())
}
