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
	mu     sync.Mutex // a fork may read, and so run, what another has recorded
	shared *shared
	chip   int // on which it runs

	epoch int // how many there were before
	recording
}

// recording is what a trace is made of.
type recording struct {
	values  int           // how many there are
	calls   []call        // operations, in order
	links   []int32       // values and shapes of the operations
	args    []argument    // what the program reads of the device's memory
	inputs  []input       // what it gets from the host, packed
	packed  []uint32      // their content
	known   map[key]int   // inputs by their memory, so that what all layers use is sent once
	changed []*memory     // tensors with a new value
	wanted  []*memory     // of these, whose numbers the host gets at once
	waste   []pjrt.Buffer // of tensors that are no more, but which the program reads
	hash    uint64        // of all that decides which program it is
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
	owner      *memory // nil once it is no more
}

// input is host data of this run: so many elements, from a place in the packed words.
type input struct {
	typ   pjrt.Type
	dims  []int
	from  int
	value int
}

type key struct {
	at *byte
	n  int
}

// operand is a value that an operation reads; none is one that is not there.
type operand int

const absent operand = -1

// none is the attributes of an operation that has none.
type none struct{}

var seed = maphash.MakeSeed()

// What is noted in the hash besides operations.
const (
	undefined = iota
	argued
	given
	resulting
)

// reset begins anew.
func (tr *trace) reset() {
	old := tr.recording
	clear(old.calls)
	clear(old.args)
	clear(old.changed)
	clear(old.wanted)
	clear(old.known)
	tr.epoch++
	tr.recording = recording{
		calls: old.calls[:0], links: old.links[:0], args: old.args[:0], inputs: old.inputs[:0], packed: old.packed[:0], known: old.known,
		changed: old.changed[:0], wanted: old.wanted[:0], waste: old.waste[:0],
	}
}

// has says whether it knows the value of a tensor.
func (tr *trace) has(m *memory) bool { return m.trace == tr && m.epoch == tr.epoch }

// take makes it know a value, which the device's memory does not have.
func (tr *trace) take(m *memory, value int) {
	m.trace, m.epoch, m.value, m.changed, m.read, m.wanted = tr, tr.epoch, value, -1, -1, false
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
	tr := &d.trace
	tr.mu.Lock()
	tr.calls = append(tr.calls, call{name, len(tr.links), len(ins), len(outs), func(b *builder, ins []val) []val { return lower(b, attrs, ins) }})
	noteAny(tr, name)
	noteAny(tr, attrs)
	tr.note(len(ins))
	for _, in := range ins {
		tr.links = append(tr.links, int32(in))
		tr.note(int(in))
	}
	var parts []*engine.Tensor
	for _, out := range outs {
		value := tr.value()
		if out == nil {
			tr.links = append(tr.links, int32(value), -1, 0)
			tr.note(-1)
			continue
		}
		m := of(out)
		tr.links = append(tr.links, int32(value), int32(grid(m.rows)), int32(m.cols))
		tr.note(grid(m.rows))
		tr.note(m.cols)
		if m.whole != nil {
			parts = append(parts, out)
		}
		tr.set(m, value)
	}
	tr.mu.Unlock()
	for _, p := range parts {
		d.putPart(p)
	}
}

// tensor returns the value of a tensor; nil is absent.
func (d *Device) tensor(t *engine.Tensor) operand {
	if t == nil {
		return absent
	}
	m := of(t)
	if m.whole != nil {
		d.getPart(t)
	}
	if m.trace != nil && m.trace != &d.trace {
		m.trace.run(m)
	}
	tr := &d.trace
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if !tr.has(m) {
		tr.take(m, tr.value())
		if m.buffer == 0 { // nothing was written yet, so anything will do
			tr.calls = append(tr.calls, call{name: "undefined", first: len(tr.links), outs: 1})
			tr.links = append(tr.links, int32(m.value), int32(grid(m.rows)), int32(m.cols))
			tr.note(undefined)
		} else {
			m.read = len(tr.args)
			tr.args = append(tr.args, argument{m.buffer, grid(m.rows), m.cols, m.value, m})
			tr.note(argued)
		}
		tr.note(grid(m.rows))
		tr.note(m.cols)
	}
	return operand(m.value)
}

