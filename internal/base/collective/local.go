package collective

import (
	"errors"
	"fmt"
	"sync"
)

// Run has goroutines compute together: it calls do for each rank of a group of size, all at a time, and returns their errors together. Once a rank
// has ended, operations of the others that would wait for it return an [EndedError].
func Run(size int, do func(g Group) error) error {
	w := &world{size: size, sends: make([][]byte, size)}
	w.changed = sync.NewCond(&w.mu)
	errs := make([]error, size)
	var wait sync.WaitGroup
	for rank := range size {
		wait.Go(func() {
			err := do(&local{w, rank})
			if err != nil {
				errs[rank] = fmt.Errorf("rank %d: %w", rank, err)
			}
			w.end(rank, err)
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// EndedError says that a rank has ended before an operation that others wait with.
type EndedError struct {
	Rank int
	Err  error // with which it has ended; nil: it was done
}

func (e *EndedError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("rank %d has ended", e.Rank)
	}
	return fmt.Sprintf("rank %d has ended: %v", e.Rank, e.Err)
}

// Unwrap returns the rank's error.
func (e *EndedError) Unwrap() error { return e.Err }

// world is what the ranks of a process share.
type world struct {
	size    int
	mu      sync.Mutex
	changed *sync.Cond
	came    int // ranks that are in the present operation
	left    int // those that have what they came for
	round   int // operations that all have left
	sends   [][]byte
	ended   *EndedError // the first
}

func (w *world) end(rank int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended == nil {
		w.ended = &EndedError{rank, err}
	}
	w.changed.Broadcast()
}

// exchange calls take with what everyone sends, and returns when all have taken: what is sent is read before that alone.
func (w *world) exchange(rank int, send []byte, take func(sends [][]byte) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	round := w.round
	w.sends[rank] = send
	w.came++
	w.changed.Broadcast()
	for w.came < w.size {
		if w.ended != nil {
			w.came-- // else this rank would be taken for the missing one when it comes again
			return w.ended
		}
		w.changed.Wait()
	}
	err := take(w.sends)
	if w.left++; w.left == w.size {
		clear(w.sends)
		w.came, w.left = 0, 0
		w.round++
		w.changed.Broadcast()
	}
	for w.round == round {
		w.changed.Wait()
	}
	return err
}

// local is the group seen from one of its goroutines.
type local struct {
	*world
	rank int
}

// Rank implements [Group].
func (l *local) Rank() int { return l.rank }

// Size implements [Group].
func (l *local) Size() int { return l.size }

// Barrier implements [Group].
func (l *local) Barrier() error {
	return l.exchange(l.rank, nil, func([][]byte) error { return nil })
}

// Broadcast implements [Group].
func (l *local) Broadcast(x []byte, root int) error {
	return l.exchange(l.rank, x, func(sends [][]byte) error {
		if len(sends[root]) != len(x) {
			return fmt.Errorf("broadcast: rank %d has %d bytes, this one %d", root, len(sends[root]), len(x))
		}
		if l.rank != root {
			copy(x, sends[root])
		}
		return nil
	})
}

// AllGather implements [Group].
func (l *local) AllGather(send, recv []byte) error {
	n := len(send)
	if n*l.size == len(recv) {
		copy(recv[l.rank*n:], send) // where it may be already
		send = recv[l.rank*n:][:n]  // nobody else writes there
	}
	return l.exchange(l.rank, send, func(sends [][]byte) error {
		for r, s := range sends {
			if len(s)*l.size != len(recv) {
				return fmt.Errorf("gather: rank %d sends %d bytes, and there is room for %d of each", r, len(s), len(recv)/l.size)
			}
		}
		for r, s := range sends {
			if r != l.rank {
				copy(recv[r*n:], s)
			}
		}
		return nil
	})
}

// AllToAll implements [Group].
func (l *local) AllToAll(send, recv []byte) error {
	return l.exchange(l.rank, send, func(sends [][]byte) error {
		n := len(recv) / l.size
		for r, s := range sends {
			if len(s) != len(recv) || len(s)%l.size != 0 {
				return fmt.Errorf("all to all: rank %d sends %d bytes, and there is room for %d", r, len(s), len(recv))
			}
			copy(recv[r*n:][:n], s[l.rank*n:])
		}
		return nil
	})
}
