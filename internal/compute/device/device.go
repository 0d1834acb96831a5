// Package device opens what a user chooses to compute with: the processor, or an accelerator through a plugin of the PJRT interface.
package device

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/engine/xla"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/programs"
	"github.com/unimo-go/unimo/internal/hub"
)

// MemoryVariable is the environment variable that bounds the memory of an accelerator, in bytes: for plugins that do not say how much there
// is, and to leave some to other programs.
const MemoryVariable = "UNIMO_DEVICE_MEMORY"

// Options are what a device has from outside, beside the choice.
type Options struct {
	Threads int              // of the processor; 0: those of the process
	Log     *slog.Logger     // nil: nothing is logged
	Notify  func(xla.Notice) // is told of programs that are compiled; nil: nobody
	Sizes   []engine.Size    // that an accelerator fills batches up to; nil: each has its own

	// Context ends what an accelerator is waited for: a compilation at once, anything else Patience later; see [pjrt.Options].
	Context  context.Context
	Patience time.Duration
}

// Device is an open device.
type Device struct {
	engine.Device
	Precision string // of products; never Auto
	team      []*xla.Device
	client    *pjrt.Client
	chip      string // which kind it is
	stats     func() xla.Stats
}

// CPU returns the processor, with as many threads as the limit says.
func CPU(limit parallel.Limit) engine.Device { return cpu.NewLimited(limit) }

// Open opens the device that c chooses.
func Open(c Choice, o Options) (*Device, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	t, err := parse(c.Device)
	if err != nil {
		return nil, err
	}
	if t.kind == Processor {
		return processor(c, o), nil
	}
	d, err := open(t, c, o)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", c.Device, err)
	}
	return d, nil
}

// processor returns the processor. With bf16 it multiplies matrices that are kept in bfloat16 by its own instructions, where they are fast.
func processor(c Choice, o Options) *Device {
	limit := parallel.Limit(o.Threads)
	if c.Precision == BFloat16 {
		if rounding := cpu.NewRounding(limit); rounding != nil {
			return &Device{Device: rounding, Precision: BFloat16}
		}
		if o.Log != nil {
			o.Log.Warn("precision  this processor has no products of bfloat16 that are faster than those of float32, which are computed instead")
		}
	}
	return &Device{Device: CPU(limit), Precision: Float32}
}

func open(t target, c Choice, o Options) (*Device, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	memory, err := memoryLimit(os.Getenv(MemoryVariable))
	if err != nil {
		return nil, err
	}
	path := t.path
	if path == "" {
		plugin, err := pjrt.FindKind(t.kind)
		if err != nil {
			return nil, err
		}
		path = plugin.Path
	} else if f, err := infile.Open(path); err != nil {
		return nil, misread(t, err)
	} else {
		f.Close()
	}
	if path, err = filepath.Abs(path); err != nil { // else it is looked for among the system's libraries
		return nil, err
	}
	if n := max(t.number, 0) + c.Devices; pretended(t, path) && n > mostPretended {
		return nil, fmt.Errorf("%d devices of a plugin for the processor, each of which has threads and memory: want %d at most", n, mostPretended)
	}
	options := clientOptions(t, path, c.Devices)
	client, err := pjrt.Start(pjrt.Options{Plugin: path, Client: options, Log: &lines{o.Log}, Context: o.Context, Patience: o.Patience})
	if own, ok := errors.AsType[*pjrt.Error](err); ok && t.path == "" && !strings.Contains(own.Message, path) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	if err != nil {
		return nil, err
	}
	info := client.Info()
	first := max(t.number, 0)
	if gpu(t, path) {
		first = 0 // of those that the client sees
	}
	switch n := len(info.Devices); {
	case n == 0:
		err = fmt.Errorf("plugin %s has no device here", path)
	case first >= n:
		err = fmt.Errorf("there is no device %d: plugin %s has %d here, and the first is 0", first, path, n)
	case n-first < c.Devices:
		err = fmt.Errorf("devices is %d, and plugin %s has %d here from number %d on", c.Devices, path, n-first, first)
	}
	if err != nil {
		client.Close()
		return nil, err
	}
	chip, precision := info.Devices[first].Kind, c.Precision
	if precision == Auto {
		precision = best(info.Platform, chip)
	}
	team := xla.NewTeam(client, first, c.Devices, xla.Options{
		Precision: map[string]xla.Precision{Float32: xla.Float32, TF32: xla.TF32, BFloat16: xla.BFloat16}[precision],
		Flags:     flags(info.Platform),
		Memory:    memory, Bound: bound(info.Platform), Notify: o.Notify, Sizes: o.Sizes,
		Cache:    cache(os.Getenv, o.Log),
		CacheFor: sync.OnceValue(func() string { return identity(path, info, chip, options, os.Getenv(flagsVariable)) }),
	})
	return &Device{Device: team[0], Precision: precision, team: team, client: client, chip: chip, stats: team[0].Stats}, nil
}

