package xla

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/programs"
)

// Precision says how factors of products are rounded. Everything else is float32.
type Precision int

// The precisions.
const (
	Float32  Precision = iota // not at all
	TF32                      // as the device likes: on NVIDIA's chips to 11 bits
	BFloat16                  // to 8 bits
)

// Options say how a device computes.
type Options struct {
	Precision Precision
	Flags     map[string]string // XLA's, for every program
	Memory    int64             // bytes that the device has; 0: what the plugin says
	Bound     Bound             // of the programs that are loaded
	Sizes     []engine.Size     // that batches are filled up to, as of [Sizes]; nil: each has its own on the grid
	Notify    func(Notice)      // is told of programs that are compiled, from within operations; nil: nobody
	Cache     *programs.Cache   // of compiled programs; nil: none
	CacheFor  func() string     // all that a program in the cache depends on, besides its text and flags
}

// Device records operations and runs them on a chip, through a plugin. It implements [engine.Device].
type Device struct {
	engine.Device // what is missing yet
	*shared
	chip   int // of the client
	heap   *heap
	trace  trace
	ledger ledger
	scope  *scope          // of what is made here; nil: none
	batch  batch           // whose tensors are made here
	steps  []*coefficients // of the optimiser's last steps
}

// shared is what a device and its forks have in common.
type shared struct {
	options Options
	client  *pjrt.Client
	first   int   // of the client's chips that are used
	team    *team // nil: one chip alone is used

	mu       sync.Mutex
	programs map[uint64]*program
	loaded   Bound        // what is loaded now
	clock    int          // uses of programs
	asked    atomic.Int64 // multiplications of rows with weights
	padded   atomic.Int64 // those of rows that were added to them

	counting sync.Mutex // of the stats, which somebody may want to see while a program is compiled
	stats    Stats

	generator generator
}

// Stats count what a device and its forks have done.
type Stats struct {
	Compiled  int           // programs
	Loaded    int           // programs, from the cache
	Unloaded  int           // programs, to load them or compile them again
	Compiling time.Duration // writing and compiling or loading them
	Ran       int           // programs, each run counted
	Downloads int           // of numbers, several tensors at a time or one
	Memory    int64         // the most that a program needed, with all else that lay there; 0 where the plugin does not say
	Padding   float64       // share of the work that was done for rows beyond those of the batches, in products with weights
}

// New returns a device on the first chip of a client.
func New(c *pjrt.Client, o Options) *Device {
	return newDevice(&shared{options: o, client: c, programs: map[uint64]*program{}}, 0, newHeap())
}

// NewTeam returns devices on n chips of a client, from the first on, which have their programs in common and sum what they have.
func NewTeam(c *pjrt.Client, first, n int, o Options) []*Device {
	s := &shared{options: o, client: c, first: first, programs: map[uint64]*program{}}
	if n > 1 {
		s.team = &team{size: n, offers: make([][]*memory, n)}
	}
	devices := make([]*Device, n)
	for i := range devices {
		devices[i] = newDevice(s, first+i, newHeap())
	}
	return devices
}

func newHeap() *heap { return &heap{readers: map[pjrt.Buffer]int{}} }

func newDevice(s *shared, chip int, h *heap) *Device {
	d := &Device{shared: s, chip: chip, heap: h}
	d.trace = trace{shared: s, heap: h, chip: chip, precision: s.options.Precision, recording: recording{known: map[key]int{}, read: map[*memory]read{}}}
	return d
}

// Stats returns what was done until now.
func (d *Device) Stats() Stats {
	d.counting.Lock()
	defer d.counting.Unlock()
	s := d.stats
	if asked, padded := d.asked.Load(), d.padded.Load(); padded > 0 {
		s.Padding = float64(padded) / float64(asked+padded)
	}
	return s
}

// Name implements [engine.Device].
func (d *Device) Name() string {
	info := d.client.Info()
	name := fmt.Sprintf("%s (%s)", info.Platform, info.Devices[d.chip].Kind)
	if n := d.Joined(); n > 1 {
		name = fmt.Sprintf("%d x %s", n, name)
	}
	return name
}

// Limit implements [engine.Device]: the host's loops have all threads.
func (d *Device) Limit() parallel.Limit { return 0 }

// Room returns how many numbers the device's memory has of a tensor; see [engine.Room].
func (d *Device) Room(t *engine.Tensor) int { return of(t).room * t.Cols }

// Fits says whether batches are filled up to fixed sizes; see [engine.Fits].
func (d *Device) Fits() bool { return d.options.Sizes != nil }

// Fit makes room for a batch; see [engine.Fit].
func (d *Device) Fit(s engine.Size) { d.batch = batch{is: s, becomes: Smallest(d.options.Sizes, s)} }

// Fill makes room for as much as it is told; see [engine.Fill].
func (d *Device) Fill(is, to engine.Size) {
	d.batch = batch{is: is}
	if d.Fits() {
		d.batch.becomes = to
	}
}

// FitParts says what tensors are; see [engine.FitParts].
func (d *Device) FitParts(parts bool) { d.batch.parts = parts }

// Fork implements [engine.Device].
func (d *Device) Fork() engine.Device { return d.fork() }

func (d *Device) fork() *Device {
	f := newDevice(d.shared, d.chip, d.heap)
	f.scope, f.trace.precision = d.scope, d.trace.precision
	return f
}

// Exact implements what [engine.Exact] asks for.
func (d *Device) Exact() engine.Device {
	f := d.fork()
	f.trace.precision = Float32
	return f
}

// count changes the stats.
func (s *shared) count(change func(s *Stats)) {
	s.counting.Lock()
	defer s.counting.Unlock()
	change(&s.stats)
}

func (s *shared) ran() { s.count(func(s *Stats) { s.Ran++ }) }

// download waits for the numbers of a buffer.
func (s *shared) download(b pjrt.Buffer, to []float32) {
	s.count(func(s *Stats) { s.Downloads++ })
	must(s.client.Download(b, bytesOf(to)))
}
