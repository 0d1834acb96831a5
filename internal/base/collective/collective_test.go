package collective_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/base/collective"
)

func TestAlone(t *testing.T) {
	var g collective.Group = collective.Alone{}
	recv := make([]byte, 3)
	if err := g.AllToAll([]byte("abc"), recv); err != nil || string(recv) != "abc" {
		t.Errorf("all to all: %q, %v", recv, err)
	}
	if err := g.AllGather([]byte("ab"), recv); err == nil {
		t.Error("two bytes were gathered into three")
	}
	all, err := collective.GatherAll(g, []byte("xyz"))
	if err != nil || len(all) != 1 || string(all[0]) != "xyz" {
		t.Errorf("gather all: %q, %v", all, err)
	}
}

// Goroutines as ranks do what MPI's operations do.
func TestRanks(t *testing.T) {
	const size = 4
	err := collective.Run(size, func(g collective.Group) error {
		if g.Size() != size {
			return fmt.Errorf("size %d", g.Size())
		}
		for range 50 {
			x := []byte{byte(g.Rank()), 7}
			if err := g.Broadcast(x, 2); err != nil {
				return err
			}
			if !bytes.Equal(x, []byte{2, 7}) {
				return fmt.Errorf("broadcast: %v", x)
			}
			recv := make([]byte, size)
			if err := g.AllToAll([]byte{byte(10 * g.Rank()), byte(10*g.Rank() + 1), byte(10*g.Rank() + 2), byte(10*g.Rank() + 3)}, recv); err != nil {
				return err
			}
			if want := []byte{byte(g.Rank()), byte(10 + g.Rank()), byte(20 + g.Rank()), byte(30 + g.Rank())}; !bytes.Equal(recv, want) {
				return fmt.Errorf("all to all: %v, want %v", recv, want)
			}
			recv[g.Rank()] = byte(g.Rank())
			if err := g.AllGather(recv[g.Rank():][:1], recv); err != nil {
				return err
			}
			if !bytes.Equal(recv, []byte{0, 1, 2, 3}) {
				return fmt.Errorf("gather in place: %v", recv)
			}
			for _, length := range []int{1, 338, 339, 1000} { // times the rank: also what is just too long for one message
				mine := func(r int) []byte { return bytes.Repeat([]byte{byte(r), 1, 2}, r*length)[:r*length] }
				all, err := collective.GatherAll(g, mine(g.Rank()))
				if err != nil {
					return err
				}
				for r, x := range all {
					if !bytes.Equal(x, mine(r)) {
						return fmt.Errorf("gather all: rank %d has %d bytes, want %d: %v", r, len(x), r*length, x[:min(9, len(x))])
					}
				}
			}
			if err := g.Barrier(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// misuse is an error of who called the program.
type misuse struct{}

func (misuse) Error() string  { return "no such flag" }
func (misuse) WrongUse() bool { return true }

// A rank that ends with an error ends the operations of the others.
func TestRankFails(t *testing.T) {
	gone := errors.New("gone")
	err := collective.Run(3, func(g collective.Group) error {
		if g.Rank() == 1 {
			return gone
		}
		return g.Barrier()
	})
	if !errors.Is(err, gone) {
		t.Error(err)
	}
}

func TestBytes(t *testing.T) {
	x := []float32{1, 2}
	b := collective.Bytes(x)
	copy(b[4:], b[:4])
	if len(b) != 8 || x[1] != 1 {
		t.Errorf("%d bytes, %v", len(b), x)
	}
	if collective.Bytes([]uint16{}) != nil {
		t.Error("bytes of nothing")
	}
}

// All ranks get what each of them has; an error of one ends all, and is said once.
func TestGather(t *testing.T) {
	type thing struct {
		Number float64
		List   []int32
	}
	own := errors.New("a disk is full")
	err := collective.Run(3, func(g collective.Group) error {
		all, err := collective.Gather(g, thing{math.Inf(1 - 2*(g.Rank()%2)), make([]int32, g.Rank())}, nil)
		if err != nil {
			return err
		}
		for r, x := range all {
			if !math.IsInf(x.Number, 1-2*(r%2)) || len(x.List) != r {
				return fmt.Errorf("got %v", all)
			}
		}
		if told, err := collective.Tell(g, g.Rank()+5, nil); err != nil || told != 5 {
			return fmt.Errorf("told %d, %w", told, err)
		}
		var failing error
		if g.Rank() > 0 {
			failing = own
		}
		var common *collective.RankError
		if err := collective.Agree(g, failing); !errors.As(err, &common) || common.Rank != 1 || err.Error() != "rank 1: a disk is full" || errors.Is(err, own) != (g.Rank() > 0) {
			return fmt.Errorf("agreed on %w", err)
		}
		sum := ""
		err = collective.Spread(g, 7, func(i int) (string, error) { return fmt.Sprint(g.Rank(), i, ","), nil }, func(i int, piece string) { sum += fmt.Sprint(i, ":", piece) })
		if err != nil || sum != "0:0 0,1:1 1,2:2 2,3:0 3,4:1 4,5:2 5,6:0 6," {
			return fmt.Errorf("spread: %q, %w", sum, err)
		}
		done := 0
		told, err := collective.First(g, func() (int, error) { done++; return 7, nil })
		if err != nil || told != 7 || done != 1-min(g.Rank(), 1) {
			return fmt.Errorf("the first did it %d times and told %d, %w", done, told, err)
		}
		if _, err := collective.First(g, func() (bool, error) { return false, own }); err == nil || err.Error() != own.Error() || errors.Is(err, own) != (g.Rank() == 0) {
			return fmt.Errorf("the first failed with %w", err)
		}
		// One rank fails while the others wait for the first: none is left in an operation.
		err = nil
		if g.Rank() == 1 {
			err = own
		} else {
			_, err = collective.First(g, func() (bool, error) { return true, nil })
		}
		if err := collective.Agree(g, err); !errors.As(err, &common) || common.Rank != 1 {
			return fmt.Errorf("one before the first is done: %w", err)
		}
		// A wrong use of one rank is one on all.
		failing = nil
		if g.Rank() == 1 {
			failing = fmt.Errorf("--nowhere: %w", misuse{})
		}
		if err := collective.Agree(g, failing); !collective.IsWrongUse(err) || collective.IsWrongUse(own) {
			return fmt.Errorf("a wrong use: %w", err)
		}
		failing = nil
		if g.Rank() == 2 {
			failing = fmt.Errorf("stop: %w", context.Canceled)
		}
		if err := collective.Agree(g, failing); !errors.Is(err, context.Canceled) {
			return fmt.Errorf("interrupted: %w", err)
		}
		return collective.Agree(g, nil)
	})
	if err != nil {
		t.Error(err)
	}
	if err := collective.Agree(collective.Alone{}, own); err != own {
		t.Errorf("alone: %v", err)
	}
}
