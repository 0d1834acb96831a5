package cpu

import (
	"fmt"
	"math/bits"
	"sync"

	"github.com/unimo-go/unimo/internal/engine"
	"github.com/unimo-go/unimo/internal/kernels"
	"github.com/unimo-go/unimo/internal/parallel"
)

// Device implements [engine.Device] on the processor.
type Device struct {
	mu   sync.Mutex
	free map[int][]*block // by capacity

	loops loops
}

var _ engine.Device = (*Device)(nil)

// block is the memory of a tensor. Blocks of New are recycled by capacity; those
// of Wrap belong to somebody else and have capacity class 0.
type block struct {
	data  []float32
	class int

	constant bool             // of Wrap: never changes
	uses     int              // as the weights of a linear map, while constant
	packed   *kernels.PackedB // weights that are used repeatedly
}

// New returns a device whose memory is independent of any other's.
func New() *Device { return &Device{free: map[int][]*block{}} }

// Name implements [engine.Device].
func (d *Device) Name() string {
	return fmt.Sprintf("cpu (%s, %d threads)", kernels.Active(), parallel.Threads())
}

// capacityClass rounds n up to one of eight steps an octave: at most 1/8 is
// wasted, and batches of about the same size share their blocks.
func capacityClass(n int) int {
	const smallest = 64
	if n <= smallest {
		return smallest
	}
	step := 1 << max(0, bits.Len(uint(n-1))-4)
	return (n + step - 1) / step * step
}

// New implements [engine.Device].
func (d *Device) New(rows, cols int) *engine.Tensor {
	n := rows * cols
	class := capacityClass(n)
	d.mu.Lock()
	list := d.free[class]
	var b *block
	if len(list) > 0 {
		b = list[len(list)-1]
		d.free[class] = list[:len(list)-1]
	}
	d.mu.Unlock()
	if b == nil {
		b = &block{data: make([]float32, class), class: class}
	}
	return &engine.Tensor{Rows: rows, Cols: cols, Memory: b}
}

// Free implements [engine.Device]. Freeing nil or a wrapped tensor does nothing.
func (d *Device) Free(t *engine.Tensor) {
	if t == nil || t.Memory == nil {
		return
	}
	b := t.Memory.(*block)
	t.Memory = nil // a later use fails loudly
	if b.class == 0 {
		return
	}
	d.mu.Lock()
	d.free[b.class] = append(d.free[b.class], b)
	d.mu.Unlock()
}

// Wrap implements [engine.Device]; the tensor aliases host.
func (d *Device) Wrap(rows, cols int, host []float32) *engine.Tensor {
	if len(host) != rows*cols {
		panic(engine.ShapeError{Op: "wrap", Detail: fmt.Sprintf("%d values for %d x %d", len(host), rows, cols)})
	}
	return &engine.Tensor{Rows: rows, Cols: cols, Memory: &block{data: host, constant: true}}
}

// Write implements [engine.Device].
func (d *Device) Write(dst *engine.Tensor, host []float32) {
	checkLen("write", dst, len(host))
	copy(data(dst), host)
}

// Read implements [engine.Device].
func (d *Device) Read(host []float32, src *engine.Tensor) {
	checkLen("read", src, len(host))
	copy(host, data(src))
}

// Host returns the memory of t itself; see [engine.Values].
func (d *Device) Host(t *engine.Tensor) []float32 { return data(t) }

// data returns the elements of t.
func data(t *engine.Tensor) []float32 { return t.Memory.(*block).data[:t.Rows*t.Cols] }

func checkLen(op string, t *engine.Tensor, n int) {
	if t.Len() != n {
		panic(engine.ShapeError{Op: op, Detail: fmt.Sprintf("%d values for %d x %d", n, t.Rows, t.Cols)})
	}
}
