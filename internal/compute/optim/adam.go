package optim

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Config holds the optimiser's constants.
type Config struct {
	Beta1, Beta2 float64
	Epsilon      float64
	WeightDecay  float64
	ClipNorm     float64 // 0: no clipping
	Moments      string  // how they are kept: [MomentsFloat32] (or ""), [MomentsBfloat16] or [MomentsFactored]
	Seed         uint64  // of chance in rounding moments
}

// Default is what every recipe of the reference starts from (SNLI-VE has beta2
// 0.999, generation decays with 0.01).
var Default = Config{Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-6, ClipNorm: 1}

// Param is one tensor to optimise.
type Param struct {
	Name      string
	Value     *engine.Tensor
	Grad      *autograd.Gradient
	Undecayed bool // weight decay does not apply, whatever the name says
}

// Adam holds the moments of its parameters.
//
// With g' the clipped gradient and t counted from 1:
//
//	m = β1·m + (1-β1)·g'     v = β2·v + (1-β2)·g'²
//	p = p - lr·sqrt(1-β2ᵗ)/(1-β1ᵗ) · m/(sqrt(v)+ε) - lr·decay·p
//
// As in Paddle 1.8, ε is added to the uncorrected sqrt(v), and the decay takes the
// parameter before the step and the scheduled rate.
//
// # Postponed updates
//
// Adam moves every row of an embedding in every step, also those whose gradient is zero because
// no token of the batch looked them up. These steps are postponed: they are made, one
// after the other and to the same bits, when the row is looked up next (see
// [autograd.Gradient.Before]) or by [Adam.Settle], which must be called before
// parameters or moments are read in any other way. Of parameters that are divided by a [Shard] nothing is postponed, and nothing at all on a
// device that is not rowwise.
//
// # Late steps
//
// On a device that computes late, the norm of the gradients stays there ([engine.Device]'s Clip), and with it what keeps a step with gradients that
// are not finite from being made, and all after it. Who wants to know reads the [Norm] of a step, at any time: see [Adam.Late].
type Adam struct {
	cfg    Config
	dev    engine.Device
	params []Param
	states []state
	steps  int
	shard  *Shard // nil: no parameter is divided

	measured    *measured      // by Measure
	clip        *engine.Tensor // of late steps, else nil: what gradients are multiplied with; NaN: no step is made
	uncorrected float32        // the step size of the step, without the correction of the first moment

	base    int                          // steps before the first of history
	history [2][]engine.AdamStep         // since the last Settle: without decay, and with
	late    struct{ rows, from []int32 } // scratch of catchUp
	whole   struct {                     // scratch of squares: gradients that are not divided
		params  []int
		sums    []float64
		tensors []*engine.Tensor
		rows    [][]int32
	}
}

// Shard is the part that a process has of the work of several that optimise the same parameters. Of parameters that are divided it steps its
// rows, and the caller brings the rows together after each step.
type Shard struct {
	Rows [][2]int // of each parameter, from and to
	// Late is for an optimiser that has all moments, and all of a parameter until [Adam.Divide]. Else all parameters are divided, and it has the
	// moments of its rows alone.
	Late bool
	// Share completes the sums of squares of rows of gradients, which each process has for its own rows; nil for parameters of which
	// there are none.
	Share func(sums [][]float64) error
}

// state is what belongs to one parameter.
type state struct {
	divided bool           // by the shard
	from    int            // the first row that is stepped here
	value   *engine.Tensor // the rows that are
	moments
	decay int     // index into history
	done  []int32 // by row, steps made; nil: all rows are up to date
	moved []bool  // by row: its moments may not be zero
}

// NewAdam returns an optimiser with zero moments.
func NewAdam(d engine.Device, cfg Config, params []Param) *Adam { return newAdam(d, cfg, params, nil) }

// NewSharded returns an optimiser with zero moments that divides parameters.
func NewSharded(d engine.Device, cfg Config, params []Param, shard Shard) *Adam {
	return newAdam(d, cfg, params, &shard)
}

