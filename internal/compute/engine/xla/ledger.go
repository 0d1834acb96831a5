package xla

import (
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// ledger has what the host reads later, all at a time. The numbers lie in one tensor, which programs write to as they run. Each note has the next place,
// which is an input: what is noted before a step, and how long ago somebody has read, makes no other program of it.
type ledger struct {
	tensor *engine.Tensor // mostNoted x 1; nil until something is noted
	used   int
	unread []*note
}

// note is the numbers of a tensor.
type note struct {
	from, n int
	values  []float32 // nil: not read
}

// mostNoted is how many numbers are noted at most: 16 kB are one download, however few of them are used.
const mostNoted = 1 << 12

// Note keeps the numbers of a tensor as they are now; see [engine.Note].
func (d *Device) Note(t *engine.Tensor) (read func() []float32) {
	size := of(t).room * t.Cols
	if size > mostNoted {
		panic(engine.ShapeError{Op: "note", Detail: fmt.Sprintf("%d x %d, of %d numbers at most", t.Rows, t.Cols, mostNoted)})
	}
	l := &d.ledger
	if l.tensor == nil { // written, so that the first program that notes something is no other than the next one
		l.tensor = d.Wrap(mostNoted, 1, make([]float32, mostNoted))
	}
	if l.used+size > mostNoted {
		d.readNotes()
	}
	n := &note{from: l.used, n: t.Len()}
	l.used, l.unread = l.used+size, append(l.unread, n)
	record(d, "note", none{}, lowerNote, []*engine.Tensor{l.tensor}, d.tensor(l.tensor), d.tensor(t), d.count(n.from))
	return func() []float32 {
		if n.values == nil {
			d.readNotes()
		}
		return n.values
	}
}

func lowerNote(b *builder, _ none, ins []val) []val {
	x := ins[1]
	return []val{b.replace(ins[0], b.reshape(x, product(x.dims), 1), ins[2])}
}

// readNotes downloads what is noted. Then there is room again.
func (d *Device) readNotes() {
	l := &d.ledger
	all := make([]float32, mostNoted)
	d.Start() // else the numbers would be another result of the program
	d.Read(all, l.tensor)
	for _, n := range l.unread {
		n.values = slices.Clone(all[n.from:][:n.n])
	}
	l.used, l.unread = 0, l.unread[:0]
}
