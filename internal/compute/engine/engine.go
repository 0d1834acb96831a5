package engine

import (
	"fmt"
	"slices"
)

// Tensor is a row-major float32 matrix in a device's memory. A vector of n
// elements is a 1 x n matrix. One of another format is of Store, and nothing writes to it.
type Tensor struct {
	Rows, Cols int
	Memory     any // the device's own; no other package looks into it
	Format     Format
}

// Len returns the number of elements.
func (t *Tensor) Len() int { return t.Rows * t.Cols }

// ShapeError is what operations panic with when shapes do not fit: a mistake in
// the code that calls them, never in a user's data.
type ShapeError struct {
	Op     string // the operation
	Detail string // both shapes
}

func (e ShapeError) Error() string { return "engine: " + e.Op + ": " + e.Detail }

// CheckIndices panics with a [ShapeError] unless every index is in [0, rows).
func CheckIndices(op string, indices []int32, rows int) {
	for i, index := range indices {
		if index < 0 || int(index) >= rows {
			panic(ShapeError{op, fmt.Sprintf("index %d is %d, want 0 to %d", i, index, rows-1)})
		}
	}
}

// CheckTargets panics with a [ShapeError] unless there is a target for each element of x.
func CheckTargets(op string, x *Tensor, targets []float32) {
	if x.Len() != len(targets) {
		panic(ShapeError{op, fmt.Sprintf("%d targets for %d x %d elements", len(targets), x.Rows, x.Cols)})
	}
}

// CheckShape panics with a [ShapeError] unless t is rows x cols.
func CheckShape(op, name string, t *Tensor, rows, cols int) {
	if t.Rows != rows || t.Cols != cols {
		panic(ShapeError{op, fmt.Sprintf("%s is %d x %d, want %d x %d", name, t.Rows, t.Cols, rows, cols)})
	}
}

// CheckTopK panics with a [ShapeError] unless TopK can do what it is asked for; see [Rows].
func CheckTopK(ids []int32, values []float32, logSums []float64, x *Tensor, k int, except int32) {
	rows, cols := x.Rows, x.Cols
	if k < 1 || k >= cols || len(ids) != rows*k || len(values) != rows*k || len(logSums) != rows || int(except) >= cols {
		panic(ShapeError{"top k", fmt.Sprintf("%d of %d x %d but column %d, into %d ids, %d values and %d sums", k, rows, cols, except, len(ids), len(values), len(logSums))})
	}
}

// CheckIdle panics with a [ShapeError] unless there are rows and steps of that history to make in each; see [Optimiser].
func CheckIdle(op string, p *Tensor, rows, from []int32, history []AdamStep) {
	CheckIndices(op, rows, p.Rows)
	CheckIndices(op, from, len(history)+1)
	if len(from) != len(rows) {
		panic(ShapeError{op, fmt.Sprintf("%d rows begin at %d steps", len(rows), len(from))})
	}
}

// CheckClip panics with a [ShapeError] unless the results of Clip fit; see [Optimiser].
func CheckClip(clip, measure *Tensor) {
	CheckShape("clip", "clip", clip, 1, 1)
	CheckShape("clip", "measure", measure, 1, 4)
}

// Joined is the number whose two parts a device has given: the float32 next to it, and the rest.
func Joined(upper, lower float32) float64 {
	if upper-upper != 0 { // of what is not finite the rest says nothing
		return float64(upper)
	}
	return float64(upper) + float64(lower)
}

// Transpose says which factors of a product are transposed.
type Transpose int

// The products of a forward pass (x·w) and of its two gradients.
const (
	NN Transpose = iota // a·b
	NT                  // a·bᵀ
	TN                  // aᵀ·b
)

// Weight is a matrix that rows are multiplied by, and the side it is used from. A linear map of 3
// inputs and 5 outputs is a 3 x 5 tensor with NN, or a 5 x 3 tensor with NT.
//
// A weight of [Plain] is read as it lies, for weights that training changes. [Device].Prepare
// makes one that products read faster, for weights that stay; it never changes, so devices of one
// kind may share it.
type Weight struct {
	Tensor   *Tensor
	Op       Transpose // NN: x·w, NT: x·wᵀ
	Prepared any       // of Prepare, the device's own; no other package looks into it
}

