package batches

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/base/random"
)

// Sequence returns 0..n-1, the order of evaluation.
func Sequence(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

// ByLength returns 0..n-1, longer records first and equal ones in their order: batches are then of records that are about as long as each other.
func ByLength(lengths []int) []int {
	order := Sequence(len(lengths))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lengths[b], lengths[a]) })
	return order
}

// Plan cuts an order of records into batches. Without inTokens, size is the
// number of records of a batch, the last being what remains. With inTokens, size
// bounds the padded tokens, records times longest record, as the reference
// counts them (although packed batches have no padding): a batch ends where one
// record more would exceed it. A record that alone exceeds size is a batch of
// its own.
//
// The batches are parts of order and share its memory. size < 1 panics.
func Plan(lengths, order []int, size int, inTokens bool) [][]int {
	if size < 1 {
		panic(fmt.Sprintf("batches: batch size %d", size))
	}
	var batches [][]int
	start, longest := 0, 0
	for i, record := range order {
		longest = max(longest, lengths[record])
		n := i - start // records already in the batch
		full := n >= size
		if inTokens {
			full = (n+1)*longest > size
		}
		if full && n > 0 {
			batches = append(batches, order[start:i:i])
			start, longest = i, lengths[record]
		}
	}
	if start < len(order) {
		batches = append(batches, order[start:len(order):len(order)])
	}
	return batches
}

// LeastPlaces is what a record counts for at least in [Together].
const LeastPlaces = 8

// Together cuts records of which nobody will know in which batch they were into batches of those that are about as long as each other. They are of
// up to so many places, records times longest record, and of no more records than that is for [LeastPlaces] each.
func Together(lengths []int, places int) [][]int {
	counted := make([]int, len(lengths))
	for i, n := range lengths {
		counted[i] = max(n, LeastPlaces)
	}
	return Plan(counted, ByLength(lengths), places, true)
}

// Batches gives the batches of every epoch by number. It keeps the plan of the
// epoch last asked for and is not safe for concurrent use.
type Batches struct {
	Lengths  []int // tokens of every record
	Size     int   // records of a batch, or tokens if InTokens
	InTokens bool  // see Plan
	Shuffle  bool  // by Seed and epoch, not by the epoch alone as in the reference; otherwise in the order of the file
	Seed     uint64

	// Step is how many batches a step of the optimiser takes. The records of a step of several are dealt to its batches by their lengths, unless
	// InTokens bounds each batch. Before is how many batches of the run come before those of epoch 0; fewer than none where the plan begins later.
	Step, Before int

	epoch   int
	plan    [][]int
	planned bool
}

// Epoch returns all batches of an epoch (from 0). The result is read-only and
// stays valid.
func (b *Batches) Epoch(epoch int) [][]int {
	dealt := b.Step > 1 && !b.InTokens
	if b.planned && (epoch == b.epoch || !b.Shuffle && !dealt) {
		return b.plan
	}
	order := Sequence(len(b.Lengths))
	if b.Shuffle {
		order = random.New(b.Seed, "order", epoch).Perm(len(b.Lengths))
	}
	b.epoch, b.plan, b.planned = epoch, Plan(b.Lengths, order, b.Size, b.InTokens), true
	if !dealt {
		return b.plan
	}
	// A step may have begun in the epoch before.
	begun := ((b.Before+epoch*len(b.plan))%b.Step + b.Step) % b.Step
	for at := 0; at < len(b.plan); {
		end := min(len(b.plan), at+b.Step-begun)
		deal(b.Lengths, b.plan[at:end])
		at, begun = end, 0
	}
	return b.plan
}

// Count is the number of batches of an epoch. Batches by tokens differ in number
// from epoch to epoch, others do not.
func (b *Batches) Count(epoch int) int { return len(b.Epoch(epoch)) }

// At returns the records of batch k (from 0) of an epoch.
func (b *Batches) At(epoch, k int) []int { return b.Epoch(epoch)[k] }

// Total is the number of batches of the epochs 0..epochs-1. By tokens with
// Shuffle it plans every epoch once.
func (b *Batches) Total(epochs int) int {
	if epochs > 0 && (!b.Shuffle || !b.InTokens) {
		return epochs * b.Count(0)
	}
	total := 0
	for e := range epochs {
		total += b.Count(e)
	}
	return total
}