func newAdam(d engine.Device, cfg Config, params []Param, shard *Shard) *Adam {
	a := &Adam{cfg: cfg, dev: d, params: params, states: make([]state, len(params)), shard: shard}
	for i, p := range params {
		s := &a.states[i]
		s.value = p.Value
		if s.divided = shard != nil && !shard.Late; s.divided {
			s.from = shard.Rows[i][0]
			s.value = d.Part(p.Value, s.from, shard.Rows[i][1])
		}
		s.moments = a.newMoments(i, s)
		if !p.Undecayed && Decayed(p.Name) && cfg.WeightDecay != 0 {
			s.decay = 1
		}
		if !s.divided {
			p.Grad.Before = func(rows []int32) { a.catchUp(i, rows) }
		}
	}
	if engine.Late(d) && shard == nil {
		a.clip = d.Wrap(1, 1, []float32{1})
	}
	engine.Start(d) // the moments are there: the first step is no other program than the next ones
	return a
}

// Divide divides a parameter from the next step on. Of its moments those of the other rows stay behind.
func (a *Adam) Divide(i int) {
	s := &a.states[i]
	if s.divided {
		return
	}
	a.catchUp(i, nil)
	from, to := a.shard.Rows[i][0], a.shard.Rows[i][1]
	*s = state{divided: true, from: from, value: a.dev.Part(s.value, from, to), moments: s.part(from, to), decay: s.decay}
	a.params[i].Grad.Before = nil
}

// Resume says that parameters and moments are those after n steps, of a run that
// goes on.
func (a *Adam) Resume(n int) {
	a.steps, a.base = n, n
	for i := range a.states {
		a.states[i].done, a.states[i].moved = nil, nil
		a.states[i].resume(n)
	}
	a.forget()
}

// Moments lists what is kept of the gradients of the i-th parameter, or of the rows of it that are stepped here, to save and restore.
func (a *Adam) Moments(i int) []Moment { return a.states[i].list() }

// NormError is an error of gradients that are not finite.
type NormError struct {
	Norm  float64
	Where string // the first parameter with such a gradient
}

func (e *NormError) Error() string {
	return fmt.Sprintf("the gradient's norm is %v in %s", e.Norm, e.Where)
}

// Norm returns the norm of all gradients of a step before clipping, or a [NormError] where it is not finite: then the step was not made.
type Norm func() (float64, error)

// measured is what a step is made with.
type measured struct {
	norm Norm
	clip float32 // what gradients are multiplied with, where the host knows it
}

// StepName is what an error calls a step of the optimiser for which a device has too little memory.
const StepName = "a step of the optimiser"

// Late says whether [Adam.Advance] waits for no number of the device. A step that was not made shows in its Norm alone then; none
// after it is made before that is read.
func (a *Adam) Late() bool { return a.clip != nil }

// Step updates the parameters with the given learning rate and returns the norm
// of all gradients before clipping. Gradients that are not finite change nothing
// and are a [NormError].
func (a *Adam) Step(rate float64) (gradNorm float64, err error) {
	norm, err := a.Advance(rate)
	if err != nil {
		return 0, err
	}
	return norm()
}

// Advance is Step for who reads the norm later. Unless the optimiser is [Adam.Late], the error of Norm is Advance's.
func (a *Adam) Advance(rate float64) (Norm, error) {
	if a.measured == nil {
		if err := a.Measure(); err != nil {
			return nil, err
		}
	}
	m := *a.measured
	if a.measured = nil; a.clip == nil {
		if _, err := m.norm(); err != nil {
			return nil, err
		}
	}
	t := float64(a.steps + 1)
	plain := engine.AdamStep{
		Beta1: float32(a.cfg.Beta1), Beta2: float32(a.cfg.Beta2), Epsilon: float32(a.cfg.Epsilon),
		StepSize:  float32(rate * math.Sqrt(1-math.Pow(a.cfg.Beta2, t)) / (1 - math.Pow(a.cfg.Beta1, t))),
		GradScale: m.clip, Clip: a.clip,
	}
	a.uncorrected = float32(rate * math.Sqrt(1-math.Pow(a.cfg.Beta2, t)))
	decayed := plain
	decayed.Decay = float32(a.cfg.WeightDecay * rate)
	step := [2]engine.AdamStep{plain, decayed}
	for i := range a.params {
		a.update(i, step[a.states[i].decay])
	}
	a.steps++
	if a.dev.Rowwise() { // else nothing is postponed
		for i, s := range step {
			a.history[i] = append(a.history[i], s)
		}
	}
	for i, s := range a.states {
		if s.divided {
			a.catchUp(i, nil)
		}
	}
	// What comes next is another program. To this one it does not matter how large batches are.
	return m.norm, engine.Alone(StepName, func() error {
		engine.Start(a.dev)
		return nil
	})
}

