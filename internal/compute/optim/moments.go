package optim

import (
	"math"

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
		return &factored{dev: a.dev, beta2: float32(a.cfg.Beta2), rows: zeros(rows, 1), columns: zeros(1, cols+1)}
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

// factored is the second moment of a matrix as Adafactor has it (Shazeer and Stern, arXiv:1804.04235), in place of both: the moving
// averages of g'² over each row and over each column, where v is their product over the average of all. There is no first moment.
// The update is divided by the root of the mean of its squares, where that is above 1, over the rows that have a gradient.
type factored struct {
	dev     engine.Device
	beta2   float32
	rows    *engine.Tensor // R x 1
	columns *engine.Tensor // 1 x C+1: the last is the average of all
	done    int            // steps that columns have seen
}

// factoredBlock is how many values of a matrix are updated at a time: what is computed on the way stays in the cache.
const factoredBlock = 1 << 18

func (f *factored) step(p, grad *engine.Tensor, rows []int32, s stepping) {
	count := p.Rows
	if rows != nil {
		count = len(rows)
	}
	if count == 0 {
		return
	}
	f.settle(s.number)
	f.done++
	blocks := f.blocks(count, p, grad, rows)
	with := f.average(blocks, count, p, grad, rows, s.GradScale)
	if f.dev.Rowwise() {
		with = count // those given are the rows with a gradient, by definition
	}

	columns := engine.Values(f.dev, f.columns)
	ratio := f.dev.New(1, p.Cols)
	defer f.dev.Free(ratio)
	ratios := make([]float32, p.Cols)
	if all := columns[p.Cols]; all > 0 {
		for j := range ratios {
			ratios[j] = columns[j] / all
		}
	}
	f.dev.Write(ratio, ratios)

	step := s.AdamStep
	step.Beta1, step.Beta2, step.StepSize, step.Decay = 0, 1, 1, 0
	var squares float64 // of the update
	for _, b := range blocks {
		b.gradient(func(g *engine.Tensor) {
			u := f.dev.New(g.Rows, g.Cols)
			f.dev.Zero(u)
			f.update(u, g, ratio, b, step)
			squares += engine.SumSquares(f.dev, u)
			f.dev.Free(u)
		})
	}
	root := math.Sqrt(squares / float64(max(with, 1)*p.Cols))
	step.StepSize, step.Decay = s.uncorrected/float32(max(1, root)), s.Decay
	for _, b := range blocks {
		b.parameter(func(p *engine.Tensor) {
			b.gradient(func(g *engine.Tensor) { f.update(p, g, ratio, b, step) })
		})
	}
}

// update makes a step of Adam whose second moment is given.
func (f *factored) update(p, g, ratio *engine.Tensor, b block, step engine.AdamStep) {
	zero, v, r := f.dev.New(g.Rows, g.Cols), f.dev.New(g.Rows, g.Cols), f.dev.New(g.Rows, 1)
	f.dev.Zero(zero)
	f.dev.Gather(r, f.rows, b.numbers, false)
	f.dev.MatMul(v, r, ratio, engine.NN, false)
	f.dev.Adam(p, zero, v, g, nil, step)
	for _, t := range []*engine.Tensor{zero, v, r} {
		f.dev.Free(t)
	}
}

// average takes the squares of gradients into the averages, and returns how many rows have a gradient.
func (f *factored) average(blocks []block, count int, p, grad *engine.Tensor, rows []int32, scale float32) (with int) {
	sums := make([]float64, count)
	f.dev.RowSquares(sums, grad, rows)
	square := float64(scale) * float64(scale)
	rest := 1 - f.beta2
	averages := engine.Values(f.dev, f.rows)
	var all float64
	for i, s := range sums {
		row := i
		if rows != nil {
			row = int(rows[i])
		}
		mean := s * square / float64(p.Cols)
		all += mean
		averages[row] = kept(f.beta2*averages[row] + rest*float32(mean))
		if s > 0 {
			with++
		}
	}
	f.dev.Write(f.rows, averages)

	sum := f.dev.New(1, p.Cols)
	for i, b := range blocks {
		b.gradient(func(g *engine.Tensor) {
			squares := f.dev.New(g.Rows, g.Cols)
			f.dev.Multiply(squares, g, g)
			f.dev.SumRows(sum, squares, i > 0)
			f.dev.Free(squares)
		})
	}
	columns := engine.Values(f.dev, f.columns)
	for j, s := range engine.Values(f.dev, sum) {
		columns[j] = kept(f.beta2*columns[j] + rest*float32(float64(s)*square/float64(p.Rows)))
	}
	columns[p.Cols] = kept(f.beta2*columns[p.Cols] + rest*float32(all/float64(p.Rows)))
	f.dev.Write(f.columns, columns)
	f.dev.Free(sum)
	return with
}

func (f *factored) idle(p *engine.Tensor, rows, from []int32, history []engine.AdamStep, _ int) {
	averages := engine.Values(f.dev, f.rows)
	decays := false
	for i, row := range rows {
		averages[row] = f.faded(averages[row], len(history)-int(from[i]))
	}
	f.dev.Write(f.rows, averages)
	for _, s := range history {
		decays = decays || s.Decay != 0
	}
	if !decays {
		return
	}
	for _, b := range f.blocks(len(rows), p, nil, rows) {
		b.parameter(func(p *engine.Tensor) {
			m, v := f.dev.New(p.Rows, p.Cols), f.dev.New(p.Rows, p.Cols)
			f.dev.Zero(m)
			f.dev.Zero(v)
			all := make([]int32, p.Rows)
			for i := range all {
				all[i] = int32(i)
			}
			f.dev.AdamIdle(p, m, v, all, from[b.first:b.first+p.Rows], history)
			f.dev.Free(m)
			f.dev.Free(v)
		})
	}
}

// faded is an average after steps with nothing to add, one after the other: how many are made at a time changes no bit.
func (f *factored) faded(average float32, steps int) float32 {
	for ; steps > 0 && average != 0; steps-- {
		average = kept(f.beta2 * average)
	}
	return average
}

// kept is an average, or zero where it is too small to be of use; see kernels.Adam.
func kept(average float32) float32 {
	const least = 0x1p-100
	if average < least {
		return 0
	}
	return average
}

func (f *factored) settle(n int) {
	if n == f.done {
		return
	}
	columns := engine.Values(f.dev, f.columns)
	for j := range columns {
		columns[j] = f.faded(columns[j], n-f.done)
	}
	f.dev.Write(f.columns, columns)
	f.done = n
}

func (f *factored) resume(n int) { f.done = n }

func (f *factored) list() []Moment {
	return []Moment{{suffixRows, f.rows, Whole}, {suffixColumns, f.columns, Whole}}
}

func (f *factored) part(int, int) moments { panic(wholeOnly) }

func (f *factored) byRow() []*engine.Tensor { return []*engine.Tensor{f.rows} }

// block is some rows of a parameter and of its gradient.
type block struct {
	dev     engine.Device
	p, grad *engine.Tensor
	some    bool    // rows are picked, else they lie together
	first   int     // the place of the first among all that are updated
	numbers []int32 // of the rows
}

// blocks divides count rows of p: those of rows or, if that is nil, all.
func (f *factored) blocks(count int, p, grad *engine.Tensor, rows []int32) []block {
	var list []block
	at := max(1, factoredBlock/p.Cols)
	for first := 0; first < count; first += at {
		b := block{dev: f.dev, p: p, grad: grad, some: rows != nil, first: first}
		if b.some {
			b.numbers = rows[first:min(first+at, count)]
		} else {
			for row := first; row < min(first+at, count); row++ {
				b.numbers = append(b.numbers, int32(row))
			}
		}
		list = append(list, b)
	}
	return list
}

// gradient calls do with the block's rows of the gradient.
func (b block) gradient(do func(g *engine.Tensor)) {
	if !b.some {
		do(b.dev.Part(b.grad, b.first, b.first+len(b.numbers)))
		return
	}
	g := b.dev.New(len(b.numbers), b.grad.Cols)
	b.dev.Gather(g, b.grad, b.numbers, false)
	do(g)
	b.dev.Free(g)
}

// parameter calls do with the block's rows of the parameter, which it changes.
func (b block) parameter(do func(p *engine.Tensor)) {
	if !b.some {
		do(b.dev.Part(b.p, b.first, b.first+len(b.numbers)))
		return
	}
	p := b.dev.New(len(b.numbers), b.p.Cols)
	b.dev.Gather(p, b.p, b.numbers, false)
	do(p)
	overwrite := make([]bool, len(b.numbers))
	for i := range overwrite {
		overwrite[i] = true
	}
	b.dev.ScatterAdd(b.p, b.numbers, p, overwrite)
	b.dev.Free(p)
}
