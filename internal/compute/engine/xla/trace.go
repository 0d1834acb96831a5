package xla

import (
	"fmt"
	"hash/maphash"
	"slices"
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

	epoch int // how many there were before
	recording
}

// recording is what a trace is made of.
type recording struct {
	values  int           // how many there are
	calls   []call        // operations, in order
	args    []argument    // what the program reads of the device's memory
	inputs  []input       // what it gets from the host, packed
	packed  []uint32      // their content
	known   map[key]int   // inputs by their memory, so that what all layers use is sent once
	changed []*memory     // tensors with a new value
	waste   []pjrt.Buffer // of tensors that are no more, but which the program reads
	hash    maphash.Hash  // of all that decides which program it is
}

// call is an operation. What lower captures is in the hash.
type call struct {
	name  string
	outs  []int // values, from the first on
	ins   []int // values; -1: none
	dims  [][]int
	lower func(b *builder, ins []val) []val // nil: zeros
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

// reset begins anew.
func (tr *trace) reset() {
	old := tr.recording
	clear(old.calls)
	clear(old.args)
	clear(old.changed)
	clear(old.known)
	tr.epoch++
	tr.recording = recording{known: old.known, calls: old.calls[:0], args: old.args[:0], inputs: old.inputs[:0], packed: old.packed[:0], changed: old.changed[:0], waste: old.waste[:0]}
	tr.hash.SetSeed(seed)
}

// has says whether it knows the value of a tensor.
func (tr *trace) has(m *memory) bool { return m.trace == tr && m.epoch == tr.epoch }

// take makes it know a value, which the device's memory does not have.
func (tr *trace) take(m *memory, value int) {
	m.trace, m.epoch, m.value, m.changed, m.read = tr, tr.epoch, value, -1, -1
}

func (tr *trace) value() int {
	tr.values++
	return tr.values - 1
}

func (tr *trace) note(numbers ...int) {
	for _, n := range numbers {
		maphash.WriteComparable(&tr.hash, n)
	}
}

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
	c := call{name: name, lower: func(b *builder, ins []val) []val { return lower(b, attrs, ins) }}
	c.ins, c.outs, c.dims = make([]int, len(ins)), make([]int, len(outs)), make([][]int, len(outs))
	tr.hash.WriteString(name)
	maphash.WriteComparable(&tr.hash, attrs)
	for i, in := range ins {
		c.ins[i] = int(in)
	}
	tr.note(c.ins...)
	var parts []*engine.Tensor
	for i, out := range outs {
		c.outs[i] = tr.value()
		if out == nil {
			tr.note(-1)
			continue
		}
		m := of(out)
		c.dims[i] = []int{grid(m.rows), m.cols}
		tr.note(c.dims[i]...)
		if m.whole != nil {
			parts = append(parts, out)
		}
		tr.set(m, c.outs[i])
	}
	tr.calls = append(tr.calls, c)
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
			c := call{name: "undefined", outs: []int{m.value}, dims: [][]int{{grid(m.rows), m.cols}}}
			tr.calls = append(tr.calls, c)
			tr.hash.WriteString(c.name)
		} else {
			m.read = len(tr.args)
			tr.args = append(tr.args, argument{m.buffer, grid(m.rows), m.cols, m.value, m})
			tr.hash.WriteString("argument")
		}
		tr.note(grid(m.rows), m.cols)
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
	tr.hash.WriteString("input")
	tr.note(int(typ), length)
	return operand(in.value)
}

// set gives a tensor a new value.
func (tr *trace) set(m *memory, value int) {
	if tr.has(m) {
		m.value = value
	} else {
		tr.take(m, value)
	}
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
	m.buffer = 0
}

// run runs what was recorded if m depends on it.
func (tr *trace) run(m *memory) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.has(m) && m.changed >= 0 {
		tr.flush()
	}
}

// flush runs what was recorded. The caller has the lock.
func (tr *trace) flush() {
	tr.changed = slices.DeleteFunc(tr.changed, func(m *memory) bool { return m == nil })
	if len(tr.changed) == 0 { // what was computed, nobody wants
		if len(tr.waste) > 0 {
			must(tr.shared.client.Free(tr.waste...))
		}
		tr.reset()
		return
	}
	tr.hash.WriteString("results")
	for _, m := range tr.changed {
		tr.note(m.value, m.read)
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
		must(c.Upload(b, 0, pjrt.U32, []int{len(tr.packed)}, bytesOf(tr.packed)))
		args, waste = append(args, b), append(waste, b)
	}
	for i := range results {
		results[i] = c.NewBuffer()
	}
	tr.shared.ran()
	must(c.Execute(p.executable, [][]pjrt.Buffer{args}, [][]pjrt.Buffer{results}))
	for i, m := range tr.changed {
		if m.buffer != 0 {
			waste = append(waste, m.buffer)
		}
		m.buffer, m.trace = results[i], nil
	}
	if len(waste) > 0 {
		must(c.Free(waste...))
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
	all := types[0]
	for _, t := range types[1:] {
		all += ", " + t
	}
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
		ins := make([]val, len(c.ins))
		for i, at := range c.ins {
			if at >= 0 {
				ins[i] = values[at]
			}
		}
		var results []val
		if c.lower != nil {
			results = c.lower(b, ins)
		}
		for i, at := range c.outs {
			if c.dims[i] == nil {
				continue
			}
			if results == nil {
				values[at] = b.number(0, c.dims[i]...)
				continue
			}
			if v := results[i]; v.typ != f32 || !slices.Equal(v.dims, c.dims[i]) {
				panic(fmt.Sprintf("xla: %s made %s, want %s", c.name, v.tensor(), tensorType(f32, c.dims[i])))
			}
			values[at] = results[i]
		}
	}
	b.text.WriteString("    return ")
	for i, m := range tr.changed {
		if i > 0 {
			b.text.WriteString(", ")
		}
		b.text.WriteString(values[m.value].name)
	}
	b.text.WriteString(" : " + all + "\n  }\n}\n")
	return []byte(b.text.String())
}
