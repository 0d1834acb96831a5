package run

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model/modeldir"
)

// Folders are those that a process has models open from. Models of one folder that compute alike have one [Shared], and one device: from the first
// that is opened to the last that is closed. The zero value has none. It is safe for concurrent use.
type Folders struct {
	mu   sync.Mutex
	open map[place]*common
}

// place is where models are opened from, and what they compute with.
type place struct {
	dir, extractor string
	device         device.Choice
	threads        int
}

// common is what the models of a place have in common.
type common struct {
	ready   chan struct{} // closed when the device is open, or cannot be opened
	err     error         // why it cannot
	device  *device.Device
	shared  *Shared
	files   listing    // of the place, before anything was opened
	opening sync.Mutex // of models, one after the other
	users   int        // that may not have begun yet
}

// Open has open open a model from the folder dir, or of [Env.Extractor] alone, on a device. Once the model is closed, leave is called.
func (f *Folders) Open(dir string, on device.Choice, env Env, open func(env Env) error) (leave func() error, err error) {
	at := place{extractor: env.Extractor, threads: env.Threads}
	if at.device, err = on.Absolute(); err != nil {
		return nil, err
	}
	if on.Accelerated() {
		at.threads = 0
	}
	if dir != "" {
		at.dir = identity(modeldir.Resolve(dir))
	}
	if at.extractor != "" {
		at.extractor = identity(modeldir.Resolve(at.extractor))
	}
	c, err := f.take(at)
	if err != nil {
		return nil, err
	}
	own, free := engine.Scope(c.device.Fork()) // what a model has beside its weights goes with it
	leave = func() error {
		free()
		return f.leave(at, c)
	}
	env.Device, env.Shared = own, c.shared
	c.opening.Lock()
	defer c.opening.Unlock()
	if err := engine.Guard(func() error { return open(env) }); err != nil {
		return nil, errors.Join(err, leave())
	}
	return leave, nil
}

// take returns what the models of a place have in common, which is opened where there is none, the device was lost or the files are others now.
func (f *Folders) take(at place) (*common, error) {
	for {
		c, first := f.join(at)
		if first {
			c.files = at.files()
			if c.device, c.err = device.Open(at.device, device.Options{Threads: at.threads}); c.err == nil {
				c.shared = NewShared(c.device.Device)
			}
			close(c.ready)
		}
		<-c.ready
		if c.err == nil && (first || c.device.Lost() == nil && c.files.same(at.files())) {
			return c, nil
		}
		f.forget(at, c)
		if err := f.leave(at, c); first {
			return nil, cmp.Or(c.err, err)
		}
	}
}

// join adds a user to what a place has; the first has to open it.
func (f *Folders) join(at place) (c *common, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open = map[place]*common{}
	}
	if c = f.open[at]; c == nil {
		first = true
		c = &common{ready: make(chan struct{})}
		f.open[at] = c
	}
	c.users++
	return c, first
}

// forget has nobody join any more.
func (f *Folders) forget(at place, c *common) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[at] == c {
		delete(f.open, at)
	}
}

// leave takes a user away. The last one closes what the place has.
func (f *Folders) leave(at place, c *common) error {
	f.mu.Lock()
	c.users--
	last := c.users == 0
	if last && f.open[at] == c {
		delete(f.open, at)
	}
	f.mu.Unlock()
	if !last || c.err != nil {
		return nil
	}
	return errors.Join(c.shared.Close(), c.device.Close())
}

// files are those that models of the place are opened from, and what lies beside them, as they are now.
func (at place) files() listing {
	list := listing{}
	for _, path := range []string{at.dir, at.extractor} {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			list.add(filepath.Dir(path), 0)
		} else if err == nil {
			list.add(path, 1) // a folder of sentence-transformers has the encoder in one of its own
		}
	}
	return list
}

// listing is files by their paths.
type listing map[string]fs.FileInfo

// add lists the files of a folder, and of its folders down to a depth. What cannot be read is left to who opens it.
func (l listing) add(dir string, depth int) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path) // of what a link names
		switch {
		case err != nil || infile.Hidden(e.Name()):
		case info.IsDir() && depth > 0:
			l.add(path, depth-1)
		case info.Mode().IsRegular():
			l[path] = info
		}
	}
}

// same says whether both list the same files, which nobody has written to in between.
func (l listing) same(other listing) bool {
	return maps.EqualFunc(l, other, func(a, b fs.FileInfo) bool {
		return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
	})
}
