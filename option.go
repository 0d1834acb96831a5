package unimo

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/run"
)

// Option changes how a model is opened.
type Option func(*options) error

type options struct {
	threads int
	task    string
	embed   embed.Options
	embeds  bool // one of them was given
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
	env, o, err := readOptions(dir, list)
	if err == nil && o.embeds {
		err = &settingError{errors.New("this kind of model has no pooling, normalisation or prompt (OpenEmbedder has); leave these options out")}
	}
	return env, err
}

// embedding is environment for [OpenEmbedder].
func embedding(dir string, list []Option) (run.Env, embed.Options, error) {
	env, o, err := readOptions(dir, list)
	return env, o.embed, err
}

func readOptions(dir string, list []Option) (run.Env, options, error) {
	var o options
	if dir == "" {
		return run.Env{}, o, &settingError{fmt.Errorf("no folder (%w); name that of a model, of a run, or of an index", fs.ErrNotExist)}
	}
	for _, set := range list {
		if set == nil {
			continue
		}
		if err := set(&o); err != nil {
			return run.Env{}, o, err
		}
	}
	return run.Env{Threads: o.threads, Task: o.task}, o, nil
}
