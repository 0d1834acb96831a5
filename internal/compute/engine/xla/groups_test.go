package xla

import (
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// scoresOf is rows of scores, some of them far apart.
func (n *numbers) scoresOf(rows, cols int) *engine.Tensor {
	x := n.value(rows, cols)
	n.change(x, func(i int, v float32) float32 {
		if i%7 == 3 {
			return 300 * v
		}
		return v
	})
	return x
}

// graded is a group loss with its results; slopes last, whose rows behind are zero.
func graded(d engine.Device, x *engine.Tensor, compute func(loss, slopes *engine.Tensor)) []*engine.Tensor {
	loss, slopes := d.New(1, 1), d.New(x.Rows, x.Cols)
	compute(loss, slopes)
	return []*engine.Tensor{loss, slopes}
}

func TestContrastiveLoss(t *testing.T) {
	for _, c := range []struct{ rows, cols, group int }{{3, 4, 4}, {13, 1, 1}, {36, 1, 4}, {35, 1, 5}, {13, 6, 6}, {8, 3, 3}, {9, 4, 12}} {
		kinds := make([]int8, c.rows*c.cols)
		for i := range kinds {
			kinds[i] = []int8{engine.Positive, engine.Negative, engine.Negative, engine.Excluded, engine.Negative}[(i*i+i/c.group)%5]
		}
		same(t, 1e-6, 1, func(d engine.Device, n *numbers) []*engine.Tensor {
			x := n.scoresOf(c.rows, c.cols)
			return graded(d, x, func(loss, slopes *engine.Tensor) {
				d.ContrastiveLoss(loss, slopes, x, engine.Contrast{Group: c.group, Kinds: kinds})
			})
		})
	}
	same(t, 0, 1, func(d engine.Device, n *numbers) []*engine.Tensor { // no group has both kinds
		x := n.value(5, 2)
		return graded(d, x, func(loss, slopes *engine.Tensor) {
			d.ContrastiveLoss(loss, slopes, x, engine.Contrast{Group: 2, Kinds: []int8{1, 1, 0, 0, 2, 2, 0, 2, 1, 2}})
		})
	})
	same(t, 0, 0, func(d engine.Device, n *numbers) []*engine.Tensor { // what is no number stays none
		x := d.Wrap(1, 3, []float32{float32(math.NaN()), 0, 0})
		return graded(d, x, func(loss, slopes *engine.Tensor) {
			d.ContrastiveLoss(loss, slopes, x, engine.Contrast{Group: 3, Kinds: []int8{engine.Positive, engine.Negative, engine.Excluded}})
		})[:1]
	})
}

func TestCircleLoss(t *testing.T) {
	for rows, c := range map[int]engine.CircleLoss{
		40: {Group: 5, ImageNegatives: 2, Margin: 0.2, Scale: 1},
		35: {Group: 5, ImageNegatives: 0, Margin: 0.25, Scale: 8},
		42: {Group: 21, ImageNegatives: 20, Margin: 0.4, Scale: 2},
		7:  {Group: 1, Margin: 0.2, Scale: 1},
		0:  {Group: 3, ImageNegatives: 1, Margin: 0.2, Scale: 1},
	} {
		same(t, 1e-6, 1, func(d engine.Device, n *numbers) []*engine.Tensor {
			x := n.scoresOf(rows, 1)
			return graded(d, x, func(loss, slopes *engine.Tensor) { d.CircleLoss(loss, slopes, x, c) })
		})
	}
}

// How many groups there are is no structure, nor is which scores are of which kind.
func TestGroupsAreOneProgram(t *testing.T) {
	d := open(t, Options{})
	for groups := 9; groups <= 10; groups++ {
		x := d.Wrap(4*groups, 1, make([]float32, 4*groups))
		kinds := make([]int8, 4*groups)
		kinds[groups] = engine.Positive
		loss := graded(d, x, func(loss, slopes *engine.Tensor) {
			d.ContrastiveLoss(loss, slopes, x, engine.Contrast{Group: 4, Kinds: kinds})
		})[0]
		if got := engine.Values(d, loss)[0]; math.Abs(float64(got)-math.Log(4)) > 1e-6 {
			t.Errorf("%d groups: the loss is %v, want log 4", groups, got)
		}
		loss = graded(d, x, func(loss, slopes *engine.Tensor) {
			d.CircleLoss(loss, slopes, x, engine.CircleLoss{Group: 4, ImageNegatives: 1, Margin: 0.25, Scale: 2})
		})[0]
		engine.Values(d, loss)
	}
	if n := d.Stats().Compiled; n != 2 {
		t.Errorf("%d programs were compiled, want 2", n)
	}
	refuses(t, "groups of another size", func() {
		d.ContrastiveLoss(d.New(1, 1), d.New(5, 1), d.New(5, 1), engine.Contrast{Group: 2, Kinds: make([]int8, 5)})
	})
	refuses(t, "slopes of another shape", func() { d.CircleLoss(d.New(1, 1), d.New(2, 1), d.New(4, 1), engine.CircleLoss{Group: 4}) })
}
