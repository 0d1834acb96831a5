package xla

import (
	"fmt"
	"unsafe"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// memory is the content of a tensor: a buffer of the plugin's, or a value of a trace that has not run. Both have room rows. What
// the rows behind the tensor's hold is finite and nothing else: operations for which it matters take the number of rows as an input.
// Gradients are the exception: those rows of theirs are zero, and every backward operation keeps it so.
type memory struct {
	rows, cols int
	room       int            // rows of the device's memory; see [Device.room]
	buffer     pjrt.Buffer    // 0: none yet
	whole      *engine.Tensor // of a part: what it is a part of, from row from on
	from       int
	stored     *engine.Stored // of Store: what it was made of
	scope      *scope         // that frees it, if nobody does before; nil: none

	trace   *trace // that has a new value for it, which the buffer has not; nil: none
	value   int
	changed int  // place in what the program changes
	wanted  bool // the host is going to read it

	host []float32 // the content, if the host has it
}

func of(t *engine.Tensor) *memory {
	m, ok := t.Memory.(*memory)
	if !ok {
		panic(fmt.Sprintf("xla: a tensor of %T, which is not this device's or was freed", t.Memory))
	}
	return m
}

// New implements [engine.Device].
func (d *Device) New(rows, cols int) *engine.Tensor {
	m := &memory{rows: rows, cols: cols, room: d.room(rows)}
	d.scope.add(m)
	return &engine.Tensor{Rows: rows, Cols: cols, Memory: m}
}

// Free implements [engine.Device].
func (d *Device) Free(t *engine.Tensor) {
	if t == nil {
		return
	}
	m := of(t)
	t.Memory = nil // a later use fails loudly
	m.remove()
	d.heap.mu.Lock()
	defer d.heap.mu.Unlock()
	d.heap.drop(d.client, m)
}

// Wrap implements [engine.Device]; the numbers are copied.
func (d *Device) Wrap(rows, cols int, host []float32) *engine.Tensor {
	t := d.New(rows, cols)
	d.Write(t, host)
	return t
}

// Part implements [engine.Device].
func (d *Device) Part(t *engine.Tensor, from, to int) *engine.Tensor {
	if from < 0 || to < from || to > t.Rows {
		panic(engine.ShapeError{Op: "part", Detail: fmt.Sprintf("rows %d to %d of %d", from, to, t.Rows)})
	}
	if m := of(t); m.whole != nil {
		t, from, to = m.whole, m.from+from, m.from+to
	}
	return &engine.Tensor{Rows: to - from, Cols: t.Cols, Memory: &memory{rows: to - from, cols: t.Cols, room: d.room(to - from), whole: t, from: from}}
}

// Write implements [engine.Device].
func (d *Device) Write(dst *engine.Tensor, host []float32) {
	checkLen("write", dst, len(host))
	m := of(dst)
	if m.whole != nil {
		temporary := d.Wrap(dst.Rows, dst.Cols, host)
		defer d.Free(temporary)
		d.Copy(dst, temporary)
		return
	}
	physical := host
	if n := m.room * m.cols; n != len(host) {
		physical = make([]float32, n)
		copy(physical, host)
	}
	d.heap.mu.Lock()
	defer d.heap.mu.Unlock()
	d.heap.drop(d.client, m)
	m.buffer = d.client.NewBuffer()
	must(d.client.Upload(m.buffer, d.chip, pjrt.F32, []int{m.room, m.cols}, bytesOf(physical)))
}

// Read implements [engine.Device].
func (d *Device) Read(host []float32, src *engine.Tensor) {
	checkLen("read", src, len(host))
	if len(host) == 0 {
		return
	}
	m := of(src)
	if m.whole != nil {
		temporary := d.New(src.Rows, src.Cols)
		defer d.Free(temporary)
		d.Copy(temporary, src)
		d.Read(host, temporary)
		return
	}
	d.heap.mu.Lock()
	m.wanted = true
	d.heap.mu.Unlock()
	copy(host, d.physical(m))
}

// Expect makes the numbers of a tensor come with those that are read first; see [engine.Expect].
func (d *Device) Expect(t *engine.Tensor) {
	d.heap.mu.Lock()
	defer d.heap.mu.Unlock()
	of(t).wanted = true
}

// Version implements what [engine.Version] asks for: each content that a tensor gets has a buffer of its own, whose name no other has after it.
func (d *Device) Version(t *engine.Tensor) uint64 {
	m := of(t)
	if m.whole != nil {
		return d.Version(m.whole)
	}
	buffer, _ := d.computed(m)
	return uint64(buffer)
}

// Start runs what was recorded; see [engine.Start].
func (d *Device) Start() {
	d.heap.mu.Lock()
	defer d.heap.mu.Unlock()
	d.trace.flush(true)
}

// physical returns all rows of the device's memory.
func (d *Device) physical(m *memory) []float32 {
	buffer, host := d.computed(m)
	if host != nil {
		return host
	}
	all := make([]float32, m.room*m.cols)
	if buffer != 0 { // else nothing was written yet
		d.download(buffer, all)
	}
	return all
}

// computed runs what the content of a tensor depends on. It returns where it is.
func (d *Device) computed(m *memory) (pjrt.Buffer, []float32) {
	d.heap.mu.Lock()
	defer d.heap.mu.Unlock()
	if m.trace != nil {
		m.trace.flush(true)
	}
	return m.buffer, m.host
}

// Behind returns what lies behind the rows of a tensor in the device's memory, for tests.
func (d *Device) Behind(t *engine.Tensor) []float32 { return d.physical(of(t))[t.Len():] }

// Zero implements [engine.Device].
func (d *Device) Zero(t *engine.Tensor) {
	record(d, "zero", none{}, func(b *builder, _ none, _ []val) []val { return nil }, []*engine.Tensor{t})
}

// Sparse implements [engine.Device]. All rows are alike here.
func (d *Device) Sparse(*engine.Tensor) {}

func checkLen(op string, t *engine.Tensor, n int) {
	if t.Len() != n {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d values for %d x %d", n, t.Rows, t.Cols)})
	}
}

func bytesOf[T any](s []T) []byte {
	var one T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(one)))
}
