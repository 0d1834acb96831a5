package xla

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// classes are n numbers below cols, the last of them among them.
func (n *numbers) classes(rows, cols int) []int32 {
	list := make([]int32, rows)
	for i := range list {
		list[i] = int32(cols-1-i%cols) * int32(i%3) / 2
	}
	return list
}

// shares are rows of numbers of 0 to 1 that add up to 1, some of them 0.
func (n *numbers) shares(rows, cols int) []float32 {
	list := make([]float32, rows*cols)
	for i := range rows {
		row := list[i*cols : (i+1)*cols]
		for j := range row {
			row[j] = max(0, float32(n.rng.NormFloat64()))
		}
		row[i%cols]++
		kernels.Scale(row, 1/kernels.Sum(row), row)
	}
	return list
}

func TestCrossEntropy(t *testing.T) {
	for _, rows := range []int{0, 1, 8, 13, 70} {
		for _, smoothing := range []float32{0, 0.1} {
			same(t, 1e-6, 2, func(d engine.Device, n *numbers) []*engine.Tensor {
				const cols = 7
				x, classes := n.value(rows, cols), n.classes(rows, cols)
				loss, dx, sum := d.New(1, 1), d.New(rows, cols), n.gradient(rows, cols)
				d.CrossEntropy(loss, x, classes, smoothing)
				dloss := n.value(1, 1)
				d.CrossEntropyBackward(dx, dloss, x, classes, smoothing, false)
				d.CrossEntropyBackward(sum, dloss, x, classes, smoothing, true)
				return []*engine.Tensor{loss, dx, sum}
			})
		}
	}
}

// Without smoothing a logit of minus infinity is a class that cannot be.
func TestCrossEntropyOfInfinity(t *testing.T) {
	same(t, 1e-6, 0, func(d engine.Device, n *numbers) []*engine.Tensor {
		x, loss, dx := d.New(1, 3), d.New(1, 1), d.New(1, 3)
		d.Write(x, []float32{1, float32(math.Inf(-1)), 80})
		d.CrossEntropy(loss, x, []int32{2}, 0)
		d.CrossEntropyBackward(dx, n.value(1, 1), x, []int32{0}, 0, false)
		return []*engine.Tensor{loss, dx}
	})
}

func TestSquaredError(t *testing.T) {
	for _, rows := range []int{0, 1, 13} {
		same(t, 1e-6, 1, func(d engine.Device, n *numbers) []*engine.Tensor {
			x, targets := n.value(rows, 3), n.shares(rows, 3)
			loss, dx := d.New(1, 1), d.New(rows, 3)
			d.SquaredError(loss, x, targets)
			d.SquaredErrorBackward(dx, n.value(1, 1), x, targets)
			return []*engine.Tensor{loss, dx}
		})
	}
}

func TestDivergences(t *testing.T) {
	for _, rows := range []int{0, 1, 13} {
		same(t, 1e-6, 3, func(d engine.Device, n *numbers) []*engine.Tensor {
			x, targets := n.value(rows, 5), n.shares(rows, 5)
			kl, dkl, binary, dbinary := d.New(1, 1), d.New(rows, 5), d.New(1, 1), d.New(rows, 5)
			d.KLDivergence(kl, dkl, x, targets)
			d.BinaryCrossEntropy(binary, dbinary, x, targets)
			sum, dsum := d.New(1, 1), d.New(rows, 5)
			d.MeanSum(sum, dsum, x)
			return []*engine.Tensor{kl, binary, sum, dkl, dbinary, dsum}
		})
	}
}

func TestSymmetricDivergence(t *testing.T) {
	for _, rows := range []int{0, 1, 13} {
		same(t, 1e-6, 5, func(d engine.Device, n *numbers) []*engine.Tensor {
			x, y, dloss := n.value(rows, 5), n.value(rows, 5), n.value(1, 1)
			loss, dx, dy := d.New(1, 1), d.New(rows, 5), d.New(rows, 5)
			sumX, sumY, both := n.gradient(rows, 5), n.gradient(rows, 5), d.New(rows, 5)
			d.SymmetricDivergence(loss, x, y)
			d.SymmetricDivergenceBackward(dx, nil, dloss, x, y, false, false)
			d.SymmetricDivergenceBackward(nil, dy, dloss, x, y, false, false)
			d.SymmetricDivergenceBackward(sumX, sumY, dloss, x, y, true, true)
			d.SymmetricDivergenceBackward(both, both, dloss, x, x, false, true)
			return []*engine.Tensor{loss, dx, dy, sumX, sumY, both}
		})
	}
}

// Any number of rows has the mean and the slopes that it has on processors.
func TestLossesOfAnyBatch(t *testing.T) {
	d := open(t, Options{})
	rapid.Check(t, func(t *rapid.T) {
		rows, scale := rapid.IntRange(9, 12).Draw(t, "rows"), rapid.Float32Range(0, 20).Draw(t, "scale")
		classes := rapid.SliceOfN(rapid.Int32Range(0, 4), rows, rows).Draw(t, "classes")
		sameOn(t, d, 3e-6, 3, func(d engine.Device, n *numbers) []*engine.Tensor {
			x, y, dloss, targets := n.value(rows, 5), n.value(rows, 5), n.value(1, 1), n.shares(rows, 5)
			for _, t := range []*engine.Tensor{x, y} {
				d.Scale(t, t, scale)
			}
			entropy, divergence, kl := d.New(1, 1), d.New(1, 1), d.New(1, 1)
			dx, dy, slopes := n.gradient(rows, 5), d.New(rows, 5), d.New(rows, 5)
			d.CrossEntropy(entropy, x, classes, 0.1)
			d.CrossEntropyBackward(dx, dloss, x, classes, 0.1, true)
			d.SymmetricDivergence(divergence, x, y)
			d.SymmetricDivergenceBackward(dx, dy, dloss, x, y, true, false)
			d.KLDivergence(kl, slopes, x, targets)
			return []*engine.Tensor{entropy, divergence, kl, dx, dy, slopes}
		})
	})
	if n := d.Stats().Compiled; n > 2 {
		t.Errorf("%d programs", n)
	}
}

// What does not fit is refused before anything is recorded.
func TestLossesRefuse(t *testing.T) {
	d := open(t, Options{})
	x, loss := d.Wrap(2, 3, make([]float32, 6)), d.New(1, 1)
	for name, run := range map[string]func(){
		"a class too large":  func() { d.CrossEntropy(loss, x, []int32{0, 3}, 0) },
		"a negative class":   func() { d.CrossEntropyBackward(x, loss, x, []int32{0, -1}, 0, false) },
		"too few classes":    func() { d.CrossEntropy(loss, x, []int32{0}, 0) },
		"a loss of two":      func() { d.CrossEntropy(x, x, []int32{0, 1}, 0) },
		"too few targets":    func() { d.SquaredError(loss, x, make([]float32, 5)) },
		"too many targets":   func() { d.KLDivergence(loss, x, x, make([]float32, 7)) },
		"slopes of one row":  func() { d.BinaryCrossEntropy(loss, d.New(1, 3), x, make([]float32, 6)) },
		"a mean of another":  func() { d.MeanSum(loss, d.New(3, 2), x) },
		"another comparison": func() { d.SymmetricDivergence(loss, x, d.New(3, 3)) },
	} {
		refused(t, d, name, run)
	}
}
