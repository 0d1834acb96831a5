package pjrt

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

// Type is the type of a buffer's elements. Its String is StableHLO's name.
type Type = wire.Type

// The types.
const (
	F32  = wire.F32
	F64  = wire.F64
	BF16 = wire.BF16
	F16  = wire.F16
	I32  = wire.I32
	U32  = wire.U32
	I64  = wire.I64
	U64  = wire.U64
	I8   = wire.I8
	Pred = wire.Pred
)

// Info is what a plugin says of itself and of its devices.
type Info = wire.Info

// Device is one that programs run on.
type Device = wire.Device

// Plan is the memory that an executable needs on each device.
type Plan = wire.Plan

// Error is an error of the plugin's.
type Error = wire.Error

// Options say what to start.
type Options struct {
	Helper string         // the program unimo-xla; "": that of UNIMO_XLA, beside the running program, in PATH
	Plugin string         // the plugin's file
	Client map[string]any // options of its client: string, int64, bool, float32, []int64
	Ahead  bool           // without devices: CompileFor alone can be used
	Log    io.Writer      // what the plugin writes to standard error; nil: only the end is kept, for errors

	// Context ends what is waited for: at once where a plugin is being loaded or a program compiled, which may take minutes. Anything else may
	// take so long then, Patience, or twice as long as anything has taken. The helper program is killed, and all calls return an [EndedError]. nil: nothing does.
	Context  context.Context
	Patience time.Duration
}

// Buffer names memory of a device. 0 is none.
type Buffer uint64

// Executable names a compiled program.
type Executable uint64

// shape is what the plugin does not check.
type shape struct {
	t    Type
	dims []int
}

func (s shape) String() string {
	text := ""
	for _, d := range s.dims {
		text += fmt.Sprint(d, "x")
	}
	return "tensor<" + text + s.t.String() + ">"
}

func (s shape) equal(o shape) bool { return s.t == o.t && slices.Equal(s.dims, o.dims) }

// bytes is the size of the elements in a row.
func (s shape) bytes() int {
	n := s.t.Size()
	for _, d := range s.dims {
		n *= d
	}
	return n
}

// connection is to the helper program.
type connection interface {
	io.ReadWriteCloser
	Shutdown()
}

type buffer struct {
	shape   *shape
	device  int
	donated bool
}

type executable struct {
	signature
	name             string
	device, replicas int // from the first of its devices; device AnyDevice: on one that is named when it runs
}

// Client is a plugin that a helper program has loaded. Many goroutines may use it; one request is done at a time.
//
// Upload, Free, FreeExecutable and Execute do not wait until they are done. What goes wrong with them comes with the next Download.
type Client struct {
	info   Info
	lastID atomic.Uint64

	mu          sync.Mutex // of all below, and held for the time of a request
	conn        connection
	in          *wire.Reader
	out         []byte            // requests that were not sent yet
	shared      []byte            // memory of both programs
	used        int               // bytes of it that uploads hold which may not have been done yet
	buffers     map[Buffer]buffer // changes under the lock below, too, so that they can be counted during a request
	executables map[Executable]executable
	dead        error
	asked       string // what the helper program was asked for last, of what takes long

	counting sync.Mutex // of buffers
	closing  atomic.Bool
	hanging  sync.Mutex
	hungUp   bool                       // the connection is closed
	ended    atomic.Pointer[EndedError] // why the helper program was killed
	context  context.Context
	patience time.Duration
	longest  time.Duration // that an answer took, but for those of askFor
	helper   *process
}

// maxInMessage is the size from which data go through the shared memory, and maxQueued that of requests which wait for company.
const (
	maxInMessage = 4 << 10
	maxQueued    = 32 << 10
)

// sharedSize is large enough for most tensors; larger ones go in pieces.
var sharedSize = 64 << 20

// greetingPatience is how long a helper program may take until it says what it is.
var greetingPatience = 30 * time.Second

