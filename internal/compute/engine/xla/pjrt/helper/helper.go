// Package helper is the other side of the protocol: it does for unimo what comes in messages. The program unimo-xla gives it a plugin; tests
// give it a pretended one.
package helper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

// Plugin computes.
type Plugin interface {
	// Open loads a plugin; ahead: without its devices.
	Open(path string, ahead bool, options []wire.Option) (wire.Info, error)
	// Upload copies data before it returns.
	Upload(device int, t wire.Type, dims []int64, data []byte) (Buffer, error)
	Compile(program []byte, o wire.CompileOptions) (Executable, error)
	Deserialize(data []byte, o wire.CompileOptions) (Executable, error)
	// CompileFor compiles for devices that need not be there.
	CompileFor(topology []wire.Option, program []byte, o wire.CompileOptions) (size int, plan wire.Plan, err error)
}

// Buffer is memory of a device.
type Buffer interface {
	// Download waits until the numbers are computed, and copies them.
	Download(data []byte) error
	Size() (int, error) // bytes of a download
	Free() error
}

// Executable is a compiled program.
type Executable interface {
	Results() int
	// Execute fills results, by replica. It need not wait until they are computed. device is that of a program which runs anywhere, else -1.
	Execute(device int, args, results [][]Buffer) error
	Serialize() ([]byte, error)
	Memory() (wire.Plan, error)
	Free() error
}

// failed stands for a buffer that could not be made.
type failed struct{ err error }

func (f failed) Download([]byte) error { return f.err }
func (f failed) Size() (int, error)    { return 0, f.err }
func (f failed) Free() error           { return nil }

// What unimo passes on: the other end of a pair of sockets, and a file that is the memory of both.
const (
	socket = wire.Socket(3)
	memory = 4
)

// Run serves the program that started this one, until it ends.
func Run(p Plugin) error {
	if !socket.Open() {
		return errors.New("unimo starts this program, where --device asks for an accelerator")
	}
	// Ctrl-C goes to all programs of a terminal. unimo still needs this one then, to save; this one ends when unimo does.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	debug.SetTraceback("none") // what a plugin wrote before it ended this process is the last that is read
	faultsEnd()
	go func() {
		socket.AwaitHangup() // also while a plugin computes for long
		os.Exit(0)
	}()
	if _, err := socket.Write(wire.Greeting()); err != nil {
		return err
	}
	return Serve(socket, func(size int) ([]byte, error) { return wire.Share(memory, size) }, p)
}

type server struct {
	plugin      Plugin
	shared      []byte
	buffers     map[uint64]Buffer
	executables map[uint64]Executable
	staged      []byte // pieces of a large upload
	download    []byte // a large download
	deferred    error  // of what was not answered
	ids         []uint64
	out         []byte
}

// Serve does what the messages on conn say until its other end is closed. share gives the memory that both sides have.
func Serve(conn io.ReadWriter, share func(size int) ([]byte, error), p Plugin) error {
	in := wire.NewReader(conn)
	s := &server{plugin: p, buffers: map[uint64]Buffer{}, executables: map[uint64]Executable{}}
	for first := true; ; first = false {
		m, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if first != (wire.Op(m[0]) == wire.OpOpen) {
			return fmt.Errorf("message %d came before a plugin was opened, or after", m[0])
		}
		s.out = append(s.out[:0], 0, 0, 0, 0, wire.Done)
		f := wire.NewFields(m[1:])
		if first {
			err = s.open(f, share)
		} else if !answered(wire.Op(m[0])) {
			if err := s.silent(wire.Op(m[0]), f); err != nil && s.deferred == nil {
				s.deferred = err
			}
			continue
		} else {
			err = s.answer(wire.Op(m[0]), f)
		}
		if err != nil {
			e, ok := errors.AsType[*wire.Error](err)
			if !ok {
				e = &wire.Error{Message: err.Error()}
			}
			s.out = wire.AppendInt(append(s.out[:4], wire.Failed), int64(e.Code))
			s.out = wire.AppendBytes(s.out, e.Message)
		}
		if _, err := conn.Write(wire.End(s.out, 0)); err != nil {
			return err
		}
	}
}