// Measure computes now what Step would compute first of the gradients, which do not change until then: in the program of what was computed
// before, on a device that computes late.
func (a *Adam) Measure() error {
	if a.clip != nil {
		a.measureLate()
		return nil
	}
	squares, err := a.squares()
	if err != nil {
		return err
	}
	var sum float64
	for _, s := range squares {
		sum += s
	}
	norm := math.Sqrt(sum)
	if bad := func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }; bad(norm) {
		err = a.refused(norm, slices.IndexFunc(squares, bad))
	}
	clip := 1.0
	if a.cfg.ClipNorm > 0 {
		clip = a.cfg.ClipNorm / max(norm, a.cfg.ClipNorm)
	}
	a.measured = &measured{func() (float64, error) { return norm, err }, float32(clip)}
	return nil
}

// refused is the error of a norm that is not finite, because of the gradient of the i-th parameter; -1: of none by itself.
func (a *Adam) refused(norm float64, i int) error {
	where := "the sum over all parameters"
	if i >= 0 {
		where = a.params[i].Name
	}
	return &NormError{norm, where}
}

// measureLate has the device measure gradients.
func (a *Adam) measureLate() {
	var gradients []*engine.Tensor
	var params []int // theirs
	for i, p := range a.params {
		if p.Grad.Extent() != autograd.Empty {
			gradients, params = append(gradients, p.Grad.Fill(a.dev)), append(params, i)
		}
	}
	measure := a.dev.New(1, 4)
	a.dev.Clip(a.clip, measure, gradients, a.cfg.ClipNorm)
	noted := engine.Note(a.dev, measure)
	a.dev.Free(measure)
	engine.Start(a.dev)
	number := a.steps
	a.measured = &measured{norm: func() (float64, error) {
		n := noted()
		norm, first, clip := engine.Joined(n[0], n[1]), int(n[2]), n[3]
		if clip == clip {
			return norm, nil
		}
		if a.steps > number { // none was made since then; the next one may be
			a.steps = number
			for i := range a.states {
				a.states[i].resume(number)
			}
			a.dev.Write(a.clip, []float32{1})
		}
		if first == len(params) {
			return norm, a.refused(norm, -1)
		}
		return norm, a.refused(norm, params[first])
	}}
}

// squares returns the sum of squares of each parameter's gradient.
func (a *Adam) squares() ([]float64, error) {
	squares, shared := make([]float64, len(a.params)), make([][]float64, len(a.params))
	w := &a.whole
	w.params, w.tensors, w.rows = w.params[:0], w.tensors[:0], w.rows[:0]
	for i, p := range a.params {
		g, extent := p.Grad.Tensor(), p.Grad.Extent()
		switch {
		case extent == autograd.Dense && a.states[i].divided:
			shared[i] = make([]float64, g.Rows)
			from, to := a.shard.Rows[i][0], a.shard.Rows[i][1]
			a.dev.RowSquares(shared[i][from:to], a.dev.Part(g, from, to), nil)
		case extent != autograd.Empty:
			var rows []int32
			if extent == autograd.Rows {
				rows = p.Grad.Rows()
			}
			w.params, w.tensors, w.rows = append(w.params, i), append(w.tensors, g), append(w.rows, rows)
		}
	}
	w.sums = slices.Grow(w.sums[:0], len(w.params))[:len(w.params)]
	a.dev.SumSquares(w.sums, w.tensors, w.rows)
	for k, i := range w.params {
		squares[i] = w.sums[k]
	}
	if a.shard == nil {
		return squares, nil
	}
	if err := a.shard.Share(shared); err != nil {
		return nil, err
	}
	for i, rows := range shared {
		for _, s := range rows {
			squares[i] += s
		}
	}
	return squares, nil
}

