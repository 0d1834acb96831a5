package optim

import (
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// How moments are kept, by the names in configurations.
const (
	MomentsFloat32  = "float32"  // both, 8 bytes a parameter
	MomentsBfloat16 = "bfloat16" // both, rounded by chance, 4 bytes a parameter
	MomentsFactored = "factored" // of matrices the second alone, a number for each row and each column
)

// CheckMoments returns an error unless moments can be kept so.
func CheckMoments(name string) error {
	switch name {
	case MomentsFloat32, MomentsBfloat16, MomentsFactored:
		return nil
	}
	return names.Unknown("form of moments", name, []string{MomentsFloat32, MomentsBfloat16, MomentsFactored})
}

// MomentBytes returns how much is kept of the gradients of a parameter of that form.
func MomentBytes(moments string, rows, cols int64) int64 {
	switch {
	case moments == MomentsBfloat16:
		return 4 * rows * cols
	case moments == MomentsFactored && rows > 1 && cols > 1:
		return 4 * (rows + cols + 1)
	}
	return 8 * rows * cols
}

// Moment is a part of what is kept of a parameter's gradients, or all of it.
type Moment struct {
	Suffix string // of the parameter's name, for its own
	Value  *engine.Tensor
	Bits   Bits
}

// Bits says which bits of a tensor's elements are a moment.
type Bits int

// A moment is the whole of each element, or a bfloat16 in a half of it.
const (
	Whole Bits = iota
	UpperHalf
	LowerHalf
)

// Suffixes of moments, the first two the reference's: its tools and ours agree on what stands beside a parameter.
const (
	suffix1       = "_moment1_0"
	suffix2       = "_moment2_0"
	suffixRows    = "_moment2_0_rows"
	suffixColumns = "_moment2_0_columns"
)

// stepping is a step.
type stepping struct {
	engine.AdamStep
	number      int     // counted from 0
	uncorrected float32 // the step size without the correction of the first moment
}

// moments are what is kept of the gradients of some rows of a parameter.
type moments interface {
	// step moves rows of p (nil: all) by their gradients.
	step(p, grad *engine.Tensor, rows []int32, s stepping)
	// idle makes, in row rows[i], the steps history[from[i]:] with a gradient of zero. history begins with the step base.
	idle(p *engine.Tensor, rows, from []int32, history []engine.AdamStep, base int)
	// settle brings up to date what belongs to no row, after n steps; resume says that it is.
	settle(n int)
	resume(n int)
	list() []Moment
	// part returns those of rows alone.
	part(from, to int) moments
	// byRow lists those with a row for each row of the parameter.
	byRow() []*engine.Tensor
}

// newMoments returns moments of zero for the rows of the i-th parameter that are stepped here.
func (a *Adam) newMoments(i int, s *state) moments {
	zeros := func(rows, cols int) *engine.Tensor {
		t := a.dev.New(rows, cols)
		a.dev.Zero(t)
		return t
	}
	rows, cols := s.value.Rows, s.value.Cols
	switch {
	case a.cfg.Moments == MomentsBfloat16:
		key := random.New(a.cfg.Seed, "moments").Uint64()
		return &rounded{dev: a.dev, both: zeros(rows, cols), rounding: engine.Rounding{Key: key, Stream: uint64(i) << 32, First: s.from * cols}}
	case a.cfg.Moments == MomentsFactored && a.params[i].Value.Rows > 1 && cols > 1:
		if s.divided {
			panic(wholeOnly)
		}
		return &factored{Factored: engine.Factored{Rows: zeros(rows, 1), Columns: zeros(1, cols+1)}, dev: a.dev, beta2: float32(a.cfg.Beta2)}
	}
	return &exact{a.dev, zeros(rows, cols), zeros(rows, cols)}
}

const wholeOnly = "optim: factored moments need all rows of a parameter"

// exact are both moments as they are.
type exact struct {
	dev  engine.Device
	m, v *engine.Tensor
}

func (e *exact) step(p, grad *engine.Tensor, rows []int32, s stepping) {
	e.dev.Adam(p, e.m, e.v, grad, rows, s.AdamStep)
}

func (e *exact) idle(p *engine.Tensor, rows, from []int32, history []engine.AdamStep, _ int) {
	e.dev.AdamIdle(p, e.m, e.v, rows, from, history)
}

func (e *exact) settle(int)     {}
func (e *exact) resume(int)     {}
func (e *exact) list() []Moment { return []Moment{{suffix1, e.m, Whole}, {suffix2, e.v, Whole}} }
func (e *exact) part(from, to int) moments {
	return &exact{e.dev, e.dev.Part(e.m, from, to), e.dev.Part(e.v, from, to)}
}
func (e *exact) byRow() []*engine.Tensor { return []*engine.Tensor{e.m, e.v} }

// rounded are both moments in 16 bits each.
type rounded struct {
	dev      engine.Device
	both     *engine.Tensor
	rounding engine.Rounding // of the first step
}

// at is the rounding of a step.
func (r *rounded) at(number int) engine.Rounding {
	rounding := r.rounding
	rounding.Stream += uint64(number)
	return rounding
}

func (r *rounded) step(p, grad *engine.Tensor, rows []int32, s stepping) {
	r.dev.AdamBfloat16(p, r.both, grad, rows, s.AdamStep, r.at(s.number))
}

func (r *rounded) idle(p *engine.Tensor, rows, from []int32, history []engine.AdamStep, base int) {
	r.dev.AdamIdleBfloat16(p, r.both, rows, from, history, r.at(base))
}

func (r *rounded) settle(int) {}
func (r *rounded) resume(int) {}
func (r *rounded) list() []Moment {
	return []Moment{{suffix1, r.both, UpperHalf}, {suffix2, r.both, LowerHalf}}
}
func (r *rounded) part(from, to int) moments {
	rounding := r.rounding
	rounding.First += from * r.both.Cols
	return &rounded{r.dev, r.dev.Part(r.both, from, to), rounding}
}
func (r *rounded) byRow() []*engine.Tensor { return []*engine.Tensor{r.both} }

// factored is the second moment of a matrix in place of both. The update is divided by the root of the mean of its squares, where that is above 1,
// over the rows whose gradient is not zero.
type factored struct {
	engine.Factored
	dev   engine.Device
	beta2 float32
	done  int // steps that columns have seen
}

func (f *factored) step(p, grad *engine.Tensor, rows []int32, s stepping) {
	if rows != nil && len(rows) == 0 {
		return
	}
	f.settle(s.number)
	f.done++
	step := s.AdamStep
	step.StepSize = s.uncorrected
	f.dev.AdamFactored(p, f.Factored, grad, rows, step)
}

func (f *factored) idle(p *engine.Tensor, rows, from []int32, history []engine.AdamStep, _ int) {
	f.dev.AdamIdleFactored(p, f.Factored, rows, from, history)
}

// settle makes steps of columns in which nothing had a gradient. Where nothing is postponed there are none.
func (f *factored) settle(n int) {
	if n == f.done {
		return
	}
	columns := engine.Values(f.dev, f.Columns)
	for j := range columns {
		columns[j] = engine.Faded(columns[j], f.beta2, n-f.done)
	}
	f.dev.Write(f.Columns, columns)
	f.done = n
}

func (f *factored) resume(n int) { f.done = n }

func (f *factored) list() []Moment {
	return []Moment{{suffixRows, f.Rows, Whole}, {suffixColumns, f.Columns, Whole}}
}

func (f *factored) part(int, int) moments { panic(wholeOnly) }

func (f *factored) byRow() []*engine.Tensor { return []*engine.Tensor{f.Rows} }