// part is where a part lies.
type part struct{ from, rows, to int }

// getPart makes the value of a part that of its rows now.
func (d *Device) getPart(t *engine.Tensor) {
	m := of(t)
	plain := &engine.Tensor{Rows: m.rows, Cols: m.cols, Memory: &memory{rows: m.rows, cols: m.cols}}
	record(d, "get part", part{m.from, m.rows, grid(m.rows)}, lowerGetPart, []*engine.Tensor{plain}, d.tensor(m.whole))
	p := of(plain)
	d.trace.mu.Lock()
	value := p.value
	d.trace.forget(p)
	d.trace.take(m, value)
	d.trace.mu.Unlock()
}

func lowerGetPart(b *builder, p part, ins []val) []val {
	x := b.slice(ins[0], []int{p.from, 0}, []int{p.from + p.rows, ins[0].dims[1]})
	return []val{b.fit(x, p.to)}
}

// putPart writes the value of a part into the tensor that it is of.
func (d *Device) putPart(t *engine.Tensor) {
	m := of(t)
	value := operand(m.value)
	record(d, "put part", part{m.from, m.rows, 0}, lowerPutPart, []*engine.Tensor{m.whole}, d.tensor(m.whole), value)
	d.trace.mu.Lock()
	d.trace.forget(m) // the next reading is of the whole
	d.trace.mu.Unlock()
}

func lowerPutPart(b *builder, p part, ins []val) []val {
	whole, cols := ins[0], ins[0].dims[1]
	head := b.slice(whole, []int{0, 0}, []int{p.from, cols})
	rows := b.slice(ins[1], []int{0, 0}, []int{p.rows, cols})
	tail := b.slice(whole, []int{p.from + p.rows, 0}, []int{whole.dims[0], cols})
	return []val{b.concatenate(0, slices.DeleteFunc([]val{head, rows, tail}, func(v val) bool { return v.dims[0] == 0 })...)}
}

// ints, floats, words and count are data of the host for this run: vectors of grid(n) elements, behind theirs zeros; a scalar i32.
func (d *Device) ints(x []int32) operand     { return send(d, pjrt.I32, x, grid(len(x))) }
func (d *Device) floats(x []float32) operand { return send(d, pjrt.F32, x, grid(len(x))) }
func (d *Device) words(x ...uint32) operand  { return send(d, pjrt.U32, x, len(x)) }
func (d *Device) count(n int) operand        { return send(d, pjrt.I32, []int32{int32(n)}, -1) }
func (d *Device) scalar(x float32) operand   { return send(d, pjrt.F32, []float32{x}, -1) }

// send appends host data, of 4 bytes an element; length -1 makes it a scalar.
func send[T int32 | float32 | uint32](d *Device, typ pjrt.Type, x []T, length int) operand {
	tr := &d.trace
	tr.mu.Lock()
	defer tr.mu.Unlock()
	dims, n := []int{length}, length
	if length < 0 {
		dims, n = nil, 1
	}
	content := unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
	k := key{(*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)}
	if at, ok := tr.known[k]; ok && length >= 0 {
		// The same memory may hold something else by now.
		if in := tr.inputs[at]; in.typ == typ && slices.Equal(in.dims, dims) && slices.Equal(tr.packed[in.from:in.from+len(x)], content) {
			return operand(in.value)
		}
	}
	in := input{typ, dims, len(tr.packed), tr.value()}
	tr.known[k] = len(tr.inputs)
	tr.inputs = append(tr.inputs, in)
	tr.packed = append(tr.packed, content...)
	for range n - len(x) {
		tr.packed = append(tr.packed, 0)
	}
	tr.note(given)
	tr.note(int(typ))
	tr.note(length)
	return operand(in.value)
}