// greeted says whether program, which was started, is the helper program.
func (c *Client) greeted(program string) error {
	defer c.hurry(0)()
	silent := time.AfterFunc(greetingPatience, c.hangUp) // and its children, who have the socket, too, are not waited for
	m, err := c.in.Next()
	switch {
	case !silent.Stop():
		err = fmt.Errorf("it said nothing for %v", greetingPatience)
	case err != nil:
		err = c.fail(err)
	default:
		err = wire.CheckGreeting(m)
	}
	if err != nil && c.ended.Load() == nil {
		return fmt.Errorf("%s does not start as the unimo-xla of this release does: %w; take both programs from one release", program, err)
	}
	return err
}

func (c *Client) open(o Options) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := wire.AppendUint(wire.Begin(c.out, byte(wire.OpOpen)), wire.Version)
	b, err := wire.AppendOptions(wire.AppendBool(wire.AppendBytes(wire.AppendUint(b, uint64(len(c.shared))), o.Plugin), o.Ahead), inOrder(o.Client))
	if err != nil {
		return err
	}
	c.out = wire.End(b, 0)
	f, err := c.ask()
	if err != nil {
		return seesNone(o.Plugin, err)
	}
	if err := json.Unmarshal(f.Bytes(), &c.info); err != nil {
		return fmt.Errorf("unimo-xla: %w", err)
	}
	return f.Err()
}

// seesNone adds to what a plugin says of the chips that it cannot use where to look next.
func seesNone(plugin string, err error) error {
	own, ok := errors.AsType[*Error](err)
	if !ok || own.Code == 0 { // it was not loaded
		return err
	}
	own.Message = strings.TrimRight(own.Message, " .\n")
	for _, k := range kinds {
		if k.kind == kindOf(plugin) && k.driver != "" {
			return fmt.Errorf("%w; %s says which chips the driver sees", own, k.driver)
		}
	}
	return own
}

// ask sends what waits and reads the answer to its last request. The answer is good until the next one.
func (c *Client) ask() (*wire.Fields, error) {
	began := time.Now()
	defer func() { c.longest = max(c.longest, time.Since(began)) }()
	return c.answer(c.patient())
}

// askFor is ask for something that takes long, with other patience.
func (c *Client) askFor(what string, patience time.Duration) (*wire.Fields, error) {
	c.asked = what
	return c.answer(patience)
}

// answer is ask with other patience.
func (c *Client) answer(patience time.Duration) (*wire.Fields, error) {
	defer c.hurry(patience)()
	if err := c.send(); err != nil {
		return nil, err
	}
	m, err := c.in.Next()
	if err != nil {
		return nil, c.fail(err)
	}
	c.used = 0 // all uploads before are done
	f := wire.NewFields(m[1:])
	switch m[0] {
	case wire.Done:
		return f, nil
	case wire.Failed:
		e := &Error{Code: int(f.Int()), Message: f.String()}
		if err := f.Err(); err != nil {
			return nil, c.fail(err)
		}
		return nil, e
	}
	return nil, c.fail(fmt.Errorf("unimo-xla answered %d", m[0]))
}

// maxPatience bounds what comes of a helper program that was stopped for some time and went on.
const maxPatience = 10 * time.Minute

// patient is how long an answer may take after the context has ended. A device is known by then: what it does takes longer on a slow one.
func (c *Client) patient() time.Duration { return max(c.patience, min(2*c.longest, maxPatience)) }

// hurry kills the helper program where the context ends before the caller calls stop, and patience later. While the context lasts a
// helper program may take as long as it likes, or be stopped.
func (c *Client) hurry(patience time.Duration) (stop func()) {
	if c.context == nil {
		return func() {}
	}
	what, there := c.asked, make(chan struct{})
	keep := context.AfterFunc(c.context, func() {
		select {
		case <-there:
		case <-time.After(patience):
			c.end(&EndedError{After: patience, Asked: what, Err: c.context.Err()})
		}
	})
	return func() {
		if !keep() {
			close(there)
		}
	}
}

