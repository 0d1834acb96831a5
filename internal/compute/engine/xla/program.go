package xla

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/programs"
)

// program is a compiled trace.
type program struct{ executable pjrt.Executable }

// Notice tells of a program that a computation waits for: before it is compiled, and when it is there.
type Notice struct {
	Program int // the first is 1
	Chip    int // that is the first to want it
	Done    bool
	Loaded  bool // it was in the cache
	Took    time.Duration
	// Needs is how much of the device's memory, which is Has, is used while the program runs; 0 where the plugin does not say.
	Needs, Has int64
}

// program returns that of a trace, compiled if there is none like it. It is found by the hash of the operations; the text exists only when
// it is compiled.
func (s *shared) program(tr *trace) *program {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := tr.hash
	if p, ok := s.programs[at]; ok {
		return p
	}
	how := pjrt.CompileOptions{Replicas: 1}
	if s.team != nil {
		how.Device = pjrt.AnyDevice
	}
	return s.compile(at, how, tr.chip, func() []byte { return tr.text(s.builderOptions()) })
}

// execute runs a program of one chip there. It does not wait for it.
func (s *shared) execute(p *program, chip int, args, results []pjrt.Buffer) error {
	if s.team != nil {
		return s.client.ExecuteOn(p.executable, chip, args, results)
	}
	return s.client.Execute(p.executable, [][]pjrt.Buffer{args}, [][]pjrt.Buffer{results})
}

// compile makes the program with a hash of its text, and keeps it. The caller has the lock.
func (s *shared) compile(at uint64, how pjrt.CompileOptions, chip int, text func() []byte) *program {
	began := time.Now()
	n := Notice{Program: len(s.programs) + 1, Chip: chip}
	s.options.notify(n)
	executable, loaded, err := s.options.compile(s.client, text(), how)
	must(err)
	p := &program{executable}
	s.programs[at] = p
	if n.Loaded = loaded; loaded {
		s.stats.Loaded++
	} else {
		s.stats.Compiled++
	}
	n.Took = time.Since(began)
	s.stats.Compiling += n.Took
	if plan, err := s.client.Memory(executable); err == nil {
		need := s.needs(plan, chip)
		n.Needs, n.Has = need.Needs, need.Has
		s.stats.Memory = max(s.stats.Memory, need.Needs)
		if need.Has > 0 && need.Needs > need.Has {
			must(need)
		}
	}
	n.Done = true
	s.options.notify(n)
	return p
}

// needs is what a program with a plan needs of a chip's memory, beside all that lies there.
func (s *shared) needs(plan pjrt.Plan, chip int) *engine.MemoryError {
	m := &engine.MemoryError{Has: s.options.Memory, Fixed: s.client.Held(chip) + plan.Results - plan.Alias + plan.Code}
	if m.Has == 0 {
		m.Has = s.client.Info().Devices[chip].Memory
	}
	m.Needs = m.Fixed + plan.Temporary
	return m
}

func (o *Options) notify(n Notice) {
	if o.Notify != nil {
		o.Notify(n)
	}
}

// compiler is the part of [pjrt.Client] that makes programs.
type compiler interface {
	Compile(program []byte, o pjrt.CompileOptions) (pjrt.Executable, error)
	Serialize(e pjrt.Executable) ([]byte, error)
	Deserialize(data []byte, o pjrt.CompileOptions) (pjrt.Executable, error)
}

// compile makes a program of its text, or takes it from the cache.
func (o *Options) compile(c compiler, text []byte, how pjrt.CompileOptions) (e pjrt.Executable, loaded bool, err error) {
	how.Flags = o.Flags
	if o.Cache == nil {
		e, err = c.Compile(text, how)
		return e, false, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %d\n", o.CacheFor(), how.Device, how.Replicas)
	for _, name := range slices.Sorted(maps.Keys(how.Flags)) {
		fmt.Fprintf(h, "%q %q\n", name, how.Flags[name])
	}
	h.Write(text)
	key := programs.Key(h.Sum(nil))
	if data := o.Cache.Get(key); data != nil {
		if e, err := c.Deserialize(data, how); err == nil {
			return e, true, nil
		}
	}
	if e, err = c.Compile(text, how); err != nil {
		return 0, false, err
	}
	if data, err := c.Serialize(e); err == nil { // not all plugins can
		o.Cache.Put(key, data)
	}
	return e, false, nil
}

// outOfMemory is the code of a plugin's error: RESOURCE_EXHAUSTED.
const outOfMemory = 8

// must ends the computation: operations return no errors, so a device that fails panics with an [engine.Failure].
func must(err error) {
	if err == nil {
		return
	}
	var own *pjrt.Error
	if errors.As(err, &own) && own.Code == outOfMemory {
		err = &engine.MemoryError{Err: err}
	}
	panic(engine.Failure{Err: err})
}
