package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks"
)

// Source is a model's folder, or a run's, and the name that requests call it by.
type Source struct{ Name, Dir string }

// SourceOf returns the source of NAME=DIR, or of DIR alone, whose name is that of the folder. DIR may be the name of a model that was fetched.
func SourceOf(arg string) (Source, error) {
	name, dir, ok := strings.Cut(arg, "=")
	if n, err := hub.Parse(arg); err == nil { // which may have an equals sign of its own
		name, dir = n.Short(), arg
	} else if !ok {
		dir = arg
		path := filepath.Clean(dir)
		if path, err := filepath.Abs(path); err == nil {
			name = filepath.Base(path)
			if name == "best" { // of a run
				name = filepath.Base(filepath.Dir(path))
			}
		}
	}
	switch {
	case dir == "":
		return Source{}, fmt.Errorf("%q names no folder; want DIR or NAME=DIR", arg)
	case name == "" || len(name) > 200 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return Source{}, fmt.Errorf("%q is no name of a model; want one without spaces, as in NAME=DIR", name)
	}
	return Source{name, dir}, nil
}

// Options say what a [Registry] serves.
type Options struct {
	Tasks     run.Tasks     // whose models are served; nil: all that there are
	Models    []Source      // the first is that of requests which name none
	Index     string        // folder of the index that the model which made it searches; "": none
	Device    device.Choice // that models are on; the zero value is the processor
	WarmUp    string        // one of [WarmUps]: what an accelerator prepares before a model answers; "": [WarmUpCommon]
	Queue     int           // texts, pictures and pairs that may wait for a model; 0: [DefaultQueue]
	MaxTokens int           // tokens and regions of a request; 0: [DefaultTokens]
	MaxPixels int           // of a picture; 0: 50 million
	Log       *slog.Logger
	Observer  Observer
}

// How much may wait for a model, and how long a request may be, where nothing else is said: 256 texts of 512 tokens.
const (
	DefaultQueue  = 1024
	DefaultTokens = 1 << 17
)

// Registry has the open models. It implements [Models].
type Registry struct {
	o        Options
	gate     chan struct{} // a batch in a model holds a place; one model cannot hold all
	decoding chan struct{} // and a picture that is decoded
	lanes    lanes
	loading  sync.Mutex // one at a time

	rounding *device.Device // the processor, where it rounds to bfloat16; else nil

	wanted context.Context // ends when nobody waits for the accelerator any more
	giveUp func()

	closing sync.WaitGroup // models that are closed behind the last call that used them

	mu       sync.Mutex
	folders  map[string]*folder
	device   *chip // that models are loaded onto; nil: the processor, or there is none yet
	draining bool
	closed   bool
}

// Busy is an [*Error] of kind [Overloaded] where every model's queue is full.
func (r *Registry) Busy() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var last *queue
	for _, f := range r.folders {
		if last = f.queue; !last.full() {
			return nil
		}
	}
	if last == nil {
		return nil
	}
	last.mu.Lock()
	defer last.mu.Unlock()
	return last.room(1)
}

// New returns a registry without models: [Registry.Load] opens them.
func New(o Options) (*Registry, error) {
	if len(o.Models) == 0 {
		return nil, errors.New("no model to serve; name one")
	}
	seen := map[string]bool{}
	for _, s := range o.Models {
		if seen[s.Name] {
			return nil, fmt.Errorf("two models are called %s; give them names, as in NAME=DIR", s.Name)
		}
		seen[s.Name] = true
	}
	if o.Device == (device.Choice{}) {
		o.Device = device.Default
	}
	if err := o.Device.Check(); err != nil {
		return nil, err
	}
	if o.WarmUp = cmp.Or(o.WarmUp, WarmUpCommon); !slices.Contains(WarmUps, o.WarmUp) {
		return nil, names.Unknown("warm-up", o.WarmUp, WarmUps)
	}
	if o.Queue == 0 {
		o.Queue = DefaultQueue
	}
	if o.Tasks == nil {
		o.Tasks = tasks.All
	}
	o.MaxTokens = cmp.Or(o.MaxTokens, DefaultTokens)
	o.MaxPixels = cmp.Or(o.MaxPixels, picture.DefaultLimits.MaxPixels)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = silent{}
	}
	threads := parallel.Threads()
	l := lanes{number: threads, beside: threads, rows: batchRows}
	if o.Device.Accelerated() {
		l = acceleratorLanes
	}
	var rounding *device.Device
	if !o.Device.Accelerated() && o.Device.Precision == device.BFloat16 {
		var err error
		if rounding, err = device.Open(o.Device, device.Options{Log: o.Log}); err != nil {
			return nil, err
		}
	}
	wanted, giveUp := context.WithCancel(context.Background())
	return &Registry{o: o, rounding: rounding, wanted: wanted, giveUp: giveUp, gate: make(chan struct{}, 2*l.number-1), lanes: l, decoding: make(chan struct{}, threads), folders: map[string]*folder{}}, nil
}