// end kills the helper program. Nobody waits for it any more.
func (c *Client) end(why *EndedError) {
	if c.ended.CompareAndSwap(nil, why) {
		c.helper.cmd.Process.Kill()
		c.hangUp()
	}
}

// flush sends what waits.
func (c *Client) flush() error {
	defer c.hurry(c.patient())() // its socket may be full
	return c.send()
}

// send is flush, whose caller has an eye on the time.
func (c *Client) send() error {
	if c.dead != nil {
		return c.dead
	}
	b := c.out
	c.out = c.out[:0]
	if len(b) == 0 {
		return nil
	}
	if _, err := c.conn.Write(b); err != nil {
		return c.fail(err)
	}
	if cap(b) > 1<<20 {
		c.out = nil // a program
	}
	return nil
}

// fail is how the connection ends. All later calls return the same error.
func (c *Client) fail(err error) error {
	switch {
	case c.dead != nil:
	case c.closing.Load():
		c.dead = errClosed
	case c.ended.Load() != nil:
		c.dead = c.ended.Load()
	default:
		c.dead = c.helper.crashed(err, c.asked)
	}
	return c.dead
}

// begin starts a request behind those that wait. done ends it.
func (c *Client) begin(op wire.Op) (b []byte, from int) {
	return wire.Begin(c.out, byte(op)), len(c.out)
}

// queue ends a request that is not answered. Small ones wait for the next one that is.
func (c *Client) queue(b []byte, from int) error {
	c.out = wire.End(b, from)
	if len(c.out) >= maxQueued {
		return c.flush()
	}
	return nil
}

// Lost says how the helper program has ended, if it has and nobody closed the client. It waits for nothing.
func (c *Client) Lost() error {
	if c.helper == nil || c.closing.Load() {
		return nil
	}
	if why := c.ended.Load(); why != nil {
		return why
	}
	select {
	case <-c.helper.ended:
		return c.helper.crashed(io.EOF, "")
	default:
		return nil
	}
}

// Ended is closed when the helper program has ended.
func (c *Client) Ended() <-chan struct{} { return c.helper.ended }

// Info is what the plugin says of itself.
func (c *Client) Info() Info { return c.info }

// NewBuffer returns a name for a buffer.
func (c *Client) NewBuffer() Buffer { return Buffer(c.lastID.Add(1)) }

// Upload copies data to a device. data may be changed afterwards.
func (c *Client) Upload(b Buffer, device int, t Type, dims []int, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		return c.dead
	}
	s := &shape{t, slices.Clone(dims)}
	switch {
	case !t.Valid() || slices.ContainsFunc(dims, func(d int) bool { return d < 0 }) || s.bytes() != len(data):
		return fmt.Errorf("upload of %d bytes as %v", len(data), s)
	case device < 0 || device >= len(c.info.Devices):
		return fmt.Errorf("upload to device %d, and there are %d", device, len(c.info.Devices))
	}
	if err := c.name(b); err != nil {
		return err
	}
	place := byte(wire.InShared)
	switch {
	case len(data) <= maxInMessage:
		place = wire.InMessage
	case len(data) > len(c.shared):
		place = wire.InStages
		for rest := data; len(rest) > 0; {
			// what waits in the shared memory is done first: requests are done one after the other
			if err := c.sync(); err != nil {
				return err
			}
			n := copy(c.shared, rest)
			rest = rest[n:]
			m, from := c.begin(wire.OpStage)
			c.out = wire.End(wire.AppendUint(m, uint64(n)), from)
			if _, err := c.ask(); err != nil {
				return err
			}
		}
	case c.used+len(data) > len(c.shared):
		if err := c.sync(); err != nil {
			return err
		}
	}
	m, from := c.begin(wire.OpUpload)
	m = wire.AppendUint(wire.AppendUint(m, uint64(b)), uint64(device))
	m = append(wire.AppendDims(append(m, byte(t)), dims), place)
	switch place {
	case wire.InMessage:
		m = wire.AppendBytes(m, data)
	case wire.InShared:
		copy(c.shared[c.used:], data)
		m = wire.AppendUint(wire.AppendUint(m, uint64(c.used)), uint64(len(data)))
		c.used += (len(data) + 63) &^ 63
		c.used = min(c.used, len(c.shared))
	}
	c.keep(b, buffer{shape: s, device: device})
	return c.queue(m, from)
}

