package xla

import "github.com/unimo-go/unimo/internal/compute/engine"

// Store implements [engine.Device]: the numbers are float32 here.
func (d *Device) Store(s engine.Stored) *engine.Tensor {
	s.Check()
	t := d.Wrap(s.Rows, s.Cols, s.Floats())
	t.Format = s.Format
	of(t).stored = &s
	return t
}

// StoredAs implements what [engine.StoredOf] asks for.
func (d *Device) StoredAs(t *engine.Tensor) *engine.Stored { return of(t).stored }

// prepared is what Prepare makes of a weight: all that products read, as whoever has it may let the tensor go.
type prepared struct {
	weight *engine.Tensor
	bytes  bool // products round each row of the other factor to 8 bits
}

// Prepare implements [engine.Device]. The plugin reads weights as they lie.
func (d *Device) Prepare(w *engine.Tensor, op engine.Transpose) engine.Weight {
	weight := engine.Plain(w, op)
	weight.Prepared = prepared{w, d.StoredAs(w).Multiplied(op)}
	return weight
}

// weight is that of a product.
func (d *Device) weight(w engine.Weight) operand {
	if p, ok := w.Prepared.(prepared); ok {
		return d.tensor(p.weight)
	}
	return d.tensor(w.Tensor)
}
