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
	s.once.Do(func() { s.all = s.floats() })
	return s.all
}

// floats returns the numbers in float32.
func (s *stored) floats() []float32 {
	x := make([]float32, s.Rows*s.Cols)
	s.read(x, 0)
	return x
}

// read sets x to the numbers of whole rows, from row on.
func (s *stored) read(x []float32, row int) {
	at := row * s.Cols
	if format, ok := s.half(); ok {
		format.Widen(x, s.Halves[at:at+len(x)])
		return
	}
	for ; len(x) > 0; x, row = x[s.Cols:], row+1 {
		for i, v := range s.Bytes[row*s.Cols:][:s.Cols] {
			scale := row
			if !s.ByRow {
				scale = i
			}
			x[i] = float32(v) * s.Scales[scale]
		}
	}
}

// half says what the 16-bit numbers of s are; ok is false if it has none. The receiver may be nil.
func (s *stored) half() (format kernels.HalfFormat, ok bool) {
	switch {
	case s == nil:
	case s.Format == engine.BFloat16:
		return kernels.BFloat16, true
	case s.Format == engine.Float16:
		return kernels.Float16, true
	}
	return 0, false
}

// gather does what gathering does for rows lo to hi.
func (s *stored) gather(a *gathering, lo, hi int) {
	scratch := scratches.Get().(*scratch)
	for i := lo; i < hi; i++ {
		row := rowOf(a.dst, i, a.cols)
		if !a.accumulate {
			s.read(row, int(a.ids[i]))
			continue
		}
		from := grow(&scratch.scores, a.cols)
		s.read(from, int(a.ids[i]))
		kernels.Add(row, row, from)
	}
	scratches.Put(scratch)
}

// multiplied says whether s is bytes with a scale for each column of a product with op(s), whose sums fit, so that bytes are multiplied.
// The receiver may be nil.
func (s *stored) multiplied(op engine.Transpose) bool {
	if s == nil || s.Format != engine.Int8 || s.ByRow != (op == engine.NT) {
		return false
	}
	k := s.Rows
	if s.ByRow {
		k = s.Cols
	}
	return k <= kernels.Int8MaxK
}