// misread adds to the error of a plugin's file what is meant by the last colon of its name, where the file is there with or without it.
func misread(t target, err error) error {
	there := func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.Mode().IsRegular()
	}
	if whole := fmt.Sprintf("%s:%d", t.path, t.number); t.number >= 0 && there(whole) {
		return fmt.Errorf("%w; for the file %s name a device of it, too: %s:0", err, whole, whole)
	}
	if i := strings.LastIndexByte(t.path, ':'); t.number < 0 && i >= 0 && there(t.path[:i]) {
		return fmt.Errorf("%s: %q is no number of a device; write 0 or more behind the colon", t.path[:i], t.path[i+1:])
	}
	return err
}

// cacheBytes bounds the folder of compiled programs. One of a training step of the base model has some 4 to 20 MB.
const cacheBytes = 2 << 30

// cache returns that of compiled programs; nil where nothing says whose folder it would be: they are run, and below the current folder may lie
// anybody's.
func cache(env func(string) string, log *slog.Logger) *programs.Cache {
	own := hub.FromEnv(env).Own
	if env("UNIMO_CACHE") == "" && !filepath.IsAbs(own) {
		log.Warn("compiled programs are not kept: there is no home folder; name a folder with UNIMO_CACHE")
		return nil
	}
	return programs.Open(filepath.Join(own, "programs"), cacheBytes, log)
}

// flagsVariable is the environment variable that plugins read: XLA's flags, or a file that has them.
const flagsVariable = "XLA_FLAGS"

// Nth returns the n-th, from 0, of the devices that were opened together. They are closed together.
func (d *Device) Nth(n int) *Device {
	nth := *d
	nth.Device = d.team[n]
	return &nth
}

// ForModel returns a device of the same kind for a model: on the processor one of its own, whose memory goes with the model.
func (d *Device) ForModel() engine.Device {
	if own, ok := d.Device.(*cpu.Device); ok {
		return own.Another()
	}
	return d.Fork()
}

// Accelerated says whether it is not the processor.
func (d *Device) Accelerated() bool { return d.client != nil }

// About says what computes, for people.
func (d *Device) About() string {
	if !d.Accelerated() {
		return d.Name()
	}
	return fmt.Sprintf("%s through a plugin, precision %s", d.Name(), d.Precision)
}

// Version says which accelerator it is, of which plugin; "" of the processor.
func (d *Device) Version() string {
	if !d.Accelerated() {
		return ""
	}
	info := d.client.Info()
	return strings.Join(strings.Fields(fmt.Sprintf("%s, %s %s, API %d.%d, StableHLO %s", d.chip, info.Platform, info.PlatformVersion, info.Major, info.Minor, info.StableHLO)), " ")
}

// Close ends what was started for the device. Its tensors are gone then.
func (d *Device) Close() error {
	if d == nil || d.client == nil {
		return nil
	}
	return d.client.Close()
}

// Lost says how the accelerator was lost, if it was: the program that has its plugin ended by itself, or was ended. It waits for nothing.
func (d *Device) Lost() error {
	if !d.Accelerated() {
		return nil
	}
	return d.client.Lost()
}

// IsLost says whether an error is that an accelerator was lost.
func IsLost(err error) bool { return errors.As(err, new(*pjrt.CrashError)) }

// Ended is closed when an accelerator is lost or closed. The processor's is nil.
func (d *Device) Ended() <-chan struct{} {
	if !d.Accelerated() {
		return nil
	}
	return d.client.Ended()
}

// Stats count what an accelerator has done; nothing of the processor.
func (d *Device) Stats() xla.Stats {
	if !d.Accelerated() {
		return xla.Stats{}
	}
	return d.stats()
}

// Held is how many buffers lie in an accelerator's memory, and their bytes; nothing of the processor.
func (d *Device) Held() (buffers int, bytes int64) {
	if !d.Accelerated() {
		return 0, 0
	}
	return d.Device.(*xla.Device).Held()
}

// Memory is the most of an accelerator's memory that was needed, by the plans of its programs; 0 of the processor and where that is not known.
func (d *Device) Memory() int64 {
	if !d.Accelerated() {
		return 0
	}
	return d.Stats().Memory
}

