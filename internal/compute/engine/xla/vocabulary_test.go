package xla

import (
	"fmt"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

func TestVocabularyLoss(t *testing.T) {
	whole := lossElements
	defer func() { lossElements = whole }()
	for _, c := range []struct{ rows, cols, elements int }{
		{0, 5, whole}, {1, 5, whole}, {13, 21, whole},
		{13, 21, 21 * 5}, // rows in several blocks
		{40, 9, 9 * 16},  // of which the last is not full
	} {
		for _, op := range []engine.Transpose{engine.NN, engine.NT} {
			t.Run(fmt.Sprintf("%d of %d, %d at a time, %v", c.rows, c.cols, c.elements, op), func(t *testing.T) {
				lossElements = c.elements
				same(t, 3e-6, 12, func(d engine.Device, n *numbers) []*engine.Tensor {
					const hidden = 9
					shape := []int{hidden, c.cols}
					if op == engine.NT {
						shape = []int{c.cols, hidden}
					}
					w, bias, x, labels := n.value(shape[0], shape[1]), n.value(1, c.cols), n.value(c.rows, hidden), n.classes(c.rows, c.cols)
					weight, dloss := engine.Plain(w, op), n.value(1, 1)
					var losses, gradients []*engine.Tensor
					for _, smoothing := range []float32{0, 0.1} {
						loss, stats, dx, dw, db := d.New(1, 1), d.New(c.rows, 1), d.New(c.rows, hidden), d.New(shape[0], shape[1]), d.New(1, c.cols)
						d.VocabularyLoss(loss, stats, x, weight, bias, labels, smoothing)
						d.VocabularyLossBackward(dx, dw, db, dloss, stats, x, weight, bias, labels, smoothing, false, false)
						sumW, sumB, alone := n.gradient(shape[0], shape[1]), n.gradient(1, c.cols), d.New(c.rows, hidden)
						if smoothing == 0 {
							d.VocabularyLossBackward(alone, sumW, sumB, dloss, stats, x, weight, bias, labels, smoothing, true, true)
						} else {
							d.VocabularyLossBackward(alone, nil, nil, dloss, stats, x, weight, bias, labels, smoothing, true, true)
						}
						losses = append(losses, loss, stats)
						gradients = append(gradients, dx, dw, db, sumW, sumB, alone)
					}
					return append(losses, gradients...)
				})
			})
		}
	}
}

// Of a weight in 8 bits, prepared, the products are those of bytes.
func TestVocabularyLossOfStoredWeights(t *testing.T) {
	const rows, cols, hidden = 5, 13, 9
	s := engine.Stored{Rows: cols, Cols: hidden, Format: engine.Int8, Bytes: make([]int8, cols*hidden), Scales: make([]float32, cols), ByRow: true}
	for i := range s.Bytes {
		s.Bytes[i], s.Scales[i/hidden] = int8(37*i), 0.01
	}
	same(t, 2e-6, 0, func(d engine.Device, n *numbers) []*engine.Tensor {
		loss, stats := d.New(1, 1), d.New(rows, 1)
		d.VocabularyLoss(loss, stats, n.value(rows, hidden), d.Prepare(d.Store(s), engine.NT), n.value(1, cols), n.classes(rows, cols), 0.1)
		return []*engine.Tensor{loss, stats}
	})
}
