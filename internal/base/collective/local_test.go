package collective_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/base/collective"
)

// operation is one that all ranks call.
type operation struct {
	kind, length, root int
}

// content is what a rank sends in an operation.
func content(rank, at, length int) []byte {
	x := make([]byte, length)
	for i := range x {
		x[i] = byte(31*rank + 7*at + i)
	}
	return x
}

// run calls an operation and compares what came with what the others sent.
func (o operation) run(g collective.Group, at int) error {
	size, rank := g.Size(), g.Rank()
	var got, want []byte
	var err error
	switch o.kind {
	case 0:
		err = g.Barrier()
	case 1:
		got, want = content(rank, at, o.length), content(o.root, at, o.length)
		err = g.Broadcast(got, o.root)
	case 2, 3:
		got = make([]byte, o.length*size)
		send := content(rank, at, o.length)
		if o.kind == 3 { // in place
			send = got[rank*o.length:][:o.length]
			copy(send, content(rank, at, o.length))
		}
		err = g.AllGather(send, got)
		for r := range size {
			want = append(want, content(r, at, o.length)...)
		}
	case 4:
		got = make([]byte, o.length*size)
		err = g.AllToAll(content(rank, at, o.length*size), got)
		for r := range size {
			want = append(want, content(r, at, o.length*size)[rank*o.length:][:o.length]...)
		}
	}
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("operation %d, %+v: got %v, want %v", at, o, got, want)
	}
	return err
}

// Goroutines get what a group promises, whatever they call; where one ends, with an error or without, no other waits for it.
func TestLocalGroup(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 5).Draw(t, "size")
		ops := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) operation {
			return operation{rapid.IntRange(0, 4).Draw(t, "kind"), rapid.IntRange(0, 9).Draw(t, "length"), rapid.IntRange(0, size-1).Draw(t, "root")}
		}), 0, 12).Draw(t, "operations")
		ends := rapid.IntRange(0, len(ops)).Draw(t, "the first to end does so before")
		first := rapid.IntRange(0, size-1).Draw(t, "the first to end")
		var own error
		if rapid.Bool().Draw(t, "it fails") {
			own = errors.New("a disk is full")
		}
		done := make([]int, size)
		err := collective.Run(size, func(g collective.Group) error {
			for at, o := range ops {
				if at == ends && g.Rank() == first {
					return own
				}
				if err := o.run(g, at); err != nil {
					return err
				}
				done[g.Rank()]++
			}
			return nil
		})
		if most := slices.Max(done); most != ends || slices.Min(done) != ends {
			t.Fatalf("operations done: %v, want %d", done, ends)
		}
		var ended *collective.EndedError
		switch {
		case ends == len(ops):
			if err != nil {
				t.Fatal(err)
			}
		case size > 1 && !errors.As(err, &ended), own != nil && !errors.Is(err, own), ended != nil && ended.Err == nil && own != nil && ended.Rank == first:
			t.Fatalf("ended with %v", err)
		}
	})
}

// Ranks that do not agree on lengths get errors.
func TestLocalGroupLengths(t *testing.T) {
	for name, operation := range map[string]func(g collective.Group) error{
		"broadcast":  func(g collective.Group) error { return g.Broadcast(make([]byte, g.Rank()+1), 0) },
		"gather":     func(g collective.Group) error { return g.AllGather(make([]byte, g.Rank()+1), make([]byte, 2)) },
		"all to all": func(g collective.Group) error { return g.AllToAll(make([]byte, 2*g.Rank()), make([]byte, 2*g.Rank())) },
	} {
		if err := collective.Run(2, operation); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A rank that comes again after it was told that another has ended is told again: it does not stand for the one that is missing.
func TestLocalGroupAfterTheEnd(t *testing.T) {
	own := errors.New("lost")
	for size := 2; size <= 4; size++ {
		waits := make(chan error)
		go func() {
			waits <- collective.Run(size, func(g collective.Group) error {
				if g.Rank() == 0 {
					return own
				}
				var ended *collective.EndedError
				for range 3 {
					if err := g.Barrier(); !errors.As(err, &ended) || !errors.Is(err, own) {
						return fmt.Errorf("the barrier returned %w", err)
					}
				}
				return collective.Agree(g, ended)
			})
		}()
		select {
		case err := <-waits:
			if !errors.Is(err, own) || strings.Contains(err.Error(), "the barrier") {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%d ranks still wait for one that has ended", size)
		}
	}
}