// sync waits until all requests are done, if some uploads may not be.
func (c *Client) sync() error {
	if c.used == 0 {
		return nil
	}
	m, from := c.begin(wire.OpPing)
	c.out = wire.End(m, from)
	_, err := c.ask()
	return err
}

// name checks that a buffer's name is free.
func (c *Client) name(b Buffer) error {
	if b == 0 || uint64(b) > c.lastID.Load() {
		return fmt.Errorf("buffer %d has no name of NewBuffer's", b)
	}
	if _, ok := c.buffers[b]; ok {
		return fmt.Errorf("buffer %d is in use; free it first", b)
	}
	return nil
}

// Download waits for a buffer's numbers and copies them. It also returns what went wrong before with requests that did not wait.
func (c *Client) Download(b Buffer, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		return c.dead
	}
	have, ok := c.buffers[b]
	switch {
	case !ok:
		return fmt.Errorf("download: there is no buffer %d", b)
	case have.donated:
		return fmt.Errorf("download: buffer %d was given to a program", b)
	case have.shape.bytes() != len(data):
		return fmt.Errorf("download of %d bytes from %v", len(data), have.shape)
	}
	m, from := c.begin(wire.OpDownload)
	c.out = wire.End(wire.AppendUint(wire.AppendUint(m, uint64(b)), uint64(len(data))), from)
	if _, err := c.ask(); err != nil {
		return err
	}
	if len(data) <= len(c.shared) {
		copy(data, c.shared)
		return nil
	}
	for at := 0; at < len(data); {
		n := min(len(data)-at, len(c.shared))
		m, from := c.begin(wire.OpFetch)
		c.out = wire.End(wire.AppendUint(wire.AppendUint(m, uint64(at)), uint64(n)), from)
		if _, err := c.ask(); err != nil {
			return err
		}
		at += copy(data[at:], c.shared[:n])
	}
	return nil
}

// Free gives buffers back.
func (c *Client) Free(bs ...Buffer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		return c.dead
	}
	ids := make([]uint64, 0, len(bs))
	for _, b := range bs {
		if _, ok := c.buffers[b]; !ok {
			return fmt.Errorf("free: there is no buffer %d", b)
		}
		c.drop(b)
		ids = append(ids, uint64(b))
	}
	m, from := c.begin(wire.OpFree)
	return c.queue(wire.AppendIDs(m, ids), from)
}

// AnyDevice stands for the device that [Client.ExecuteOn] names.
const AnyDevice = -1

// CompileOptions say how to compile.
type CompileOptions struct {
	Device   int               // the first device that the program runs on; AnyDevice: it runs on one, whichever
	Replicas int               // how many; 0 is 1
	Flags    map[string]string // XLA's debug options by their names
	Name     string            // what errors call the program
}

func (o CompileOptions) wire() wire.CompileOptions {
	w := wire.CompileOptions{Device: o.Device, Replicas: max(o.Replicas, 1), Flags: inOrder(o.Flags)}
	if o.Device == AnyDevice {
		w.Device, w.Replicas = 0, 0
	}
	return w
}

// inOrder lists options by their names.
func inOrder[T any](options map[string]T) (list []wire.Option) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		list = append(list, wire.Option{Name: name, Value: options[name]})
	}
	return list
}

