package cpu

import (
	"sync"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// stored is the memory of a tensor of [Device.Store].
type stored struct {
	engine.Stored
	once sync.Once
	all  []float32 // of expanded
}

// Store implements [engine.Device].
func (d *Device) Store(s engine.Stored) *engine.Tensor {
	s.Check()
	b := &block{stored: &stored{Stored: s}}
	b.tensor = engine.Tensor{Rows: s.Rows, Cols: s.Cols, Memory: b, Format: s.Format}
	return &b.tensor
}

// storedOf returns the memory of a tensor of Store, nil of any other.
func storedOf(t *engine.Tensor) *stored { return t.Memory.(*block).stored }

// expanded returns the numbers in float32, which stay: devices may share the tensor.
func (s *stored) expanded() []float32 {
	s.once.Do(func() { s.all = s.Floats() })
	return s.all
}

// gather does what gathering does for rows lo to hi.
func (s *stored) gather(a *gathering, lo, hi int) {
	scratch := scratches.Get().(*scratch)
	for i := lo; i < hi; i++ {
		row := rowOf(a.dst, i, a.cols)
		if !a.accumulate {
			s.ReadRows(row, int(a.ids[i]))
			continue
		}
		from := grow(&scratch.scores, a.cols)
		s.ReadRows(from, int(a.ids[i]))
		kernels.Add(row, row, from)
	}
	scratches.Put(scratch)
}
