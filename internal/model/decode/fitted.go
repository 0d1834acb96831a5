package decode

import (
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
)

// Room is what a batch has on a device that fills batches up to fixed sizes. It decides which programs there are: one that reads the sources, some that
// take a step, the later ones with more steps to look back at, and one that finds the likeliest tokens. What a request asks for besides is an input of
// these. The zero value is as much as the batch takes, as elsewhere.
type Room struct {
	Sources, Longest int // so many, of up to so many regions and tokens
	Beams            int // hypotheses of a source
	Slots            int // of a hypothesis: tokens that are written
}

// The sizes: sources are 1, 4, 16, ..., their rows 32, 128, 512, ..., steps 16, 64, 256, ...; slots, which only take memory, are as many as the model has
// positions, of several sources fewer.
const (
	apart        = 4
	leastLongest = 32
	mostRows     = 2048 // of all sources
	leastSteps   = 16
	leastSlots   = 64
	mostSlots    = 1024 // of a hypothesis of each source
)

// MostBeams are the hypotheses of a source that a server should search with at most, or as many as its model does by itself.
const MostBeams = 16

// mostLikely tokens are looked for when sampling from some; from more than these is sampled as from all.
const mostLikely = 64

// upTo is the first of least, least·times, ... that n is not above.
func upTo(n, least, times int) int {
	for least < n {
		least *= times
	}
	return least
}

// Longest is how many regions and tokens of a source there is room for where the longest of a batch has so many.
func Longest(rows int) int { return upTo(rows, leastLongest, apart) }

// widths are the numbers of hypotheses of a source that there is room for: of one that is written alone, as usual, and the most.
func widths(cfg model.Config, usual int) []int {
	least, most := max(1, min(usual, cfg.VocabSize-1)), min(MostBeams, cfg.VocabSize-1)
	return slices.Compact([]int{1, least, max(least, most)})
}

// rooms says which rooms there are for texts that are found as o says; most are found with usual hypotheses.
type rooms struct {
	cfg   model.Config
	usual int
	o     Options
}

// of returns the room for so many sources, the longest of which has so many rows, of which texts of up to so many tokens are written; the zero value
// where there is none.
func (z rooms) of(sources, longest, written int) Room {
	r := Room{upTo(sources, 1, apart), Longest(longest), z.o.beams(), upTo(z.cfg.MaxTokens(), leastSlots, 2)}
	for _, width := range widths(z.cfg, z.usual) {
		if z.o.beams() <= width {
			r.Beams = width
			break
		}
	}
	for r.Sources > 1 && r.Slots > leastSlots && (r.Sources*r.Slots > mostSlots || !z.allow(r)) {
		r.Slots /= 2
	}
	if r.Sources*r.Longest > mostRows || written > r.Slots || r.Sources > 1 && !z.allow(r) {
		return Room{}
	}
	return r
}

// allow says whether the room is within the limits of hypotheses and memory, as far as that is for several sources to keep.
func (z rooms) allow(r Room) bool {
	o := z.o
	o.Sample, o.BeamSize, o.MaxLength = false, r.Beams, r.Slots
	return r.Sources*r.Beams <= maxHypotheses && MemoryOf(z.cfg, o, slices.Repeat([]int{r.Longest}, r.Sources)...) <= o.MaxMemory
}

// steps is the number of the step that the last program is for, counted from 1, where so many tokens are written at most.
func (r Room) steps(written int) int {
	written = min(written, r.Slots)
	steps := leastSteps
	for steps*apart < written {
		steps *= apart
	}
	return min(written, steps+1)
}

// likeliest is how many tokens are looked for where some of a vocabulary are wanted; 0: all are read.
func (r Room) likeliest(wanted, vocabulary int) int {
	switch {
	case wanted >= vocabulary:
		return 0
	case wanted == 0 || r == (Room{}):
		return wanted
	case wanted > mostLikely:
		return 0
	}
	return min(mostLikely, vocabulary-1)
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
func (r Room) fitStep(d engine.Device, hypotheses int) {
	if r == (Room{}) {
		return
	}
	engine.Fill(d, engine.Size{Rows: hypotheses}, engine.Size{Rows: r.Sources * r.Beams, Sequences: r.Sources, Longest: r.Longest})
	engine.FitParts(d, true)
}

// Rehearsal is a batch that meets programs.
type Rehearsal struct {
	Sources []Source
	Options Options
}

// Rehearsals are batches that meet all programs which texts for sources as long as these do. With all these texts may be found in every way, and be as
// long as the model has positions for; else as o says.
func (d *Decoder) Rehearsals(sources []Source, o Options, all bool) []Rehearsal {
	return rooms{d.model.Config, d.Usual, o}.rehearsals(sources, all)
}

func (z rooms) rehearsals(sources []Source, all bool) (list []Rehearsal) {
	rehearse := func(written int) {
		for _, s := range sources {
			for n := 1; ; n *= apart {
				r := z.of(n, s.Rows(), 1)
				if r == (Room{}) {
					break
				}
				x := Rehearsal{slices.Repeat([]Source{s}, n), z.o}
				x.Options.MaxLength = r.steps(min(written, z.cfg.MaxPositions-int(s.first())))
				x.Options.MinLength = x.Options.MaxLength // none ends
				list = append(list, x)
			}
		}
	}
	if !all {
		rehearse(z.o.MaxLength)
		return list
	}
	for _, width := range widths(z.cfg, z.usual) {
		z.o.BeamSize, z.o.Sample = width, false
		rehearse(z.cfg.MaxTokens())
	}
	z.o.Sample, z.o.TopK = true, 1 // steps are those of one hypothesis
	rehearse(1)
	return list
}
