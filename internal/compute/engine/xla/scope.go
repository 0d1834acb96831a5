package xla

import (
	"sync"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// scope has the tensors that were made within it and are not freed yet.
type scope struct {
	mu    sync.Mutex
	alive map[*memory]struct{}
}

func (s *scope) add(m *memory) {
	if s == nil {
		return
	}
	m.scope = s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive[m] = struct{}{}
}

// remove forgets a tensor, which is freed.
func (m *memory) remove() {
	if m.scope == nil {
		return
	}
	m.scope.mu.Lock()
	defer m.scope.mu.Unlock()
	delete(m.scope.alive, m)
}

// Scope implements what [engine.Scope] asks for.
func (d *Device) Scope() (within engine.Device, free func()) {
	s := &scope{alive: map[*memory]struct{}{}}
	f := d.fork()
	f.scope = s
	return f, func() {
		engine.Guard(func() error { // of a chip that is lost there is nothing to give back
			s.mu.Lock()
			defer s.mu.Unlock()
			d.heap.mu.Lock()
			defer d.heap.mu.Unlock()
			for m := range s.alive {
				d.heap.drop(d.client, m)
			}
			clear(s.alive)
			d.heap.release(d.client) // what only recordings kept that are gone
			return nil
		})
	}
}

// Held returns how many buffers the chip has, and their bytes.
func (d *Device) Held() (buffers int, bytes int64) {
	return d.client.Buffers(d.chip), d.client.Held(d.chip)
}