// Compile compiles a program in StableHLO's text.
func (c *Client) Compile(program []byte, o CompileOptions) (Executable, error) {
	s, err := readSignature(program)
	if err != nil {
		return 0, err
	}
	return c.load(wire.OpCompile, program, s, o)
}

// name is what errors call the program.
func (o CompileOptions) name() string { return cmp.Or(o.Name, "a program") }

func (c *Client) load(op wire.Op, data []byte, s signature, o CompileOptions) (Executable, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o.Replicas = max(o.Replicas, 1)
	if n := len(c.info.Devices); o.Device == AnyDevice && o.Replicas > 1 || o.Device != AnyDevice && (o.Device < 0 || o.Device >= n || o.Replicas > n-o.Device) {
		return 0, fmt.Errorf("a program on %d devices from device %d, and there are %d", o.Replicas, o.Device, n)
	}
	e := Executable(c.lastID.Add(1))
	m, from := c.begin(op)
	m, err := wire.AppendCompileOptions(wire.AppendUint(m, uint64(e)), o.wire())
	if err != nil {
		return 0, err
	}
	c.out = wire.End(wire.AppendBytes(m, data), from)
	what, patience := "load ", c.patient()
	if op == wire.OpCompile {
		what = "compile "
		if c.context != nil && c.context.Err() == nil { // else it is needed to save
			patience = 0
		}
	}
	f, err := c.askFor(what+o.name(), patience)
	if err != nil {
		return 0, err
	}
	if n := f.Uint(); int(n) != len(s.Results) {
		return 0, fmt.Errorf("the plugin has compiled a program of %d results, and its text has %d", n, len(s.Results))
	}
	c.executables[e] = executable{s, o.name(), o.Device, o.Replicas}
	return e, nil
}

// about asks something about an executable.
func (c *Client) about(op wire.Op, e Executable, read func(executable, *wire.Fields)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	have, ok := c.executables[e]
	if !ok && c.dead == nil {
		return fmt.Errorf("there is no executable %d", e)
	}
	m, from := c.begin(op)
	c.out = wire.End(wire.AppendUint(m, uint64(e)), from)
	f, err := c.ask()
	if err != nil {
		return err
	}
	read(have, f)
	return f.Err()
}

// Serialize returns what Deserialize makes the same executable of, with the same plugin.
func (c *Client) Serialize(e Executable) (data []byte, err error) {
	err = c.about(wire.OpSerialize, e, func(have executable, f *wire.Fields) {
		data = have.append(nil)
		data = append(data, f.Bytes()...)
	})
	return data, err
}

// Deserialize loads what Serialize returned.
func (c *Client) Deserialize(data []byte, o CompileOptions) (Executable, error) {
	s, rest, err := cutSignature(data)
	if err != nil {
		return 0, err
	}
	return c.load(wire.OpDeserialize, rest, s, o)
}

// Memory returns the plan of the plugin for an executable.
func (c *Client) Memory(e Executable) (plan Plan, err error) {
	err = c.about(wire.OpMemory, e, func(_ executable, f *wire.Fields) { plan = f.Plan() })
	return plan, err
}

// FreeExecutable gives an executable back.
func (c *Client) FreeExecutable(e Executable) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		return c.dead
	}
	if _, ok := c.executables[e]; !ok {
		return fmt.Errorf("there is no executable %d", e)
	}
	delete(c.executables, e)
	m, from := c.begin(wire.OpFreeExecutable)
	return c.queue(wire.AppendUint(m, uint64(e)), from)
}

// Execute runs e on all its replicas: args and results are by replica, and the caller names the results. What the program takes over of its
// arguments is to be freed as well. Execute does not wait for the computation.
func (c *Client) Execute(e Executable, args, results [][]Buffer) error {
	return c.execute(e, AnyDevice, args, results)
}

// ExecuteOn runs e, which was compiled for AnyDevice, on a device. It is as Execute besides.
func (c *Client) ExecuteOn(e Executable, device int, args, results []Buffer) error {
	if device < 0 || device >= len(c.info.Devices) {
		return fmt.Errorf("a program on device %d, and there are %d", device, len(c.info.Devices))
	}
	return c.execute(e, device, [][]Buffer{args}, [][]Buffer{results})
}

