package unimo

import (
	"fmt"
	"io/fs"

	"github.com/unimo-go/unimo/internal/run"
)

// Option changes how a model is opened.
type Option func(*options) error

type options struct {
	threads int
	task    string
}

// ForTask opens the task of that name of a model for several. Without it the task is opened whose models are what the
// function opens: [Open] takes the one that classifies, [OpenGenerator] the one that writes texts. Where more than one
// is, an error lists them, and so it does with a name that the model does not have; they are [ErrSetting].
func ForTask(name string) Option {
	return func(o *options) error {
		o.task = name
		return nil
	}
}

// Threads bounds the threads that a model computes with, so that a server keeps cores for other work. Without it
// there is one per core. Results do not depend on it.
func Threads(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return &settingError{fmt.Errorf("threads is %d; want 1 or more", n)}
		}
		o.threads = n
		return nil
	}
}

// environment is what the model in the folder dir has from outside. No folder is an error: it would be the current one.
func environment(dir string, list []Option) (run.Env, error) {
	if dir == "" {
		return run.Env{}, &settingError{fmt.Errorf("no folder (%w); name that of a model, of a run, or of an index", fs.ErrNotExist)}
	}
	var o options
	for _, set := range list {
		if set == nil {
			continue
		}
		if err := set(&o); err != nil {
			return run.Env{}, err
		}
	}
	return run.Env{Threads: o.threads, Task: o.task}, nil
}