// update makes the step that follows a.steps where parameter i has a gradient.
func (a *Adam) update(i int, step engine.AdamStep) {
	p, s := a.params[i], &a.states[i]
	if s.value.Rows == 0 {
		return
	}
	t := stepping{AdamStep: step, number: a.steps, uncorrected: a.uncorrected}
	grad := p.Grad.Tensor()
	if !a.dev.Rowwise() {
		grad = p.Grad.Fill(a.dev)
	}
	if s.divided {
		grad = a.dev.Part(grad, s.from, s.from+s.value.Rows)
	}
	if p.Grad.Extent() == autograd.Dense {
		a.catchUp(i, nil)
		s.step(s.value, grad, nil, t)
		for row := range s.done {
			s.done[row], s.moved[row] = int32(a.steps)+1, true
		}
		return
	}
	if s.done == nil {
		a.postpone(s)
	}
	if p.Grad.Extent() == autograd.Rows {
		rows := p.Grad.Rows()
		if s.divided {
			rows = s.own(rows)
		}
		a.catchUp(i, rows)
		s.step(s.value, grad, rows, t)
		for _, row := range rows {
			s.done[row], s.moved[row] = int32(a.steps)+1, true
		}
	}
}

// own returns, of rows of the parameter in ascending order, those that are stepped here, counted from the first of these.
func (s *state) own(rows []int32) []int32 {
	own := []int32{}
	for _, row := range rows {
		if at := int(row) - s.from; at >= 0 && at < s.value.Rows {
			own = append(own, int32(at))
		}
	}
	return own
}

// postpone begins to keep account of a parameter's rows, all of which are up to date.
func (a *Adam) postpone(s *state) {
	s.done = make([]int32, s.value.Rows)
	for row := range s.done {
		s.done[row] = int32(a.steps)
	}
	if s.moved != nil {
		return
	}
	s.moved = make([]bool, s.value.Rows)
	if a.steps == 0 { // zero, as they were made
		for _, moment := range s.byRow() {
			a.dev.Sparse(moment)
		}
		return
	}
	for _, moment := range s.byRow() {
		values := engine.Values(a.dev, moment)
		for row := range s.moved {
			s.moved[row] = s.moved[row] || slices.ContainsFunc(values[row*moment.Cols:(row+1)*moment.Cols], func(x float32) bool { return x != 0 })
		}
	}
}

// catchUp makes the postponed steps of some rows of parameter i (nil: of all).
func (a *Adam) catchUp(i int, rows []int32) {
	s := &a.states[i]
	if s.done == nil {
		return
	}
	late := &a.late
	late.rows, late.from = late.rows[:0], late.from[:0]
	add := func(row int32) {
		if int(s.done[row]) == a.steps {
			return
		}
		// Zero moments move nothing; only decay does.
		if s.moved[row] || s.decay == 1 {
			late.rows, late.from = append(late.rows, row), append(late.from, s.done[row]-int32(a.base))
		}
		s.done[row] = int32(a.steps)
	}
	if rows == nil {
		for row := range s.done {
			add(int32(row))
		}
	} else {
		for _, row := range rows {
			add(row)
		}
	}
	if len(late.rows) > 0 {
		s.idle(s.value, late.rows, late.from, a.history[s.decay], a.base)
	}
}

// Settle makes all postponed steps.
func (a *Adam) Settle() {
	for i := range a.states {
		a.catchUp(i, nil)
		a.states[i].settle(a.steps)
	}
	a.forget()
}

// forget drops the history, which no row needs.
func (a *Adam) forget() {
	a.base = a.steps
	for i := range a.history {
		a.history[i] = a.history[i][:0]
	}
}

// Decayed says whether weight decay applies to a parameter, by the reference's
// rule on names (under which cls_out_b_0 and cls_out_b_1 are decayed).
func Decayed(name string) bool {
	if strings.Contains(name, "layer_norm") {
		return false
	}
	for _, suffix := range []string{"_bias", "_b", ".b_0"} {
		if strings.HasSuffix(name, suffix) {
			return false
		}
	}
	return true
}