// answered says whether the other side waits for an answer.
func answered(op wire.Op) bool {
	switch op {
	case wire.OpUpload, wire.OpFree, wire.OpFreeExecutable, wire.OpExecute:
		return false
	}
	return true
}

func (s *server) open(f *wire.Fields, share func(int) ([]byte, error)) error {
	if v := f.Uint(); v != wire.Version {
		f.Rest()
		return fmt.Errorf("unimo-xla speaks version %d of the protocol, and unimo version %d; take both from one release", wire.Version, v)
	}
	size, path, ahead, options := f.Uint(), f.String(), f.Byte() != 0, f.Options()
	if err := f.Err(); err != nil {
		return err
	}
	if size > 1<<40 {
		return fmt.Errorf("shared memory of %d bytes", size)
	}
	var err error
	if s.shared, err = share(int(size)); err != nil {
		err, _ = wire.Limited(err)
		return fmt.Errorf("shared memory: %w", err)
	}
	info, err := s.plugin.Open(path, ahead, options)
	if err != nil {
		return err
	}
	text, err := json.Marshal(info)
	s.out = wire.AppendBytes(s.out, text)
	return err
}

// silent does a request that is not answered.
func (s *server) silent(op wire.Op, f *wire.Fields) error {
	switch op {
	case wire.OpUpload:
		return s.upload(f)
	case wire.OpFree:
		ids := f.IDs(s.ids[:0])
		if err := f.Err(); err != nil {
			return err
		}
		s.ids = ids
		var errs []error
		for _, id := range ids {
			if b, ok := s.buffers[id]; ok {
				errs = append(errs, b.Free())
				delete(s.buffers, id)
			}
		}
		return errors.Join(errs...)
	case wire.OpFreeExecutable:
		id := f.Uint()
		if err := f.Err(); err != nil {
			return err
		}
		if e, ok := s.executables[id]; ok {
			delete(s.executables, id)
			return e.Free()
		}
		return nil
	}
	return s.execute(f)
}

func (s *server) upload(f *wire.Fields) error {
	id, device, t, dims, place := f.Uint(), f.Uint(), wire.Type(f.Byte()), f.Dims(), f.Byte()
	var data []byte
	switch place {
	case wire.InMessage:
		data = f.Bytes()
	case wire.InShared:
		at, n := f.Uint(), f.Uint()
		if at > uint64(len(s.shared)) || n > uint64(len(s.shared))-at {
			return fmt.Errorf("upload of %d bytes at %d of the shared memory, which has %d", n, at, len(s.shared))
		}
		data = s.shared[at:][:n]
	case wire.InStages:
		data, s.staged = s.staged, nil
	default:
		f.Fail(fmt.Errorf("upload from place %d", place))
	}
	if err := f.Err(); err != nil {
		return err
	}
	size := t.Size()
	for _, d := range dims {
		size *= int(d)
	}
	if !t.Valid() || size != len(data) {
		return fmt.Errorf("upload of %d bytes as %v%v", len(data), t, dims)
	}
	b, err := s.plugin.Upload(int(device), t, dims, data)
	if err != nil {
		b = failed{err}
	}
	return errors.Join(err, s.put(id, b))
}

// put keeps a buffer under its name.
func (s *server) put(id uint64, b Buffer) error {
	if _, ok := s.buffers[id]; ok {
		b.Free()
		return fmt.Errorf("buffer %d is there already", id)
	}
	s.buffers[id] = b
	return nil
}

func (s *server) executable(f *wire.Fields) Executable {
	id := f.Uint()
	e, ok := s.executables[id]
	if !ok {
		f.Fail(fmt.Errorf("no executable %d", id))
	}
	return e
}