// Plain returns a weight that is read as it lies. It panics with a [ShapeError] unless op is NN or NT.
func Plain(w *Tensor, op Transpose) Weight {
	if op != NN && op != NT {
		panic(ShapeError{"weight", fmt.Sprintf("product %d, want NN or NT", op)})
	}
	return Weight{Tensor: w, Op: op}
}

// In returns the columns of x in a product x·w.
func (w Weight) In() int {
	if w.Op == NT {
		return w.Tensor.Cols
	}
	return w.Tensor.Rows
}

// Out returns the columns of the product.
func (w Weight) Out() int {
	if w.Op == NT {
		return w.Tensor.Rows
	}
	return w.Tensor.Cols
}

// Dropout describes one dropout operation. The mask is a function of Key, Stream
// and the element's index alone (a counter-based generator), so that the
// backward pass and a replayed step see the same mask without storing it.
type Dropout struct {
	Prob   float32 // of dropping; 0 does nothing
	Key    uint64  // the run's seed
	Stream uint64  // the operation: step and place in the step
}

// Noise says by which numbers elements are drawn: each by a function of Key, Stream and its index, as in [Dropout].
type Noise struct{ Key, Stream uint64 }

// Check panics with a [ShapeError] unless each row of x has a bound.
func (n Noise) Check(op string, x *Tensor, bounds []float32) {
	if len(bounds) != x.Rows {
		panic(ShapeError{op, fmt.Sprintf("%d bounds for %d rows", len(bounds), x.Rows)})
	}
}

// AdamStep holds the scalars of one Adam update:
//
//	g' = GradScale·g
//	m  = Beta1·m + (1-Beta1)·g'
//	v  = Beta2·v + (1-Beta2)·g'²
//	p  = p - StepSize·m/(sqrt(v)+Epsilon) - Decay·p   (p on the right: before the step)
//
// Clip, of [Optimiser], takes the place of GradScale where it is not nil. Where it is NaN the update changes nothing.
type AdamStep struct {
	Beta1, Beta2, StepSize, Epsilon, GradScale, Decay float32
	Clip                                              *Tensor
}

// Rounding says by which numbers moments are rounded by chance: those of the counter-based generator with a key and a stream, of each
// element of a parameter the one with its index.
type Rounding struct {
	Key    uint64
	Stream uint64 // of a step; each next step has the next
	First  int    // the index of the first element, where a tensor is a part of a parameter
}

// hostMemory is implemented by devices whose memory the program sees.
type hostMemory interface {
	Host(t *Tensor) []float32
}

// Values returns the elements of t: the memory itself where the device allows it
// (valid until t changes), otherwise a copy. Who changes them hands them back with
// Device.Write, which has nothing to do if they are the memory.
func Values(d Device, t *Tensor) []float32 {
	if h, ok := d.(hostMemory); ok {
		return h.Host(t)
	}
	values := make([]float32, t.Len())
	d.Read(values, t)
	return values
}

// SumSquares returns the sum of squares of one tensor.
func SumSquares(d Device, t *Tensor) float64 {
	var sum [1]float64
	d.SumSquares(sum[:], []*Tensor{t}, nil)
	return sum[0]
}

// late is a device that computes what was asked for when somebody reads.
type late interface {
	Expect(t *Tensor)
	Note(t *Tensor) func() []float32
	Start()
	Repeat(after *Tensor)
	Repeated()
}

// Expect says that somebody is going to read tensors: a device that computes late has their numbers ready when the first of them is read.
func Expect(d Device, ts ...*Tensor) {
	if l, ok := d.(late); ok {
		for _, t := range ts {
			l.Expect(t)
		}
	}
}

// Late says whether a device computes late: to read a number is to wait for it.
func Late(d Device) bool {
	_, ok := d.(late)
	return ok
}

// Version returns a number which is another as soon as a tensor was written to, where the device knows one: one that computes late, so that
// nobody has to read the tensor to see whether it has changed.
func Version(d Device, t *Tensor) (version uint64, ok bool) {
	if v, ok := d.(interface{ Version(t *Tensor) uint64 }); ok {
		return v.Version(t), true
	}
	return 0, false
}

