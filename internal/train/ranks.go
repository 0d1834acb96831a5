package train

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// # How processes share a step
//
// The gradients of a step's batches are summed in a binary tree over the batches' numbers, of seven say
//
//	((0+1) + (2+3)) + ((4+5) + 6)
//
// whoever computes them. A rank takes the batches of a subtree: with two ranks the first four and the other three, with four
// ranks two each, and the last one has one. It sums its own, and the ranks' sums are added in the order of the tree.
// A process alone has all of the tree. So the bits are the same for any number of ranks.

// Width returns how many of the batches of a step a rank takes at most: as many as a whole subtree has.
func (c Config) Width(ranks int) int {
	each := (c.GradientAccumulation + ranks - 1) / ranks
	return 1 << bits.Len(uint(each-1))
}

// CheckRanks refuses more ranks than a step has batches.
func (c Config) CheckRanks(ranks int) error {
	if ranks > c.GradientAccumulation {
		return fmt.Errorf("%d ranks share the batches of a step, which are %d (gradient_accumulation); start %[2]d, or set more batches: --set gradient_accumulation=%[1]d", ranks, c.GradientAccumulation)
	}
	return nil
}

// Shared says how ranks share the batches of a step, and what idles.
func (c Config) Shared(ranks int) string {
	width := c.Width(ranks)
	busy := (c.GradientAccumulation + width - 1) / width
	last := c.GradientAccumulation - (busy-1)*width
	switch {
	case busy < ranks:
		return fmt.Sprintf("%d ranks, of which %d are idle: the %d batches of a step are taken %d together; best is a power of two of ranks that divides gradient_accumulation", ranks, ranks-busy, c.GradientAccumulation, width)
	case last < width:
		return fmt.Sprintf("%d ranks, each with %d of the %d batches of a step, the last one with %d; best is a power of two of ranks that divides gradient_accumulation", ranks, width, c.GradientAccumulation, last)
	}
	return fmt.Sprintf("%d ranks, each with %d of the %d batches of a step", ranks, width, c.GradientAccumulation)
}

// Owner returns the rank that computes a batch, which is the n-th of all.
func (c Config) Owner(n, ranks int) int { return n % c.GradientAccumulation / c.Width(ranks) }

// tree sums the gradients of the batches that this process takes, in their order. Besides the parameters' gradients it has as
// many more as the tree is high: none for one batch, two for three or four.
type tree struct {
	dev   engine.Device
	round bool                 // sums, and what they are of, to bfloat16
	grads []*autograd.Gradient // the parameters'
	stack []node               // subtrees that are complete, the higher ones first
	free  [][]*autograd.Gradient
}

type node struct {
	height int
	sum    []*autograd.Gradient
}

// add takes the gradients of a batch out of the parameters' and leaves these empty.
func (t *tree) add() {
	t.rounded()
	height := 0
	for len(t.stack) > 0 && t.stack[len(t.stack)-1].height == height {
		t.merge()
		height++
	}
	var sum []*autograd.Gradient
	if n := len(t.free); n > 0 {
		sum, t.free = t.free[n-1], t.free[:n-1]
	} else {
		for _, g := range t.grads {
			sum = append(sum, autograd.NewGradient(t.dev.New(g.Tensor().Rows, g.Tensor().Cols)))
		}
	}
	for i, g := range t.grads {
		g.Swap(sum[i])
	}
	t.stack = append(t.stack, node{height, sum})
}

// finish adds to the parameters' gradients, which are the last batch's, all before.
func (t *tree) finish() {
	t.rounded()
	for len(t.stack) > 0 {
		t.merge()
	}
}

// merge adds the lowest subtree to the parameters' gradients.
func (t *tree) merge() {
	last := len(t.stack) - 1
	for i, g := range t.grads {
		g.Merge(t.dev, t.stack[last].sum[i])
	}
	t.free = append(t.free, t.stack[last].sum)
	t.stack = t.stack[:last]
	t.rounded()
}

// rounded rounds the parameters' gradients, if they are exchanged so. It is done to each batch's and to each sum, whoever computes
// them: else the bits would depend on the number of ranks.
func (t *tree) rounded() {
	if !t.round {
		return
	}
	v := viewOf(t.dev, t.grads)
	t.dev.Limit().For(len(v.runs), func(i int) {
		for k, x := range v.runs[i] {
			v.runs[i][k] = widened(bfloat16(x))
		}
	})
	v.close()
}

