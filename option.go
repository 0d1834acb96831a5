package unimo

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
)

// Option changes how a model is opened.
type Option func(*options) error

type options struct {
	threads int
	device  device.Choice
	task    string
	sees    string // what --extractor names
	stores  StoreOpener
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

// Device names what a model computes with: "cpu", this machine's processor, without the option; "cuda", "rocm", "tpu" or "oneapi", an accelerator
// ("cuda:1" is the second); "pjrt:PATH", the one of a plugin's file. A plugin has to be there, and the program unimo-xla ("unimo devices" says
// what is). Models that are opened from one folder share it, in a process that ends when the last of them is closed; those of another folder have
// another. An unknown name is [ErrSetting].
func Device(name string) Option {
	return func(o *options) error {
		o.device.Device = name
		return nil
	}
}

// Precision says how the factors of products are rounded on a [Device]: "float32", not at all; "tf32"; "bf16"; or "auto", the best that the chip
// is made for, without the option. On the processor "bf16" is for weights that are kept in bfloat16, and "auto" is "float32". Another name is
// [ErrSetting], and so is "tf32" on the processor.
func Precision(name string) Option {
	return func(o *options) error {
		o.device.Precision = name
		return nil
	}
}

// Extractor names what sees the pictures of a model whose folder does not have it, or [OpenEmbedder]'s without a folder: the file or folder
// of a trained network, or of a model that has one. One that is not what the model was trained with is an error.
func Extractor(path string) Option {
	return func(o *options) error {
		if path == "" {
			return &settingError{errors.New("extractor is empty; name the file or folder of a network, or leave the option out")}
		}
		o.sees = path
		return nil
	}
}

// StoreOpener opens the vector databases that indexes of pictures are in. There is one, vectorstore.Open.
type StoreOpener = rank.OpenStore

// Stores is for an index whose vectors are in a vector database ("unimo index --store"): with it [OpenIndex], [Retriever.OpenIndex] and
// [Retriever.WriteIndex] connect to that.
//
//	index, err := unimo.OpenIndex("INDEX", unimo.Stores(vectorstore.Open))
//
// The clients of databases are in a package of their own, vectorstore, as they link package net, which the library does without.
func Stores(open StoreOpener) Option {
	return func(o *options) error {
		o.stores = open
		return nil
	}
}

// outside is what a model has from outside.
type outside struct {
	run.Env
	device device.Choice
	embed  embed.Options
}

// environment is what the model in the folder dir has from outside.
func environment(dir string, list []Option) (outside, error) {
	env, o, err := readOptions(list)
	if err == nil {
		err = named(dir)
	}
	if err == nil && o.embeds {
		err = &settingError{errors.New("this kind of model has no pooling, normalisation or prompt (OpenEmbedder has); leave these options out")}
	}
	return env, err
}

// embedding is environment for [OpenEmbedder].
func embedding(dir string, list []Option) (outside, error) {
	env, o, err := readOptions(list)
	if err == nil && o.sees == "" {
		err = named(dir)
	}
	return env, err
}

// named refuses to be given no folder: it would be the current one.
func named(dir string) error {
	if dir == "" {
		return &settingError{fmt.Errorf("no folder (%w); name that of a model, of a run, or of an index", fs.ErrNotExist)}
	}
	return nil
}

func readOptions(list []Option) (outside, options, error) {
	o := options{device: device.Default}
	for _, set := range list {
		if set == nil {
			continue
		}
		if err := set(&o); err != nil {
			return outside{}, o, err
		}
	}
	if err := o.device.Check(); err != nil {
		return outside{}, o, &settingError{err}
	}
	return outside{run.Env{Threads: o.threads, Task: o.task, Extractor: o.sees, OpenStore: o.stores}, o.device, o.embed}, o, nil
}

// folders are those that this process has models open from.
var folders run.Folders

// open opens a model from the folder dir.
func (from outside) open(dir string, model func(env run.Env) error) (*handle, error) {
	leave, err := folders.Open(dir, from.device, from.Env, model)
	if err != nil {
		return nil, public(err)
	}
	h := newHandle()
	h.leave = leave
	return h, nil
}