func (s *server) execute(f *wire.Fields) error {
	e := s.executable(f)
	replicas, device := f.Uint(), -1
	if replicas > 1<<16 {
		f.Fail(fmt.Errorf("%d replicas", replicas))
	}
	if replicas == 0 {
		replicas, device = 1, int(min(f.Uint(), 1<<16))
	}
	var args, results [][]Buffer
	var names [][]uint64
	var broken error
	for range replicas {
		ids := f.IDs(s.ids[:0])
		s.ids = ids
		list := make([]Buffer, len(ids))
		for i, id := range ids {
			b, ok := s.buffers[id]
			if !ok {
				b = failed{fmt.Errorf("no buffer %d", id)}
			}
			if x, ok := b.(failed); ok && broken == nil {
				broken = x.err
			}
			list[i] = b
		}
		names = append(names, f.IDs(nil))
		args, results = append(args, list), append(results, nil)
		if f.Broken() {
			break
		}
	}
	if err := f.Err(); err != nil {
		return err
	}
	for r := range results {
		if len(names[r]) != e.Results() {
			return fmt.Errorf("%d results of a program that has %d", len(names[r]), e.Results())
		}
		results[r] = make([]Buffer, len(names[r]))
	}
	err := broken // what comes of it was said before
	if err == nil {
		err = e.Execute(device, args, results)
	}
	var errs []error
	for r, ids := range names {
		for i, id := range ids {
			if err != nil {
				results[r][i] = failed{err}
			}
			errs = append(errs, s.put(id, results[r][i]))
		}
	}
	if broken != nil {
		return nil
	}
	return errors.Join(append(errs, err)...)
}

// answer does a request and writes its answer's fields to s.out.
func (s *server) answer(op wire.Op, f *wire.Fields) error {
	switch op {
	case wire.OpPing:
		return errors.Join(f.Err(), s.late())
	case wire.OpStage:
		n := f.Uint()
		if n > uint64(len(s.shared)) {
			f.Fail(fmt.Errorf("a piece of %d bytes", n))
		}
		if err := f.Err(); err != nil {
			return err
		}
		s.staged = append(s.staged, s.shared[:n]...)
		return nil
	case wire.OpDownload:
		id, n := f.Uint(), f.Uint()
		if err := f.Err(); err != nil {
			return err
		}
		b, ok := s.buffers[id]
		if !ok {
			return fmt.Errorf("no buffer %d", id)
		}
		to := s.shared
		if n > uint64(len(s.shared)) {
			size, err := b.Size()
			if err == nil && uint64(size) != n {
				err = fmt.Errorf("download of %d bytes of %d", n, size)
			}
			if err != nil {
				return errors.Join(s.late(), err)
			}
			s.download = make([]byte, n)
			to = s.download
		}
		err := b.Download(to[:n])
		if first := s.late(); first != nil {
			return first
		}
		return err
	case wire.OpFetch:
		at, n := f.Uint(), f.Uint()
		if err := f.Err(); err != nil {
			return err
		}
		if n > uint64(len(s.shared)) || at > uint64(len(s.download)) || n > uint64(len(s.download))-at {
			return fmt.Errorf("piece of %d bytes at %d of a download of %d", n, at, len(s.download))
		}
		copy(s.shared[:n], s.download[at:])
		if at+n == uint64(len(s.download)) {
			s.download = nil
		}
		return nil
	case wire.OpCompile, wire.OpDeserialize:
		id, o, data := f.Uint(), f.CompileOptions(), f.Bytes()
		if err := f.Err(); err != nil {
			return err
		}
		if _, ok := s.executables[id]; ok {
			return fmt.Errorf("executable %d is there already", id)
		}
		load := s.plugin.Compile
		if op == wire.OpDeserialize {
			load = s.plugin.Deserialize
		}
		e, err := load(data, o)
		if err != nil {
			return err
		}
		s.executables[id] = e
		s.out = wire.AppendUint(s.out, uint64(e.Results()))
		return nil
	case wire.OpSerialize:
		e := s.executable(f)
		if err := f.Err(); err != nil {
			return err
		}
		data, err := e.Serialize()
		s.out = wire.AppendBytes(s.out, data)
		return err
	case wire.OpMemory:
		e := s.executable(f)
		if err := f.Err(); err != nil {
			return err
		}
		plan, err := e.Memory()
		s.out = wire.AppendPlan(s.out, plan)
		return err
	case wire.OpCompileFor:
		topology, o, program := f.Options(), f.CompileOptions(), f.Bytes()
		if err := f.Err(); err != nil {
			return err
		}
		size, plan, err := s.plugin.CompileFor(topology, program, o)
		s.out = wire.AppendPlan(wire.AppendInt(s.out, int64(size)), plan)
		return err
	}
	return fmt.Errorf("a message of an unknown kind, %d", op)
}

// late is the error of something that was not answered. It is told once.
func (s *server) late() error {
	err := s.deferred
	s.deferred = nil
	return err
}
