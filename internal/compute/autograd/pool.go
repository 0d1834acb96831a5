package autograd

import (
	"sync"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Pool has tapes for inference, one for each of the goroutines that compute at a time. They share the memory of a device. It is safe for
// concurrent use.
//
//	tape := pool.Take()
//	defer pool.Give(tape)
type Pool struct {
	dev  engine.Device
	mu   sync.Mutex
	free []*Tape
}

// NewPool returns a pool of tapes on forks of a device: another pool may have the device, too.
func NewPool(dev engine.Device) *Pool { return &Pool{dev: dev} }

// Take returns an empty tape, which is the caller's until [Pool.Give].
func (p *Pool) Take() *Tape {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		t := p.free[n-1]
		p.free = p.free[:n-1]
		return t
	}
	return NewInference(p.dev.Fork())
}

// Give takes a tape back and releases what it has.
func (p *Pool) Give(t *Tape) {
	t.Release()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, t)
}