// Load opens all models, or opens them again: requests that come meanwhile are answered by the old ones, and so are those that came before. A
// model that cannot be opened again stays as it was. The error says which could not be opened.
func (r *Registry) Load(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	defer context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.folders) == 0 { // else its models answer what has come
			r.giveUp()
		}
	})()
	if err := r.openDevice(); err != nil {
		return err
	}
	var errs []error
	found := false
	for _, s := range r.o.Models {
		if err := ctx.Err(); err != nil {
			return err
		}
		begin := time.Now()
		f, err := r.open(ctx, s)
		r.o.Observer.Loaded(s.Name, time.Since(begin), err)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = found || slices.ContainsFunc(f.heads, func(h *head) bool { return h.index != nil })
		if err := r.replace(f); err != nil {
			errs = append(errs, err)
		}
	}
	if err := r.Lost(); err != nil && errs == nil { // with the last model, or since
		errs = append(errs, fmt.Errorf("device %s was lost while models were being loaded: %w", r.o.Device.Device, err))
	}
	if r.o.Index != "" && !found && errs == nil {
		_, err := rank.ReadIndexInfo(r.o.Index)
		if err == nil {
			err = fmt.Errorf("index %s was made by none of these models; name the one that made it, or make the index again", r.o.Index)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// replace gives a model the place of the one of its name.
func (r *Registry) replace(f *folder) error {
	r.mu.Lock()
	old := r.folders[f.name]
	if r.closed {
		old = f
	} else {
		r.folders[f.name] = f
	}
	return r.retire(old)
}

// retire closes a model when no call uses it. It unlocks the registry.
func (r *Registry) retire(f *folder) error {
	idle := f != nil && f.users == 0
	if f != nil {
		f.retired = true
	}
	r.mu.Unlock()
	if idle {
		return f.close()
	}
	return nil
}

// Abandon says that nobody waits for the models any more. What is being loaded, or compiled, ends.
func (r *Registry) Abandon() { r.giveUp() }

// Drain says that the server is about to end: [Registry.Ready] is an error from now on. Models go on answering, also about themselves.
func (r *Registry) Drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = true
}

// Close closes the models, each once no call uses it any more. Calls that come later are [Unavailable].
func (r *Registry) Close() error {
	r.giveUp()
	r.loading.Lock()
	defer r.loading.Unlock()
	r.mu.Lock()
	r.closed = true
	all := r.folders
	r.folders = map[string]*folder{}
	r.mu.Unlock()
	var errs []error
	for _, f := range all {
		r.mu.Lock()
		errs = append(errs, r.retire(f))
	}
	r.closing.Wait()
	return errors.Join(append(errs, r.chip().leave())...)
}

// Ready implements [Models].
func (r *Registry) Ready() error {
	r.mu.Lock()
	draining := r.draining
	r.mu.Unlock()
	if draining {
		return errEnding()
	}
	return r.Loaded()
}

func errEnding() *Error { return &Error{Kind: Unavailable, Message: "the server is about to end"} }

// Loaded implements [Models].
func (r *Registry) Loaded() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return errEnding()
	case r.device.lost() != nil:
		return errLost(nil)
	case len(r.folders) < len(r.o.Models):
		return &Error{Kind: Unavailable, Message: "models are being loaded", RetryAfter: time.Second}
	}
	for _, f := range r.folders {
		if f.device.lost() != nil { // and another one is open, onto which the model is not loaded yet
			return errLost(nil)
		}
	}
	return nil
}

// find returns the place of a model that a name means, and the task of it.
func (r *Registry) find(name string) (id, task string, err error) {
	if name == "" {
		return r.o.Models[0].Name, "", nil
	}
	has := func(name string) bool {
		return slices.ContainsFunc(r.o.Models, func(s Source) bool { return s.Name == name })
	}
	if has(name) {
		return name, "", nil
	}
	if i := strings.LastIndexByte(name, '/'); i > 0 && has(name[:i]) {
		return name[:i], name[i+1:], nil
	}
	var names []string
	for _, s := range r.o.Models {
		names = append(names, s.Name)
	}
	return "", "", Errorf(NotFound, "model", "no model is called %.100q; there is %s", name, strings.Join(names, ", "))
}

// use lets work have a model, which is not closed meanwhile.
func (r *Registry) use(name string, work func(v view) error) error {
	id, task, err := r.find(name)
	if err != nil {
		return err
	}
	r.mu.Lock()
	f := r.folders[id]
	switch {
	case r.closed:
		err = errEnding()
	case f == nil:
		err = &Error{Kind: Unavailable, Message: fmt.Sprintf("model %s is being loaded; try again", id), RetryAfter: time.Second}
	case f.device.lost() != nil:
		err = errLost(nil) // the log has said why
	default:
		f.users++
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	defer func() {
		r.mu.Lock()
		if f.users--; f.users > 0 || !f.retired {
			r.mu.Unlock()
			return
		}
		end := func() {
			if err := f.close(); err != nil {
				r.o.Log.Error("close a model", "model", id, "error", err)
			}
		}
		if r.closed {
			defer end()
		} else {
			r.closing.Go(end) // the answer need not wait for it
		}
		r.mu.Unlock()
	}()
	v, ok := f.view(task)
	if !ok {
		return Errorf(NotFound, "model", "model %s has no task %.100q; it has %s", id, task, strings.Join(f.tasks, ", "))
	}
	if err = engine.Guard(func() error { return work(v) }); err != nil {
		e := AsError(err)
		if e.Kind == Internal || e.Kind == Unavailable && e.Err != nil {
			r.o.Log.Error("a request failed", "model", v.id, "error", e.Unwrap())
		}
		return e
	}
	return nil
}

// Model implements [Models].
func (r *Registry) Model(name string) (Model, error) {
	m := &served{r, name, Info{}}
	if err := r.use(name, func(v view) error { m.info = v.info(); return nil }); err != nil {
		return nil, err
	}
	return m, nil
}

// List implements [Models]: models for several tasks are followed by each of these.
func (r *Registry) List() []Info {
	var list []Info
	for _, s := range r.o.Models {
		r.use(s.Name, func(v view) error {
			list = append(list, v.info())
			for _, task := range v.tasks {
				one, _ := v.folder.view(task)
				list = append(list, one.info())
			}
			return nil
		})
	}
	return list
}