// Note keeps the few numbers of a tensor as they are now. read returns them. A device that computes late keeps them itself until one of the notes is
// read, and then all come at a time; there is room for some thousand numbers, and behind that those that are there are read first.
func Note(d Device, t *Tensor) (read func() []float32) {
	if l, ok := d.(late); ok {
		return l.Note(t)
	}
	values := slices.Clone(Values(d, t))
	return func() []float32 { return values }
}

// Repeat says that what is computed until [Repeated] was computed before and is not to be kept since then: a device that computes late computes it once
// more, as soon as it has after.
func Repeat(d Device, after *Tensor) {
	if l, ok := d.(late); ok {
		l.Repeat(after)
	}
}

// Repeated ends [Repeat].
func Repeated(d Device) {
	if l, ok := d.(late); ok {
		l.Repeated()
	}
}

// Start has a device that computes late begin with what it was asked for until now.
func Start(d Device) {
	if l, ok := d.(late); ok {
		l.Start()
	}
}

// Size is how large a batch is.
type Size struct {
	Rows      int
	Sequences int // that these are divided into; of pairs of which two rows are taken, twice as many
	Longest   int // the rows of the longest
}

// Fit says how large the batch is whose tensors are made from now on; the zero value: there is none. A device that is to fill batches up to fixed
// sizes makes room for the smallest one that it fits into.
func Fit(d Device, s Size) {
	if f, ok := d.(fitting); ok {
		f.Fit(s)
	}
}

// Room returns how many numbers a device has room for in a tensor, those that it fills it up with among them.
func Room(d Device, t *Tensor) int {
	if r, ok := d.(interface{ Room(*Tensor) int }); ok {
		return r.Room(t)
	}
	return t.Len()
}

// Fits says whether a device fills batches up to fixed sizes.
func Fits(d Device) bool {
	f, ok := d.(fitting)
	return ok && f.Fits()
}

// Fill is [Fit] for a size that the caller has chosen, where the device fills batches up at all.
func Fill(d Device, is, to Size) {
	if f, ok := d.(fitting); ok {
		f.Fill(is, to)
	}
}

// FitParts says whether the tensors that are made from now on are parts of the batch, until [Fit] at most. What a batch is put together of has room for
// as many rows as the batch, so that it does not matter how many come from where.
func FitParts(d Device, parts bool) {
	if f, ok := d.(fitting); ok {
		f.FitParts(parts)
	}
}

// fitting is a device that may fill batches up.
type fitting interface {
	Fits() bool
	Fit(Size)
	Fill(is, to Size)
	FitParts(bool)
}

// Settle waits until what was written to a device is there, and fails as an operation does where it is not.
func Settle(d Device) {
	x := d.Wrap(1, 1, []float32{0})
	defer d.Free(x)
	d.Read(make([]float32, 1), x)
}

// Scope returns a device with the same memory as d. free gives back all tensors that were made on it and on its forks, which nobody uses any
// more: of a model that is closed, say. Of a device whose tensors the garbage collector frees it does nothing.
func Scope(d Device) (within Device, free func()) {
	if s, ok := d.(interface{ Scope() (Device, func()) }); ok {
		return s.Scope()
	}
	return d, func() {}
}

// Exact returns a fork of an accelerator that rounds no factors of products, whatever d does. Of another device it is d itself.
func Exact(d Device) Device {
	if e, ok := d.(interface{ Exact() Device }); ok {
		return e.Exact()
	}
	return d
}

// Joint is a device that is one of several on which the ranks of a process compute, each on its own.
type Joint interface {
	Device
	// Joined is how many there are.
	Joined() int
	// SumAll replaces tensors by their sums over all devices, each of which has as many of the same shapes. meet waits until all ranks have
	// called it; with an error of one of them nothing is summed. The sum of four is (0+1) + (2+3), whatever computes it.
	SumAll(ts []*Tensor, meet func() error) error
}

// JointOf returns d where it is one of several, else nil.
func JointOf(d Device) Joint {
	if j, ok := d.(Joint); ok && j.Joined() > 1 {
		return j
	}
	return nil
}

// keeper is a device that has what was stored as it was.
type keeper interface {
	StoredAs(t *Tensor) *Stored
}

// StoredOf returns what Store made a tensor of, where the device has it still; nil of any other. Nothing may write to it.
func StoredOf(d Device, t *Tensor) *Stored {
	if k, ok := d.(keeper); ok {
		return k.StoredAs(t)
	}
	return nil
}
