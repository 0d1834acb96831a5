package run

import (
	"errors"
	"sync"

	"github.com/unimo-go/unimo/internal/compute/nn"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model/modeldir"
)

// Shared are folders of models that are opened several times, as for several tasks, on one device: the folder is read, and its weights are
// prepared, once for all, and so is what sees the pictures. What was opened of them must not be used at once. It is closed after all of that.
type Shared struct {
	folders map[string]*modeldir.Model
	eyes    map[string]OpenExtractor
	close   []func() error
}

// OpenExtractor returns what makes regions of pictures.
type OpenExtractor func() (regions.Extractor, error)

// Folder returns the model folder dir, or the best model of a run's folder.
func (s *Shared) Folder(dir string) (*modeldir.Model, error) {
	if s == nil {
		return modeldir.Open(dir)
	}
	dir = modeldir.Resolve(dir)
	if s.folders[dir] == nil {
		m, err := modeldir.Open(dir)
		if err != nil {
			return nil, err
		}
		s.close = append(s.close, m.Weights.Close)
		m.Weights = nn.NewShared(m.Weights)
		if s.folders == nil {
			s.folders = map[string]*modeldir.Model{}
		}
		s.folders[dir] = m
	}
	view := *s.folders[dir] // of which a task changes what is its own
	return &view, nil
}

// Checkpoint returns a folder as a checkpoint to go on from.
func (s *Shared) Checkpoint(dir string) (*modeldir.Checkpoint, error) {
	if s != nil {
		if m := s.folders[modeldir.Resolve(dir)]; m != nil {
			return m.Checkpoint(), nil
		}
	}
	return modeldir.OpenCheckpoint(dir)
}

// Extractor returns open, which opens a folder's or a file's extractor, as a function that does so once for all who ask for the same.
func (s *Shared) Extractor(path string, open OpenExtractor) OpenExtractor {
	once := OpenExtractor(sync.OnceValues(open))
	if s == nil {
		return once
	}
	if known := s.eyes[path]; known != nil {
		return known
	}
	if s.eyes == nil {
		s.eyes = map[string]OpenExtractor{}
	}
	s.eyes[path] = once
	return once
}

// Close closes the folders.
func (s *Shared) Close() error {
	var errs []error
	for _, f := range s.close {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
