package xla

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Notes keep numbers as they were. All are one download, and what was noted before makes no other program.
func TestNotes(t *testing.T) {
	d := open(t, Options{})
	x := d.Wrap(3, 2, []float32{1, 2, 3, 4, 5, 6})
	var reads []func() []float32
	for range 20 {
		d.Scale(x, x, 2)
		reads = append(reads, engine.Note(d, x))
		d.Start()
	}
	if s := d.Stats(); s.Compiled != 1 || s.Ran != 20 || s.Downloads != 0 {
		t.Errorf("%d programs compiled, %d ran, %d downloads; want 1, 20, 0", s.Compiled, s.Ran, s.Downloads)
	}
	for i, read := range slices.Backward(reads) {
		k := float32(int(2) << i)
		if got, want := read(), []float32{k, 2 * k, 3 * k, 4 * k, 5 * k, 6 * k}; !slices.Equal(got, want) {
			t.Errorf("note %d is %v, want %v", i, got, want)
		}
	}
	if n := d.Stats().Downloads; n != 1 {
		t.Errorf("20 notes took %d downloads", n)
	}
	d.Free(x)
}

// Behind the last place those that are there are read, and none is lost. What is noted and not computed yet is computed first.
func TestMoreNotesThanThereIsRoomFor(t *testing.T) {
	d := open(t, Options{})
	const cols = 1000
	var reads []func() []float32
	for i := range 3 * mostNoted / cols {
		x := d.New(1, cols)
		d.Write(x, slices.Repeat([]float32{float32(i)}, cols))
		reads = append(reads, engine.Note(d, x))
		d.Free(x)
	}
	for i, read := range reads {
		if got := read(); len(got) != cols || got[0] != float32(i) || got[cols-1] != float32(i) {
			t.Errorf("note %d is %v ...", i, got[0])
		}
	}
	if n := d.Stats().Downloads; n != 3 {
		t.Errorf("%d downloads, want 3", n)
	}
	refuses(t, "more than there is room for", func() { d.Note(d.New(mostNoted+1, 1)) })
}
