package xla

import (
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// program is a compiled trace.
type program struct{ executable pjrt.Executable }

// program returns that of a trace, compiled if there is none like it. It is found by the hash of the operations; the text exists only when
// it is compiled.
func (s *shared) program(tr *trace) *program {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := tr.hash
	if p, ok := s.programs[at]; ok {
		return p
	}
	began := time.Now()
	text := tr.text(s.builderOptions())
	executable, err := s.client.Compile(text, pjrt.CompileOptions{Replicas: 1})
	must(err)
	p := &program{executable}
	s.programs[at] = p
	s.stats.Compiled++
	s.stats.Compiling += time.Since(began)
	return p
}
