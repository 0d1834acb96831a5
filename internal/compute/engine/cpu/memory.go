package cpu

import (
	"fmt"
	"sync"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// Device implements [engine.Device] on the processor.
type Device struct {
	*memory
	limit  parallel.Limit
	rounds bool // activations for products with matrices of bfloat16
	loops  loops
}

// memory is that of a device and its forks.
type memory struct {
	mu    sync.Mutex
	arena arena
	spare []*block // of freed tensors, for New
}

var _ engine.Device = (*Device)(nil)

// block is a tensor and its memory, which is the arena's or, of Wrap, somebody else's.
type block struct {
	tensor engine.Tensor // whose Memory is the block, until Free
	data   []float32
	place  span    // in the arena; of a wrapped tensor empty
	fresh  bool    // nobody has asked for data since New, and they are zero
	stored *stored // of Store, instead of data
}

// New returns a device whose memory is independent of any other's. It computes on all threads of
// package parallel.
func New() *Device { return NewLimited(0) }

// NewLimited returns a device that computes on so many threads at most: a server gives each of its
// models one.
func NewLimited(limit parallel.Limit) *Device { return &Device{memory: new(memory), limit: limit} }

// NewRounding returns such a device that rounds activations to bfloat16 for products with matrices of bfloat16, which then are the
// processor's own; nil if it has none, or none that are faster than those of float32.
func NewRounding(limit parallel.Limit) *Device {
	if !kernels.HasBFloat16Products() {
		return nil
	}
	d := NewLimited(limit)
	d.rounds = true
	return d
}

// Another returns a device that computes as d does, with memory of its own.
func (d *Device) Another() *Device {
	return &Device{memory: new(memory), limit: d.limit, rounds: d.rounds}
}

// Fork implements [engine.Device].
func (d *Device) Fork() engine.Device {
	return &Device{memory: d.memory, limit: d.limit, rounds: d.rounds}
}

// Limit implements [engine.Device].
func (d *Device) Limit() parallel.Limit { return d.limit }

// Name implements [engine.Device].
func (d *Device) Name() string {
	with := kernels.Active().String()
	if d.rounds {
		with += " with bfloat16"
	}
	if d.limit.Threads() == 1 {
		return fmt.Sprintf("cpu (%s, 1 thread)", with)
	}
	return fmt.Sprintf("cpu (%s, %d threads)", with, d.limit.Threads())
}

// New implements [engine.Device]. Memory that was freed is used again, and so is the
// Tensor itself: New allocates only when there was never so much in use.
func (m *memory) New(rows, cols int) *engine.Tensor {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.spare) == 0 {
		m.spare = append(m.spare, new(block))
	}
	b := m.spare[len(m.spare)-1]
	m.spare = m.spare[:len(m.spare)-1]
	b.place, b.fresh = m.arena.take(rows * cols)
	b.data = m.arena.memory(b.place)
	b.tensor = engine.Tensor{Rows: rows, Cols: cols, Memory: b}
	return &b.tensor
}

// Free implements [engine.Device]. The tensor must not be used afterwards: that
// panics until New hands it out again, and so does freeing it twice. Freeing nil
// does nothing.
func (m *memory) Free(t *engine.Tensor) {
	if t == nil {
		return
	}
	b := t.Memory.(*block)
	t.Memory = nil // a later use fails loudly
	b.data = nil
	if b.place == (span{}) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.arena.give(b.place)
	m.spare = append(m.spare, b)
}

// Wrap implements [engine.Device]; the tensor aliases host.
func (d *Device) Wrap(rows, cols int, host []float32) *engine.Tensor {
	if len(host) != rows*cols {
		panic(engine.ShapeError{Op: "wrap", Detail: fmt.Sprintf("%d values for %d x %d", len(host), rows, cols)})
	}
	b := &block{data: host}
	b.tensor = engine.Tensor{Rows: rows, Cols: cols, Memory: b}
	return &b.tensor
}

// Sparse implements [engine.Device]. Rows that are never written have no pages of memory, but for those beside others.
func (d *Device) Sparse(t *engine.Tensor) {
	if b := t.Memory.(*block); b.data != nil {
		adviseSparse(b.data[:t.Len()])
	}
}

// Rowwise implements [engine.Device].
func (d *Device) Rowwise() bool { return true }

// Part implements [engine.Device].
func (d *Device) Part(t *engine.Tensor, from, to int) *engine.Tensor {
	return d.Wrap(to-from, t.Cols, data(t)[from*t.Cols:to*t.Cols])
}

// Write implements [engine.Device].
func (d *Device) Write(dst *engine.Tensor, host []float32) {
	checkLen("write", dst, len(host))
	copy(data(dst), host)
}

// Read implements [engine.Device].
func (d *Device) Read(host []float32, src *engine.Tensor) {
	checkLen("read", src, len(host))
	if s := storedOf(src); s != nil {
		s.ReadRows(host, 0)
		return
	}
	copy(host, data(src))
}

// Host returns the memory of t itself, or of a stored one a copy; see [engine.Values].
func (d *Device) Host(t *engine.Tensor) []float32 {
	if s := storedOf(t); s != nil {
		return s.Floats()
	}
	return data(t)
}

// StoredAs implements what [engine.StoredOf] asks for.
func (d *Device) StoredAs(t *engine.Tensor) *engine.Stored {
	if s := storedOf(t); s != nil {
		return &s.Stored
	}
	return nil
}

// data returns the elements of t. It is called before work is divided.
func data(t *engine.Tensor) []float32 {
	b := t.Memory.(*block)
	if b.stored != nil {
		return b.stored.expanded()
	}
	if b.fresh { // else nothing is written: devices may share a tensor that none of them changes
		b.fresh = false
	}
	return b.data[:t.Rows*t.Cols]
}

func checkLen(op string, t *engine.Tensor, n int) {
	if t.Len() != n {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d values for %d x %d", n, t.Rows, t.Cols)})
	}
}
