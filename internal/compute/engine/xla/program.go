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

// program is a trace that was compiled, or several chips' sum. It is loaded while it is in use; see [Bound].
type program struct {
	number     int             // the first is 1
	executable pjrt.Executable // 0: it is not loaded
	loads      int             // how often it was loaded
	code       int64           // bytes, as far as they are known
	inMemory   int64           // of them, those that the plugin says lie in the device's memory
	users      int             // that are going to ask the plugin to run it
	used       int             // by the clock of the device
}

// Bound says how many programs a plugin has loaded at once. What was not used for longest is unloaded, and loaded or compiled again when it is met.
type Bound struct {
	Programs int   // 0: any number
	Code     int64 // bytes of them together; 0: any number
}

// Notice tells of a program that a computation waits for: before it is compiled, and when it is there.
type Notice struct {
	Program int // the first is 1
	Chip    int // that is the first to want it: 0 is the first that is used
	Done    bool
	Loaded  bool // it was in the cache
	Again   bool // it was unloaded before
	Took    time.Duration
	// Needs is how much of the device's memory, which is Has, is used while the program runs; 0 where the plugin does not say.
	Needs, Has int64
}

// program returns that of a trace, compiled if there is none like it. It is found by the hash of the operations; the text exists only when
// it is compiled. The caller releases it.
func (s *shared) program(tr *trace) *program {
	how := pjrt.CompileOptions{Device: tr.chip, Replicas: 1}
	if s.team != nil {
		how.Device = pjrt.AnyDevice
	}
	return s.take(tr.hash, how, tr.chip, tr.text)
}

// execute runs a program of one chip there. It does not wait for it.
func (s *shared) execute(p *program, chip int, args, results []pjrt.Buffer) error {
	if s.team != nil {
		return s.client.ExecuteOn(p.executable, chip, args, results)
	}
	return s.client.Execute(p.executable, [][]pjrt.Buffer{args}, [][]pjrt.Buffer{results})
}

// take returns the program with a hash, loaded. It stays so until the caller releases it.
func (s *shared) take(at uint64, how pjrt.CompileOptions, chip int, text func() []byte) *program {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.programs[at]
	if !ok {
		p = &program{number: len(s.programs) + 1}
		s.programs[at] = p
	}
	p.users++
	s.clock++
	p.used = s.clock
	if p.executable == 0 {
		if err := s.load(p, how, chip, text); err != nil {
			p.users--
			must(err)
		}
	}
	return p
}

// release says that the plugin was asked to run a program. It may be unloaded then: requests are done in order, and what runs keeps what it needs.
func (s *shared) release(p *program) {
	s.mu.Lock()
	p.users--
	s.mu.Unlock()
}

// load compiles a program, or takes it from the cache. One that has no room to run is not loaded. The caller has the lock.
func (s *shared) load(p *program, how pjrt.CompileOptions, chip int, text func() []byte) error {
	began := time.Now()
	n := Notice{Program: p.number, Chip: chip - s.first, Again: p.loads > 0}
	s.options.notify(n)
	how.Name = fmt.Sprint("program ", p.number)
	m, err := s.options.compile(s.client, text(), how)
	if err != nil {
		return err
	}
	p.executable, p.code = m.executable, m.size
	p.loads++
	n.Loaded = m.loaded
	s.count(func(s *Stats) {
		if m.loaded {
			s.Loaded++
		} else {
			s.Compiled++
		}
	})
	plan, err := s.client.Memory(p.executable)
	if err == nil {
		p.code, p.inMemory = max(p.code, plan.Code), plan.Code
	}
	s.loaded.Programs++
	s.loaded.Code += p.code
	for s.tooMany() && s.unload() {
	}
	n.Took = time.Since(began)
	s.count(func(s *Stats) { s.Compiling += n.Took })
	if err == nil {
		need := s.needs(plan, chip)
		for need.Has > 0 && need.Needs > need.Has && s.unload() {
			need = s.needs(plan, chip)
		}
		n.Needs, n.Has = need.Needs, need.Has
		s.count(func(s *Stats) { s.Memory = max(s.Memory, need.Needs) })
		if need.Has > 0 && need.Needs > need.Has {
			s.free(p)
			return need
		}
	}
	n.Done = true
	s.options.notify(n)
	return nil
}

// tooMany says whether more is loaded than may be. The caller has the lock.
func (s *shared) tooMany() bool {
	most := s.options.Bound
	return most.Programs > 0 && s.loaded.Programs > most.Programs || most.Code > 0 && s.loaded.Code > most.Code
}

// unload unloads the program that was not used for longest, of those that may be. The caller has the lock.
func (s *shared) unload() bool {
	var oldest *program
	for _, p := range s.programs {
		if p.executable != 0 && p.users == 0 && (oldest == nil || p.used < oldest.used) {
			oldest = p
		}
	}
	if oldest == nil {
		return false
	}
	s.free(oldest)
	s.count(func(s *Stats) { s.Unloaded++ })
	return true
}

// free takes a program from the plugin. The caller has the lock.
func (s *shared) free(p *program) {
	must(s.client.FreeExecutable(p.executable))
	p.executable = 0
	s.loaded.Programs--
	s.loaded.Code -= p.code
}

// needs is what a program with a plan needs of a chip's memory, beside all that lies there, other programs among it. The caller has the lock.
func (s *shared) needs(plan pjrt.Plan, chip int) *engine.MemoryError {
	m := &engine.MemoryError{Has: s.options.Memory, Fixed: s.client.Held(chip) + plan.Results - plan.Alias}
	for _, p := range s.programs {
		if p.executable != 0 {
			m.Fixed += p.inMemory
		}
	}
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

// made is a program that was made.
type made struct {
	executable pjrt.Executable
	size       int64 // of what was serialized; 0: it was not
	loaded     bool  // from the cache
}

// compile makes a program of its text, or takes it from the cache.
func (o *Options) compile(c compiler, text []byte, how pjrt.CompileOptions) (made, error) {
	how.Flags = o.Flags
	if o.Cache == nil {
		e, err := c.Compile(text, how)
		return made{executable: e}, err
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
			return made{e, int64(len(data)), true}, nil
		}
	}
	e, err := c.Compile(text, how)
	if err != nil {
		return made{}, err
	}
	data, err := c.Serialize(e)
	if err == nil { // not all plugins can
		o.Cache.Put(key, data)
	}
	return made{e, int64(len(data)), false}, nil
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
