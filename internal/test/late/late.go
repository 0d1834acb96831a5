// Package late stands in for accelerators: the engine for processors as a device that computes late, of which the host reads no number by the way.
package late

import (
	"math"
	"slices"
	"sync/atomic"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// Device is the CPU engine as a device that computes late. It counts what somebody has to wait for.
type Device struct {
	engine.Device
	*Counts
	team *team
	rank int

	unread []*note
}

// Counts are those of a device, its forks and the others of its team.
type Counts struct {
	Started atomic.Int64 // how often it began to compute what it was asked for
	Read    atomic.Int64 // how often numbers were read
	Noted   atomic.Int64 // how often what was noted was read, any number of notes at a time
}

// note is what somebody reads later.
type note struct {
	values []float32
	read   bool
}

// team is devices that sum what they have.
type team struct{ offers [][]*engine.Tensor }

// New returns a device alone.
func New() *Device { return &Device{Device: cpu.New(), Counts: new(Counts)} }

// Team returns devices of one process, one for each of n ranks.
func Team(n int) []*Device {
	list, counts, joined := make([]*Device, n), new(Counts), &team{offers: make([][]*engine.Tensor, n)}
	for i := range list {
		list[i] = &Device{Device: cpu.New(), Counts: counts, team: joined, rank: i}
	}
	return list
}

// Fork implements [engine.Device].
func (d *Device) Fork() engine.Device {
	return &Device{Device: d.Device.Fork(), Counts: d.Counts, team: d.team, rank: d.rank}
}

// Rowwise implements [engine.Device].
func (d *Device) Rowwise() bool { return false }

// Wrap implements [engine.Device]. What it is of may be gone after it, as a file that was open.
func (d *Device) Wrap(rows, cols int, host []float32) *engine.Tensor {
	return d.Device.Wrap(rows, cols, slices.Clone(host))
}

// Expect, Start, Repeat and Repeated are what a device has that computes late; see package engine.
func (d *Device) Expect(*engine.Tensor) {}
func (d *Device) Start()                { d.Started.Add(1) }
func (d *Device) Repeat(*engine.Tensor) {}
func (d *Device) Repeated()             {}

// Note keeps the numbers of a tensor; see [engine.Note].
func (d *Device) Note(t *engine.Tensor) func() []float32 {
	n := &note{values: slices.Clone(engine.Values(d.Device, t))}
	d.unread = append(d.unread, n)
	return func() []float32 {
		if !n.read {
			d.Noted.Add(1)
			for _, n := range d.unread {
				n.read = true
			}
			d.unread = nil
		}
		return n.values
	}
}

// Read and the operations behind it give the host numbers.
func (d *Device) Read(host []float32, src *engine.Tensor) {
	d.Counts.Read.Add(1)
	d.Device.Read(host, src)
}

func (d *Device) RowSquares(sums []float64, t *engine.Tensor, rows []int32) {
	d.Counts.Read.Add(1)
	d.Device.RowSquares(sums, t, rows)
}

func (d *Device) SumSquares(sums []float64, ts []*engine.Tensor, rows [][]int32) {
	d.Counts.Read.Add(1)
	d.Device.SumSquares(sums, ts, rows)
}

func (d *Device) TopK(ids []int32, values []float32, logSums []float64, x *engine.Tensor, k int, except int32) {
	d.Counts.Read.Add(1)
	d.Device.TopK(ids, values, logSums, x, k, except)
}

// LossSlope implements [engine.Device]: gradients of a loss that is not finite are not either.
func (d *Device) LossSlope(dloss, loss *engine.Tensor, scale float32) {
	if x := engine.Values(d.Device, loss)[0]; x-x != 0 {
		scale = float32(math.NaN())
	}
	d.Device.LossSlope(dloss, loss, scale)
}

// Joined implements [engine.Joint].
func (d *Device) Joined() int {
	if d.team == nil {
		return 1
	}
	return len(d.team.offers)
}

// SumAll implements [engine.Joint].
func (d *Device) SumAll(ts []*engine.Tensor, meet func() error) error {
	all := d.team.offers
	all[d.rank] = ts
	if err := meet(); err != nil {
		return err
	}
	if d.rank == 0 {
		for i := range ts {
			for width := 1; width < len(all); width *= 2 {
				for r := 0; r+width < len(all); r += 2 * width {
					d.Add(all[r][i], all[r][i], all[r+width][i])
				}
			}
			for _, theirs := range all[1:] {
				d.Copy(theirs[i], all[0][i])
			}
		}
	}
	return meet()
}
