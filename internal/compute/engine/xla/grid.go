package xla

import (
	"math/bits"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// grid returns how many rows a tensor of n rows has in the device's memory: batches of different sizes then share a program. Up to
// 8 rows there are none more; then the steps are a quarter of the power of two below, so 1024 from 4096 on.
func grid(n int) int {
	if n <= 8 {
		return n
	}
	step := 1 << min(bits.Len(uint(n-1))-3, 10)
	return (n + step - 1) / step * step
}

// long returns how many places a sequence has where sequences are laid out beside each other: of a batch the longest decides, so the steps
// are coarser than those of rows, powers of two and from 128 on 64. It costs attention's part only, which is small where sequences are short.
func long(n int) int {
	switch {
	case n == 0:
		return 0
	case n > 128:
		return (n + 63) / 64 * 64
	}
	return 1 << bits.Len(uint(n-1))
}

// Who trains meets some sizes of batches again and again. Who serves meets any, each for the first time while somebody waits. So batches that are
// served are filled up to sizes of a short list, whose programs are made before. The numbers of a size are powers of two:
//
//	one sequence   as many rows as the longest may have: 32, 64, 128, ...
//	several        64, 128, 256, ... rows; of the longest 16, 32, 64, ...; so many sequences that these have a quarter of that on average
const (
	leastAlone   = 32
	leastRows    = 64
	leastLongest = 16
	emptiness    = 4
)

// Sizes are those of batches that are served, of up to so many rows: the smaller before the larger.
func Sizes(most int) (list []engine.Size) {
	for rows := leastAlone; rows <= most; rows *= 2 {
		for longest := leastLongest; longest <= rows && rows >= leastRows; longest *= 2 {
			list = append(list, engine.Size{Rows: rows, Sequences: emptiness * rows / longest, Longest: longest})
		}
		list = append(list, engine.Size{Rows: rows, Sequences: 1, Longest: rows})
	}
	return list
}

// Smallest returns the smallest size that a batch fits into; the zero value where there is none.
func Smallest(sizes []engine.Size, s engine.Size) engine.Size {
	if s.Sequences >= s.Rows {
		return engine.Size{} // one cannot tell rows and sequences apart by their number
	}
	for _, z := range sizes {
		if s.Rows <= z.Rows && s.Sequences <= z.Sequences && s.Longest <= z.Longest && (s.Sequences > 1 || z.Sequences == 1) {
			return z
		}
	}
	return engine.Size{}
}

// batch is one whose tensors are made, and the size that it is filled up to.
type batch struct {
	is, becomes engine.Size
	parts       bool // the tensors are what it is put together of
}

// room returns how many rows a tensor of n rows has in the device's memory. While a batch is filled up that follows from its new size alone, or there
// would be several programs for it. But in a part, a single row stays one: it may be a bias.
func (d *Device) room(n int) int {
	switch to := d.batch.becomes; {
	case n == 0 || n > to.Rows:
		return grid(n)
	case d.batch.parts:
		return to.Rows
	case n == 1:
		return 1
	case n == d.batch.is.Rows || n > to.Sequences:
		return to.Rows
	default:
		return to.Sequences
	}
}

// places returns how many places a sequence has if the longest has n.
func (d *Device) places(n int) int {
	if n == d.batch.is.Longest && n > 0 {
		if to := d.batch.becomes.Longest; to > 0 {
			return to
		}
	}
	return long(n)
}