// Report says what was done on an accelerator; "" of the processor.
func (d *Device) Report() string {
	if !d.Accelerated() {
		return ""
	}
	s := d.stats()
	text := fmt.Sprintf("programs: %d compiled, %d from the cache, in %.1f s; run %d times", s.Compiled, s.Loaded, s.Compiling.Seconds(), s.Ran)
	if s.Unloaded > 0 {
		text += fmt.Sprintf("; %d unloaded to make room", s.Unloaded)
	}
	if s.Memory > 0 {
		text += "; up to " + engine.Bytes(s.Memory) + " of memory"
	}
	if s.Padding > 0 {
		text += fmt.Sprintf("; %.1f %% of the rows were padding", 100*s.Padding)
	}
	return text
}

// memoryLimit reads MemoryVariable.
func memoryLimit(value string) (int64, error) {
	if value == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s is %q, want a number of bytes", MemoryVariable, value)
	}
	return n, nil
}

// gpu says whether a plugin is for chips whose client has options for memory and for which of them are used.
func gpu(t target, path string) bool {
	name := filepath.Base(path)
	return t.kind == "cuda" || t.kind == "rocm" || strings.Contains(name, "cuda") || strings.Contains(name, "rocm")
}

// pretended says whether a plugin is for the processor, of which it makes as many devices as one likes.
func pretended(t target, path string) bool {
	return !gpu(t, path) && strings.Contains(filepath.Base(path), "cpu")
}

// mostPretended bounds them: with 32,768 a plugin had not begun after a minute.
const mostPretended = 64

// memoryShare is how much of a chip's memory may be used: the rest is the driver's and the libraries'.
const memoryShare = float32(0.95)

// clientOptions are those of a plugin's client for a number of devices. Memory is taken as it is needed: other programs may use the chips, too.
func clientOptions(t target, path string, devices int) map[string]any {
	if gpu(t, path) {
		var visible []int64
		for n := range devices {
			visible = append(visible, int64(max(t.number, 0)+n))
		}
		return map[string]any{"preallocate": false, "memory_fraction": memoryShare, "visible_devices": visible}
	}
	if n := max(t.number, 0) + devices; n > 1 && pretended(t, path) {
		return map[string]any{"cpu_device_count": int64(n)}
	}
	return nil
}

// bound says how many programs are loaded at once. On a processor they take places in the table of a process's memory, of which Linux gives
// 65,530: a megabyte of a program took 500 of them, at most 830, and 25 MB of memory.
func bound(platform string) xla.Bound {
	if platform == "cpu" {
		return xla.Bound{Programs: 64, Code: 64 << 20}
	}
	return xla.Bound{Programs: 256, Code: 1 << 30}
}

// flags are XLA's for every program: the same bits each time, where the chip's libraries would choose.
func flags(platform string) map[string]string {
	switch platform {
	case "cuda", "rocm":
		return map[string]string{"xla_gpu_exclude_nondeterministic_ops": "true"}
	}
	return nil
}

// older are NVIDIA's chips that have no units for bfloat16.
var older = regexp.MustCompile(`\b(V100|P100|P40|P4|T4|K80|M60|M40|TITAN|GTX|RTX 20\d\d|Quadro RTX)`)

// best is the precision that a chip is made for.
func best(platform, chip string) string {
	if platform == "cpu" || platform == "cuda" && older.MatchString(chip) {
		return Float32
	}
	return BFloat16
}

// identity is all that a compiled program depends on, beside its text: the plugin, its options, the chip, the machine's libraries, and XLA's flags
// from outside.
func identity(path string, info pjrt.Info, chip string, options map[string]any, flags string) string {
	text := fmt.Sprintf("%s %s %q %q", digest(path), info.Platform, info.PlatformVersion, chip)
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if name != "visible_devices" {
			text += fmt.Sprintf(" %s=%v", name, options[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(info.Attributes)) {
		text += fmt.Sprintf(" %q=%q", name, info.Attributes[name])
	}
	if info.Platform == "cpu" {
		text += " " + instructions()
	}
	if flags != "" {
		text += fmt.Sprintf(" %q", flags)
		if !strings.HasPrefix(strings.TrimSpace(flags), "-") {
			text += " " + digest(flags)
		}
	}
	return text
}

// instructions says which instructions the processor has, which programs for it are made of.
func instructions() string {
	raw, _ := infile.Read("/proc/cpuinfo", 16<<20)
	for line := range strings.Lines(string(raw)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "flags" || strings.TrimSpace(key) == "Features" {
			return runtime.GOARCH + strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// digest is the SHA-256 of a plugin's file. Of one that cannot be read it is one that no other has.
func digest(path string) string {
	f, err := infile.Open(path)
	if err != nil {
		return fmt.Sprint(time.Now().UnixNano())
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Sprint(time.Now().UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// lines logs what a plugin writes, as details.
type lines struct{ log *slog.Logger }

func (l *lines) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if line = strings.TrimSpace(line); line != "" {
			l.log.Debug("plugin: " + line)
		}
	}
	return len(p), nil
}
