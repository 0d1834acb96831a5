package collective

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"time"
)

// RankError is an error of one rank or more that all of them end with, so that none waits for another. Rank 0 says it.
type RankError struct {
	Rank        int // the first that has one
	text        string
	interrupted bool
	wrongUse    bool
	own         error // of this rank; nil: it has none
}

func (e *RankError) Error() string {
	if e.Rank == 0 {
		return e.text
	}
	return fmt.Sprintf("rank %d: %s", e.Rank, e.text)
}

// Unwrap returns this rank's own error. An interrupt is one on every rank.
func (e *RankError) Unwrap() error {
	if e.own == nil && e.interrupted {
		return context.Canceled
	}
	return e.own
}

// WrongUse says whether the first rank that has an error was called wrongly, so that all ranks end alike. An error says of itself that it is one by
// the same method.
func (e *RankError) WrongUse() bool { return e.wrongUse }

// IsWrongUse says whether an error is one of who called the program.
func IsWrongUse(err error) bool {
	var use interface{ WrongUse() bool }
	return errors.As(err, &use) && use.WrongUse()
}

// message is what [Gather] exchanges.
type message[T any] struct {
	Value       T
	Failed      bool
	Error       string
	Interrupted bool
	WrongUse    bool
}

// Gather returns what each rank has, in their order. Where some have an error instead, every rank gets a [RankError]; a process alone gets its error
// as it is. An error that holds a RankError already is on all ranks: nothing is exchanged. T is a type that package gob encodes.
func Gather[T any](g Group, mine T, err error) ([]T, error) {
	if g.Size() == 1 {
		return []T{mine}, err
	}
	if errors.As(err, new(*RankError)) {
		return nil, err
	}
	m := message[T]{Value: mine}
	if err != nil {
		m = message[T]{Failed: true, Error: err.Error(), Interrupted: errors.Is(err, context.Canceled), WrongUse: IsWrongUse(err)}
	}
	var raw bytes.Buffer
	if err := gob.NewEncoder(&raw).Encode(m); err != nil {
		return nil, fmt.Errorf("gather: encode: %w", err)
	}
	each, failed := GatherAll(g, raw.Bytes())
	if failed != nil {
		return nil, errors.Join(err, failed)
	}
	values := make([]T, len(each))
	var first *RankError
	for rank, raw := range each {
		var m message[T]
		if err := gob.NewDecoder(bytes.NewReader(raw)).Decode(&m); err != nil {
			return nil, fmt.Errorf("gather: what rank %d sent: %w", rank, err)
		}
		if m.Failed && first == nil {
			first = &RankError{Rank: rank, text: m.Error, interrupted: m.Interrupted, wrongUse: m.WrongUse, own: err}
		}
		values[rank] = m.Value
	}
	if first != nil {
		return nil, first
	}
	return values, nil
}

// Agree returns nil if no rank has an error, and else a [RankError] on all of them. A process alone gets its error as it is.
func Agree(g Group, err error) error {
	_, err = Gather(g, false, err)
	return err
}

// Tell gives every rank what rank 0 has.
func Tell[T any](g Group, mine T, err error) (T, error) {
	if g.Rank() != 0 && g.Size() > 1 {
		var none T
		mine = none // and is not sent
	}
	all, err := Gather(g, mine, err)
	if err != nil {
		return mine, err
	}
	return all[0], nil
}

// Sharing is embedded by what can share its work with a group. Without one it is alone.
type Sharing struct{ group Group }

// Share makes it work with g, whose processes all do the same, until end is called.
func (s *Sharing) Share(g Group) (end func()) {
	before := s.group
	s.group = g
	return func() { s.group = before }
}

// Group is the group that it works with.
func (s *Sharing) Group() Group {
	if s.group == nil {
		return Alone{}
	}
	return s.group
}

// Spread divides n pieces of work among the ranks, one to each at a time. do computes a piece; take gets every piece, in their
// order, on every rank.
func Spread[T any](g Group, n int, do func(i int) (T, error), take func(i int, piece T)) error {
	size := g.Size()
	for lo := 0; lo < n; lo += size {
		var mine T
		var err error
		if i := lo + g.Rank(); i < n {
			mine, err = do(i)
		}
		all, err := Gather(g, mine, err)
		if err != nil {
			return err
		}
		for rank, piece := range all[:min(size, n-lo)] {
			take(lo+rank, piece)
		}
	}
	return nil
}

// beat is how often the first rank shows that it is at work while others wait for it: who watches for ranks that are gone sees
// that this one is not.
const beat = 5 * time.Second

// First has rank 0 do what the others wait for, and returns to all what it returned. do does not call the group.
func First[T any](g Group, do func() (T, error)) (T, error) {
	var none T
	if g.Size() == 1 {
		return do()
	}
	if g.Rank() != 0 {
		for {
			if busy, err := Tell(g, false, nil); err != nil {
				return none, err
			} else if !busy {
				return Tell(g, none, nil)
			}
		}
	}
	over, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for busy := true; busy; {
			select {
			case <-over:
				busy = false
			case <-time.After(beat):
			}
			if _, err := Tell(g, busy, nil); err != nil {
				stopped <- err
				return
			}
		}
		stopped <- nil
	}()
	value, err := do()
	close(over)
	if failed := <-stopped; failed != nil {
		return none, errors.Join(err, failed)
	}
	return Tell(g, value, err)
}

// piece bounds one broadcast: a library counts in 32 bits.
const piece = 64 << 20

// BroadcastPieces is a broadcast of rank 0's bytes, of any number.
func BroadcastPieces(g Group, x []byte) error {
	for len(x) > 0 {
		n := min(piece, len(x))
		if err := g.Broadcast(x[:n], 0); err != nil {
			return err
		}
		x = x[n:]
	}
	return nil
}
