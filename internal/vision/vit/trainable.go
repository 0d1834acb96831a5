package vit

import (
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/nn"
	"github.com/unimo-go/unimo/internal/vision"
)

// Trainable is a model whose weights are parameters of what it is trained with.
type Trainable struct {
	Params nn.Parameters // under their names in the file

	encoder *encoder
	view    *encoder // over the same weights, without gradients
}

// OpenTrainable opens a model for training. The reader is not needed afterwards.
func OpenTrainable(d engine.Device, config []byte, r checkpoint.Reader) (*Trainable, error) {
	s, err := locate(config, r)
	if err != nil {
		return nil, err
	}
	m := &Trainable{}
	m.encoder, _ = s.build(nn.Allocate(d, &m.Params))
	for i := range m.encoder.layers {
		if l := &m.encoder.layers[i]; l.key.B != nil {
			// It adds the same to every score of a query: its gradient is exactly zero, and rounding noise is kept out of it.
			l.key.B = autograd.Const(l.key.B.Value)
		}
	}
	if _, err := m.Params.Load(d, r); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Path(), err)
	}
	if err := m.Params.CheckWeights(d); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Path(), err)
	}
	values := map[string]*engine.Tensor{}
	for _, p := range m.Params {
		values[p.Name] = p.Value
	}
	m.view, _ = s.build(func(name string, _ nn.Init, _ ...int) *autograd.Var { return autograd.Const(values[name]) })
	return m, nil
}

// Features returns the rows of pictures, one picture below the other: the picture as a whole, then its patches. offsets say
// where each picture's begin.
func (m *Trainable) Features(t *autograd.Tape, pictures []vision.Pixels) (features *autograd.Var, offsets []int32, err error) {
	e := m.encoder
	for i, p := range pictures {
		if err := e.check(p); err != nil {
			return nil, nil, fmt.Errorf("picture %d: %w", i+1, err)
		}
	}
	patches, global := e.run(t, pictures, newStretched(e, pictures))
	offsets = []int32{0}
	var rows []int32 // of the pictures as wholes, and below them all patches
	next := int32(len(pictures))
	for i, p := range pictures {
		down, across := e.grid(p)
		rows = append(rows, int32(i))
		for range down * across {
			rows = append(rows, next)
			next++
		}
		offsets = append(offsets, int32(len(rows)))
	}
	if global == nil {
		global = means(t, patches, offsets)
	}
	return t.StackRows(global, patches, rows), offsets, nil
}

// means returns the mean of each picture's patches, of which there is one less than rows between its offsets.
func means(t *autograd.Tape, patches *autograd.Var, offsets []int32) *autograd.Var {
	n, total := len(offsets)-1, patches.Value.Rows
	shares := make([]float32, n*total)
	for i := range n {
		first, count := int(offsets[i])-i, int(offsets[i+1]-offsets[i])-1
		for k := range count {
			shares[i*total+first+k] = 1 / float32(count)
		}
	}
	return t.Linear(t.Input(n, total, shares), autograd.NewWeight(patches, engine.NN), nil)
}

// Network returns the model as it is, whose weights may change between runs.
func (m *Trainable) Network() vision.Network {
	return &network{encoder: m.view, changing: true}
}

// stretched are tables of positions that are made of a table that changes.
type stretched struct {
	positions *autograd.Var
	sizes     [][2]int // cells down and across, each size once
	firsts    []int32
	rows      int
	matrix    []float32 // nil: the table itself
}

func newStretched(e *encoder, pictures []vision.Pixels) *stretched {
	s := &stretched{positions: e.positions}
	for _, p := range pictures {
		down, across := e.grid(p)
		if slices.Contains(s.sizes, [2]int{down, across}) {
			continue
		}
		s.sizes, s.firsts = append(s.sizes, [2]int{down, across}), append(s.firsts, int32(s.rows))
		s.rows += e.ahead() + down*across
	}
	if down, across := e.cfg.cells(); len(s.sizes) == 1 && s.sizes[0] == [2]int{down, across} {
		return s
	}
	for _, size := range s.sizes {
		m := e.cfg.interpolation(size[0], size[1], e.ahead())
		if m == nil { // the identity
			n := e.positions.Value.Rows
			m = make([]float32, n*n)
			for i := range n {
				m[i*n+i] = 1
			}
		}
		s.matrix = append(s.matrix, m...)
	}
	return s
}

// first implements tables.
func (s *stretched) first(down, across int) int32 {
	return s.firsts[slices.Index(s.sizes, [2]int{down, across})]
}

// table implements tables.
func (s *stretched) table(t *autograd.Tape) *autograd.Var {
	if s.matrix == nil {
		return s.positions
	}
	return t.Linear(t.Input(s.rows, s.positions.Value.Rows, s.matrix), autograd.NewWeight(s.positions, engine.NN), nil)
}

// Boxes are the places of the patches of a picture of so many pixels, as [vision.Output] has them.
func (m *Trainable) Boxes(width, height int) ([]float32, error) {
	p := vision.Pixels{Width: width, Height: height}
	if err := m.encoder.Check(p.Width, p.Height); err != nil {
		return nil, err
	}
	return m.encoder.boxes(p), nil
}