// execute runs e on its devices, or on the one that is named.
func (c *Client) execute(e Executable, named int, args, results [][]Buffer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		return c.dead
	}
	p, ok := c.executables[e]
	if !ok {
		return fmt.Errorf("there is no executable %d", e)
	}
	if len(args) != p.replicas || len(results) != p.replicas {
		return fmt.Errorf("arguments for %d and results of %d devices of a program that runs on %d", len(args), len(results), p.replicas)
	}
	first := p.device
	m, from := c.begin(wire.OpExecute)
	m = wire.AppendUint(m, uint64(e))
	switch {
	case (named == AnyDevice) == (first == AnyDevice):
		return fmt.Errorf("executable %d: Execute is for programs that have their devices, ExecuteOn for those that run on any", e)
	case first == AnyDevice:
		first = named
		m = wire.AppendUint(wire.AppendUint(m, 0), uint64(first))
	default:
		m = wire.AppendUint(m, uint64(p.replicas))
	}
	for r := range args {
		if err := c.check(&p, args[r], results[r], first+r); err != nil {
			return err
		}
		m = appendBuffers(appendBuffers(m, args[r]), results[r])
	}
	for r := range args {
		for i, b := range args[r] {
			if p.Donated[i] {
				have := c.buffers[b]
				have.donated = true
				c.keep(b, have)
			}
		}
		for i, b := range results[r] {
			c.keep(b, buffer{shape: &p.Results[i], device: first + r})
		}
	}
	c.out = wire.End(m, from)
	c.asked = "run " + p.name
	return c.flush()
}

// check compares what a program wants with what it is given.
func (c *Client) check(p *executable, args, results []Buffer, device int) error {
	if len(args) != len(p.Arguments) || len(results) != len(p.Results) {
		return fmt.Errorf("%d arguments and %d results of a program that has %d and %d", len(args), len(results), len(p.Arguments), len(p.Results))
	}
	for i, b := range args {
		have, ok := c.buffers[b]
		switch want := &p.Arguments[i]; {
		case !ok:
			return fmt.Errorf("argument %d: there is no buffer %d", i, b)
		case have.donated:
			return fmt.Errorf("argument %d: buffer %d was given to a program before", i, b)
		case have.device != device:
			return fmt.Errorf("argument %d: buffer %d is on device %d, want %d", i, b, have.device, device)
		case have.shape != want && !have.shape.equal(*want):
			return fmt.Errorf("argument %d: buffer %d is a %v, want %v", i, b, have.shape, want)
		}
	}
	for _, b := range results {
		if err := c.name(b); err != nil {
			return err
		}
	}
	return nil
}

func appendBuffers(m []byte, list []Buffer) []byte {
	m = wire.AppendUint(m, uint64(len(list)))
	last := Buffer(0)
	for _, b := range list {
		m = wire.AppendInt(m, int64(b-last))
		last = b
	}
	return m
}

// errClosed is what calls after Close return.
var errClosed = errors.New("the connection to unimo-xla is closed")

// Close ends the helper program. What runs is not waited for.
func (c *Client) Close() error {
	if c.closing.Swap(true) {
		return nil
	}
	c.hangUp() // the helper program ends, and who waits for an answer gets an error
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = errClosed
	c.helper.end()
	c.hanging.Lock()
	err := errors.Join(c.conn.Close(), wire.Unshare(c.shared))
	c.hungUp = true
	c.hanging.Unlock()
	c.shared = nil
	return err
}

// hangUp ends what both sides wait for. It may come late, from a timer: when the connection is closed its number may be that of another.
func (c *Client) hangUp() {
	c.hanging.Lock()
	defer c.hanging.Unlock()
	if !c.hungUp {
		c.conn.Shutdown()
	}
}
