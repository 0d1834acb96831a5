package run

import (
	"log/slog"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/train"
)

// Env is what work has from outside. Nothing below takes a device, a logger or a folder from
// anywhere else. What is left out is filled in by [Env.Ready].
type Env struct {
	Device   engine.Device // nil: the processor, on Threads of it
	Log      *slog.Logger  // nil: nothing is logged
	Observer Observer      // nil: nobody watches
	Out      string        // folder of what is written; "" where nothing is
	Threads  int           // the most to compute with, for this work alone; 0: those of the process
	// Group is the processes that train together; nil: this one alone.
	Group collective.Group
	// Task is which task of a model for several is opened; "" where one of them alone fits.
	Task string
	// Extractor is that of the pictures which an opened model reads, where its folder has none: a name, file or folder. One
	// that differs from the folder's is an error. "": the folder's.
	Extractor string
	// OpenStore opens the vector databases that indexes of pictures are in. nil: such an index is an error.
	OpenStore rank.OpenStore

	// Shared has what models have in common that are opened from one folder. nil: each is opened for itself.
	Shared *Shared

	whole     *model.Multi // of which NewModel returns the part of a task
	temporary *[]string    // folders that are removed when the run ends
}

// Part returns e for one of the tasks that whole is trained for: [NewModel] gives that task's part of it.
func (e *Env) Part(whole *model.Multi, task string) *Env {
	part := *e
	part.whole, part.Task = whole, task
	return &part
}

// group is the processes that train together, before [Env.Ready] too.
func (e *Env) group() collective.Group {
	if e.Group == nil {
		return collective.Alone{}
	}
	return e.Group
}

// leads says whether this is the first of the processes, which alone writes.
func (e *Env) leads() bool { return e.group().Rank() == 0 }

// Observer is told how work goes on, besides what the trainer tells.
type Observer interface {
	train.Observer
	// Stage names what happens next and may take a while; Tick may follow.
	Stage(name string)
	// Tick says how far it has come; the total is -1 where it is not known.
	Tick(done, total int)
}

// Ready returns e with everything in it.
func (e Env) Ready() *Env {
	if e.Device == nil {
		e.Device = device.CPU(parallel.Limit(e.Threads))
	}
	if e.Log == nil {
		e.Log = slog.New(slog.DiscardHandler)
	}
	if e.Observer == nil {
		e.Observer = Silent{}
	}
	e.Group = e.group()
	if e.temporary == nil {
		e.temporary = new([]string)
	}
	return &e
}

// Silent is an observer that says nothing.
type Silent struct{}

// Step implements [train.Observer].
func (Silent) Step(train.StepEvent) {}

// Evaluating implements [train.Observer].
func (Silent) Evaluating(int, int) {}

// Evaluated implements [train.Observer].
func (Silent) Evaluated(int, train.Evaluation, bool) {}

// Saved implements [train.Observer].
func (Silent) Saved(int) {}

// Stage implements [Observer].
func (Silent) Stage(string) {}

// Tick implements [Observer].
func (Silent) Tick(int, int) {}
