// Package ranks has processes that compute together, for tests: goroutines that take their part, and real ones under MPI launchers, on one host or two.
package ranks

import (
	"errors"
	"fmt"
	"sync"

	"github.com/unimo-go/unimo/internal/base/collective"
)

// Run calls do for each rank of a group of size, all at a time, and returns their errors together. When one has ended with an error, the operations
// of the others fail too.
func Run(size int, do func(g collective.Group) error) error {
	w := &world{size: size, sends: make([][]byte, size)}
	w.changed = sync.NewCond(&w.mu)
	errs := make([]error, size)
	var wait sync.WaitGroup
	for rank := range size {
		wait.Go(func() {
			if err := do(&member{w, rank}); err != nil {
				errs[rank] = fmt.Errorf("rank %d: %w", rank, err)
				w.fail()
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// world is what the members share.
type world struct {
	size    int
	mu      sync.Mutex
	changed *sync.Cond
	came    int // members that are in the present operation
	round   int // operations that all have left
	left    int
	sends   [][]byte
	failed  bool
}

var errFailed = errors.New("another rank failed")

func (w *world) fail() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = true
	w.changed.Broadcast()
}

// exchange calls take with what everyone sends, and returns when all have taken.
func (w *world) exchange(rank int, send []byte, take func(sends [][]byte) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	round := w.round
	w.sends[rank] = send
	w.came++
	w.changed.Broadcast()
	for w.came < w.size && !w.failed {
		w.changed.Wait()
	}
	if w.failed {
		return errFailed
	}
	err := take(w.sends)
	if w.left++; w.left == w.size {
		w.came, w.left = 0, 0
		w.round++
		w.changed.Broadcast()
	}
	for w.round == round && !w.failed {
		w.changed.Wait()
	}
	if w.round == round {
		return errFailed
	}
	return err
}

// member is one rank's view.
type member struct {
	*world
	rank int
}

var _ collective.Group = (*member)(nil)

func (m *member) Rank() int { return m.rank }
func (m *member) Size() int { return m.size }

func (m *member) Barrier() error {
	return m.exchange(m.rank, nil, func([][]byte) error { return nil })
}

func (m *member) Broadcast(x []byte, root int) error {
	return m.exchange(m.rank, x, func(sends [][]byte) error {
		if len(sends[root]) != len(x) {
			return fmt.Errorf("broadcast: rank %d has %d bytes, this one %d", root, len(sends[root]), len(x))
		}
		if m.rank != root {
			copy(x, sends[root])
		}
		return nil
	})
}

func (m *member) AllGather(send, recv []byte) error {
	return m.exchange(m.rank, append([]byte(nil), send...), func(sends [][]byte) error {
		n := len(recv) / m.size
		for r, s := range sends {
			if len(s)*m.size != len(recv) {
				return fmt.Errorf("gather: rank %d sends %d bytes, want %d", r, len(s), n)
			}
			copy(recv[r*n:], s)
		}
		return nil
	})
}

func (m *member) AllToAll(send, recv []byte) error {
	return m.exchange(m.rank, send, func(sends [][]byte) error {
		n := len(recv) / m.size
		for r, s := range sends {
			if len(s) != len(recv) || len(s)%m.size != 0 {
				return fmt.Errorf("all to all: rank %d sends %d bytes, want %d", r, len(s), len(recv))
			}
			copy(recv[r*n:][:n], s[m.rank*n:])
		}
		return nil
	})
}
