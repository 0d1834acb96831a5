package run

import (
	"errors"
	"path/filepath"
	"sync"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/nn"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model/modeldir"
)

// Shared is what models have in common that are opened from one folder, as for several tasks, on one device: the folder is read, and its
// weights are prepared, once for all, and so is what sees the pictures. They are opened one after the other, and may be used at once. It is closed
// after all of them. A model without one shares nothing.
type Shared struct {
	device      engine.Device // that has the weights
	folders     map[string]*modeldir.Model
	checkpoints map[string]*modeldir.Checkpoint
	eyes        map[string]func() (regions.Extractor, error)
	close       []func() error
}

// NewShared returns what models share whose weights lie on d. They compute on it, or on devices with the same memory.
func NewShared(d engine.Device) *Shared {
	return &Shared{
		device: d, folders: map[string]*modeldir.Model{}, checkpoints: map[string]*modeldir.Checkpoint{},
		eyes: map[string]func() (regions.Extractor, error){},
	}
}

// Folder returns the model folder dir, or the best model of a run's folder.
func (s *Shared) Folder(dir string) (*modeldir.Model, error) {
	if s == nil {
		return modeldir.Open(dir)
	}
	dir = modeldir.Resolve(dir)
	id := identity(dir)
	if s.folders[id] == nil {
		m, err := modeldir.Open(dir)
		if err != nil {
			return nil, err
		}
		s.close = append(s.close, m.Weights.Close)
		m.Weights = nn.NewShared(s.device, m.Weights)
		s.folders[id] = m
	}
	view := *s.folders[id] // of which a task changes what is its own
	view.Dir = dir
	return &view, nil
}

// Checkpoint returns a folder as a checkpoint to go on from.
func (s *Shared) Checkpoint(dir string) (*modeldir.Checkpoint, error) {
	if s == nil {
		return modeldir.OpenCheckpoint(dir)
	}
	id := identity(modeldir.Resolve(dir))
	if m := s.folders[id]; m != nil {
		return m.Checkpoint(), nil
	}
	if s.checkpoints[id] == nil {
		c, err := modeldir.OpenCheckpoint(dir)
		if err != nil {
			return nil, err
		}
		s.close = append(s.close, c.Weights.Close)
		if !c.Imported { // a model of this program, whose tasks have its weights, too
			if m, err := s.Folder(dir); err == nil {
				return m.Checkpoint(), nil
			}
		}
		c.Weights = nn.NewShared(s.device, c.Weights)
		s.checkpoints[id] = c
	}
	view := *s.checkpoints[id]
	return &view, nil
}

// OpenExtractor opens what makes regions of pictures, as it computes on a device.
type OpenExtractor func(d engine.Device) (regions.Extractor, error)

// Extractor returns what open opens of a folder or a file, when it is asked for first: once for all who share it. It is on the device d where nobody
// else does.
func (s *Shared) Extractor(path string, d engine.Device, open OpenExtractor) func() (regions.Extractor, error) {
	if s == nil {
		return lazily(d, open)
	}
	id := identity(path)
	if s.eyes[id] == nil {
		s.eyes[id] = lazily(s.device, open)
	}
	return s.eyes[id]
}

// lazily opens what it returns when it is asked for first, and again where that failed.
func lazily(d engine.Device, open OpenExtractor) func() (regions.Extractor, error) {
	var mu sync.Mutex
	var opened regions.Extractor
	return func() (regions.Extractor, error) {
		mu.Lock()
		defer mu.Unlock()
		if opened == nil {
			x, err := open(d)
			if err != nil {
				return nil, err
			}
			opened = x
		}
		return opened, nil
	}
}

// Close closes the folders.
func (s *Shared) Close() error {
	var errs []error
	for _, f := range s.close {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// identity is the same for all paths of a file or a folder.
func identity(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return path
}
