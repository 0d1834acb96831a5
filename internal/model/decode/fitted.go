package decode

import (
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
)

// Room is what a batch has on a device that fills batches up to fixed sizes: each has a program that reads the sources, and one for each of
// [Room.Steps]. The zero value is as much as the batch takes, as elsewhere.
type Room struct {
	Sources, Longest int // so many, of up to so many regions and tokens
	Slots            int // of a hypothesis
}

// The sizes: sources are 1, 4, 16, ..., their rows 32, 128, 512, ..., steps 16, 64, 256, ...; slots, which only take memory, 64, 128, 256, ...
const (
	apart        = 4
	leastLongest = 32
	mostRows     = 2048 // of all sources
	leastSteps   = 16
	leastSlots   = 64
)

// upTo is the first of least, least·times, ... that n is not above.
func upTo(n, least, times int) int {
	for least < n {
		least *= times
	}
	return least
}

// RoomFor returns the room for so many sources, the longest of which has so many rows; the zero value where there is none.
func RoomFor(sources, longest int, o Options) Room {
	r := Room{upTo(sources, 1, apart), upTo(longest, leastLongest, apart), upTo(o.MaxLength, leastSlots, 2)}
	if r.Sources*r.Longest > mostRows {
		return Room{}
	}
	return r
}

// Rooms lists those that there may be for sources of least to most rows, of a model with configuration cfg.
func Rooms(cfg model.Config, o Options, least, most int) (list []Room) {
	for longest := upTo(least, leastLongest, apart); longest <= upTo(most, leastLongest, apart); longest *= apart {
		for sources := 1; ; sources *= apart {
			r := RoomFor(sources, longest, o)
			if !r.allowed(cfg, o) {
				break
			}
			list = append(list, r)
		}
	}
	return list
}

// allowed says whether the room is within the limits of hypotheses and memory, as far as that is for several sources to keep.
func (r Room) allowed(cfg model.Config, o Options) bool {
	if r.Sources <= 1 {
		return r != (Room{})
	}
	o.MaxLength = r.Slots
	return r.Sources*o.beams() <= maxHypotheses && MemoryOf(cfg, o, slices.Repeat([]int{r.Longest}, r.Sources)...) <= o.MaxMemory
}

// Steps is the number of the step that the last program is for, counted from 1.
func (r Room) Steps(o Options) int {
	steps := leastSteps
	for steps*apart < o.MaxLength {
		steps *= apart
	}
	return min(o.MaxLength, steps+1)
}

// fit makes room for reading the sources, of which so many rows are the longest.
func (r Room) fit(d engine.Device, in model.Input) {
	is := engine.Size{Rows: in.Rows(), Sequences: in.Sequences()}
	for s := range in.Sequences() {
		is.Longest = max(is.Longest, in.Length(s))
	}
	engine.Fill(d, is, engine.Size{Rows: r.Sources * r.Longest, Sequences: r.Sources, Longest: r.Longest})
}

// fitStep makes room for the hypotheses of a step, until what is done with the scores.
func (r Room) fitStep(d engine.Device, hypotheses int, o *Options) {
	if r == (Room{}) {
		return
	}
	engine.Fill(d, engine.Size{Rows: hypotheses}, engine.Size{Rows: r.Sources * o.beams(), Sequences: r.Sources, Longest: r.Longest})
	engine.FitParts(d, true)
}
