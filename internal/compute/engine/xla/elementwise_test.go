package xla

import (
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

func TestCopyAndAdd(t *testing.T) {
	for _, rows := range []int{1, 8, 13} {
		same(t, 0, 1, func(d engine.Device, n *numbers) []*engine.Tensor {
			a, b, g, h := n.value(rows, 5), n.value(rows, 5), n.gradient(rows, 5), n.gradient(rows, 5)
			sum, copied := d.New(rows, 5), d.New(rows, 5)
			d.Copy(copied, a)
			d.Add(sum, a, b)
			d.Add(g, g, h) // in place
			return []*engine.Tensor{copied, sum, g}
		})
	}
}