// bfloat16 returns the upper half of a number, rounded to the nearest, to the even one of two.
func bfloat16(x float32) uint16 {
	b := math.Float32bits(x)
	if b&0x7fffffff > 0x7f800000 { // NaN stays one
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// widened is the number that bfloat16 returned.
func widened(x uint16) float32 { return math.Float32frombits(uint32(x) << 16) }

// drop empties what a batch that failed has left.
func (t *tree) drop() {
	for _, n := range t.stack {
		for _, g := range n.sum {
			g.Clear()
		}
		t.free = append(t.free, n.sum)
	}
	t.stack = t.stack[:0]
}

// extent says which part of a gradient a rank has.
type extent struct {
	Part autograd.Extent
	Rows []int32
}

func extents(grads []*autograd.Gradient) []extent {
	list := make([]extent, len(grads))
	for i, g := range grads {
		if list[i].Part = g.Extent(); list[i].Part == autograd.Rows {
			list[i].Rows = g.Rows()
		}
	}
	return list
}

// widen gives the i-th gradient all that some rank has of it.
func widen(d engine.Device, g *autograd.Gradient, ranks [][]extent, i int) {
	most := autograd.Empty
	var rows []int32
	for _, r := range ranks {
		most = max(most, r[i].Part)
		rows = append(rows, r[i].Rows...)
	}
	slices.Sort(rows)
	g.Widen(d, most, slices.Compact(rows))
}

// exchanger adds the gradients of all ranks, a chunk at a time: the ranks give each other their values of a block, each sums the
// block that is its own, and all get the sums. What is on its way stays in the processor's cache.
type exchanger struct {
	group      collective.Group
	chunk      int // values that are on their way at a time
	send, recv []float32

	round        bool // values go as bfloat16
	mine, theirs []uint16
}

// chunk is 2 MiB of values: larger ones leave the cache, smaller ones wait for messages.
const chunk = 1 << 19

// sum replaces the gradients, of which each rank has these extents, by their sums over all ranks. A gradient becomes as wide as that
// of some rank; a rank without it has -0 there.
func (x *exchanger) sum(d engine.Device, grads []*autograd.Gradient, ranks [][]extent) error {
	for i, g := range grads {
		widen(d, g, ranks, i)
	}
	size := x.group.Size()
	v := viewOf(d, grads)
	for left := v.len(); left > 0; {
		block := min(x.chunk/size, (left+size-1)/size)
		n := min(left, block*size)
		if len(x.send) < block*size {
			x.send, x.recv = make([]float32, block*size), make([]float32, block*size)
		}
		send, recv := x.send[:block*size], x.recv[:block*size]
		v.read(send[:n])
		if err := x.exchange(x.group.AllToAll, send, recv); err != nil {
			return fmt.Errorf("exchange gradients: %w", err)
		}
		for width := 1; width < size; width *= 2 {
			for r := 0; r+width < size; r += 2 * width {
				a, b := recv[r*block:][:block], recv[(r+width)*block:][:block]
				for i, value := range b {
					a[i] += value
				}
				if x.round {
					for i, value := range a {
						a[i] = widened(bfloat16(value))
					}
				}
			}
		}
		if err := x.exchange(x.group.AllGather, recv[:block], send); err != nil {
			return fmt.Errorf("exchange gradients: %w", err)
		}
		v.write(send[:n])
		left -= n
	}
	v.close()
	return nil
}

// exchange is an operation of the group on values. They go as bfloat16 where they are rounded to it.
func (x *exchanger) exchange(operation func(send, recv []byte) error, send, recv []float32) error {
	if !x.round {
		return operation(collective.Bytes(send), collective.Bytes(recv))
	}
	x.mine, x.theirs = slices.Grow(x.mine[:0], len(send))[:len(send)], slices.Grow(x.theirs[:0], len(recv))[:len(recv)]
	for i, v := range send {
		x.mine[i] = bfloat16(v)
	}
	if err := operation(collective.Bytes(x.mine), collective.Bytes(x.theirs)); err != nil {
		return err
	}
	for i, v := range x.theirs {
		recv[i] = widened(v)
	}
	return nil
}

// view is what gradients have, as one vector that is read, and written behind that, from its beginning to its end.
type view struct {
	dev            engine.Device
	tensors        []*engine.Tensor
	values         [][]float32 // of the tensors
	runs           [][]float32 // of the values: what the gradients have
	reads, written spot
}

// spot is a place in a view.
type spot struct{ run, at int }

func viewOf(d engine.Device, grads []*autograd.Gradient) *view {
	v := &view{dev: d}
	for _, g := range grads {
		if g.Extent() == autograd.Empty {
			continue
		}
		values, cols := engine.Values(d, g.Tensor()), g.Tensor().Cols
		v.tensors, v.values = append(v.tensors, g.Tensor()), append(v.values, values)
		if g.Extent() == autograd.Dense {
			v.runs = append(v.runs, values)
			continue
		}
		for _, row := range g.Rows() {
			v.runs = append(v.runs, values[int(row)*cols:][:cols])
		}
	}
	return v
}

func (v *view) len() int {
	n := 0
	for _, run := range v.runs {
		n += len(run)
	}
	return n
}

// read copies the next values into dst.
func (v *view) read(dst []float32) {
	v.each(&v.reads, dst, func(run, part []float32) { copy(part, run) })
}

// write replaces the next values by those of src.
func (v *view) write(src []float32) {
	v.each(&v.written, src, func(run, part []float32) { copy(run, part) })
}

// each calls do for the runs that x covers, from s on, with their part of x.
func (v *view) each(s *spot, x []float32, do func(run, part []float32)) {
	for len(x) > 0 {
		run := v.runs[s.run][s.at:]
		n := min(len(run), len(x))
		do(run[:n], x[:n])
		if x, s.at = x[n:], s.at+n; s.at == len(v.runs[s.run]) {
			s.run, s.at = s.run+1, 0
		}
	}
}

// close gives the values back to the device.
func (v *view) close() {
	for i, t := range v.tensors {
		v.dev.Write(t, v.values[i])
	}
}
