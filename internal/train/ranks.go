package train

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

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
	be := "are"
	if ranks-busy == 1 {
		be = "is"
	}
	switch {
	case busy < ranks:
		return fmt.Sprintf("%d ranks, of which %d %s idle: the %d batches of a step are taken %d together; best is a power of two of ranks that divides gradient_accumulation", ranks, ranks-busy, be, c.GradientAccumulation, width)
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
	for i := range t.grads {
		t.rounded(i)
	}
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

// finish adds to the gradient of a parameter, which is the last batch's, all before. When that is done for all, end follows.
func (t *tree) finish(param int) {
	t.rounded(param)
	for _, n := range slices.Backward(t.stack) {
		t.grads[param].Merge(t.dev, n.sum[param])
		t.rounded(param)
	}
}

// end makes the tree ready for the next step.
func (t *tree) end() {
	for _, n := range t.stack {
		t.free = append(t.free, n.sum)
	}
	t.stack = t.stack[:0]
}

// merge adds the lowest subtree to the parameters' gradients.
func (t *tree) merge() {
	last := len(t.stack) - 1
	for i, g := range t.grads {
		g.Merge(t.dev, t.stack[last].sum[i])
		t.rounded(i)
	}
	t.free = append(t.free, t.stack[last].sum)
	t.stack = t.stack[:last]
}

// rounded rounds the gradient of a parameter, if gradients are exchanged so. It is done to each batch's and to each sum, whoever computes
// them: else the bits would depend on the number of ranks.
func (t *tree) rounded(param int) {
	g := t.grads[param]
	if !t.round || g.Extent() == autograd.Empty {
		return
	}
	values, runs := engine.Values(t.dev, g.Tensor()), [][]float32(nil)
	rows, cols := g.Tensor().Rows, g.Tensor().Cols
	if g.Extent() == autograd.Dense {
		for row := range rows {
			runs = append(runs, values[row*cols:][:cols])
		}
	} else {
		runs = rowsOf(g, values)
	}
	t.dev.Limit().For(len(runs), func(i int) {
		for k, x := range runs[i] {
			runs[i][k] = widened(bfloat16(x))
		}
	})
	t.dev.Write(g.Tensor(), values)
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
	}
	t.end()
}