// set gives a tensor a new value.
func (tr *trace) set(m *memory, value int) {
	if tr.has(m) {
		m.value = value
	} else {
		tr.take(m, value)
	}
	m.wanted, m.host = false, nil
	if m.changed < 0 && m.whole == nil {
		m.changed = len(tr.changed)
		tr.changed = append(tr.changed, m)
	}
}

// forget makes the trace know nothing of a tensor's value.
func (tr *trace) forget(m *memory) {
	if !tr.has(m) {
		return
	}
	if m.changed >= 0 {
		tr.changed[m.changed] = nil
	}
	if m.read >= 0 {
		tr.args[m.read].owner = nil
	}
	m.trace = nil
}

// drop takes a tensor's value and its buffer, which lives on while the program reads it.
func (tr *trace) drop(m *memory) {
	read := tr.has(m) && m.read >= 0
	tr.forget(m)
	switch {
	case m.buffer == 0:
	case read:
		tr.waste = append(tr.waste, m.buffer)
	default:
		must(tr.shared.client.Free(m.buffer))
	}
	m.buffer, m.host = 0, nil
}

// run runs what was recorded if m depends on it.
func (tr *trace) run(m *memory) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.has(m) && m.changed >= 0 {
		tr.flush(true)
	}
}

// want says that the host is going to read m, if the device has it not yet.
func (tr *trace) want(m *memory) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.has(m) && m.changed >= 0 {
		m.wanted = true
	}
}

// mostWanted is how many numbers a tensor has at most that the host gets together with others.
const mostWanted = 1 << 16

// flush runs what was recorded. With reads it waits for what the host is going to read. The caller has the lock.
func (tr *trace) flush(reads bool) {
	tr.changed = slices.DeleteFunc(tr.changed, func(m *memory) bool { return m == nil })
	if len(tr.changed) == 0 { // what was computed, nobody wants
		if len(tr.waste) > 0 {
			must(tr.shared.client.Free(tr.waste...))
		}
		tr.reset()
		return
	}
	tr.note(resulting)
	size := 0
	for _, m := range tr.changed {
		tr.note(m.value)
		tr.note(m.read)
		if n := grid(m.rows) * m.cols; reads && m.wanted && n <= mostWanted {
			tr.wanted = append(tr.wanted, m)
			tr.note(m.changed)
			size += n
		}
	}
	p := tr.shared.program(tr)
	c := tr.shared.client
	args, results := make([]pjrt.Buffer, 0, len(tr.args)+1), make([]pjrt.Buffer, len(tr.changed))
	for _, a := range tr.args {
		args = append(args, a.buffer)
	}
	waste := tr.waste
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
	if len(waste) > 0 {
		must(c.Free(waste...))
	}
	if size > 0 {
		all := make([]float32, size)
		must(c.Download(host, bytesOf(all)))
		must(c.Free(host))
		for _, m := range tr.wanted {
			n := grid(m.rows) * m.cols
			m.host, all = all[:n:n], all[n:]
		}
	}
	tr.reset()
}

// text writes the program.
func (tr *trace) text(o builderOptions) []byte {
	b := newBuilder(o)
	values := make([]val, tr.values)
	donated := map[int]int{}
	for i, m := range tr.changed {
		if m.read >= 0 {
			donated[m.read] = i
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
		types[i] = tensorType(f32, []int{grid(m.rows), m.cols})
	}
	if len(tr.wanted) > 0 {
		n := 0
		for _, m := range tr.wanted {
			n += grid(m.rows) * m.cols
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
			flat = append(flat, b.reshape(values[m.value], grid(m.rows)*m.cols))
		}
		names = append(names, b.concatenate(0, flat...).name)
	}
	b.text.WriteString("    return " + strings.Join(names, ", ") + " : " + all + "\n  }\n}\n")
	return []byte(b.text.String())
}
