package unimo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
)

// Errors of this package that programs tell apart with [errors.Is]. A folder without a model or an index is
// [io/fs.ErrNotExist], besides.
var (
	// ErrClosed is what every method of a model or an index returns once it is closed, and of an index once its
	// [Retriever] is. It is an [os.ErrClosed].
	ErrClosed = fmt.Errorf("unimo: %w", os.ErrClosed)
	// ErrDeviceLost is what methods of a model return whose accelerator is gone: its plugin has crashed, or somebody ended it. The model is to be
	// closed, and may be opened again, on a new one. See [Device].
	ErrDeviceLost = errors.New("unimo: the device was lost")
	// ErrWrongTask is what opening a model of another kind of task gives.
	ErrWrongTask = model.ErrWrongTask
)

// handle lets the calls to an open model take turns, and closes it when none is left. An index has a handle of its
// own that shares the turns of its model's.
type handle struct {
	turn   chan struct{}  // holds a value while a call uses the model
	closed chan struct{}  // closed when closing begins: no call begins any more
	calls  sync.WaitGroup // that have begun
	owner  *handle        // of the model of an index; nil for a model
	leave  func() error   // what the model shares with others, when it is closed
	once   sync.Once
	done   chan struct{} // closed when it is closed
	err    error         // of closing
}

func newHandle() *handle {
	return &handle{turn: make(chan struct{}, 1), closed: make(chan struct{}), done: make(chan struct{}), leave: shareNothing}
}

// part returns the handle of something that lives as long as h at most.
func (h *handle) part() *handle {
	return &handle{turn: h.turn, closed: make(chan struct{}), done: make(chan struct{}), owner: h, leave: shareNothing}
}

func shareNothing() error { return nil }

// ended says whether the handle is closed. That of a model's zero value is nil.
func (h *handle) ended() bool {
	if h == nil {
		return true
	}
	select {
	case <-h.closed:
		return true
	default:
		return h.owner != nil && h.owner.ended()
	}
}

// begin waits for the turn, at most until ctx ends or the handle is closed.
func (h *handle) begin(ctx context.Context) error {
	if h.ended() {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var owner chan struct{}
	if h.owner != nil {
		owner = h.owner.closed
	}
	select {
	case h.turn <- struct{}{}:
	case <-h.closed:
		return ErrClosed
	case <-owner:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	if h.ended() {
		<-h.turn
		return ErrClosed
	}
	for ; h != nil; h = h.owner {
		h.calls.Add(1)
	}
	return nil
}

// end is the end of what began. The turn was given back or is given to nobody by then.
func (h *handle) end() {
	for ; h != nil; h = h.owner {
		h.calls.Done()
	}
}

// close closes the handle once: it waits for the calls that have begun and then calls release.
func (h *handle) close(release func() error) error {
	if h == nil {
		return nil
	}
	first := false
	h.once.Do(func() { first = true; close(h.closed) })
	if !first {
		<-h.done
		return h.err
	}
	defer close(h.done)
	h.turn <- struct{}{} // whoever had it before has begun
	<-h.turn
	h.calls.Wait()
	h.err = errors.Join(engine.Guard(release), h.leave())
	return h.err
}

// call is a call that has begun. While it holds the turn it has the model for itself.
type call struct {
	handle *handle
	ctx    context.Context // of the caller
	cancel func()          // of what the call does
	holds  bool
	lost   error // why it does not get the turn back
}

var errNilContext = errors.New("unimo: the context is nil; give context.Background()")

// use runs work as a call, with a context that also ends when the call lost its turn.
func (h *handle) use(ctx context.Context, work func(ctx context.Context, c *call) error) error {
	if ctx == nil {
		return errNilContext
	}
	if err := h.begin(ctx); err != nil {
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	c := &call{h, ctx, cancel, true, nil}
	defer func() { // also when work panics, in a function of the caller's
		cancel()
		if c.holds {
			<-h.turn
			h.end()
		}
	}()
	err := checkpoint.Guard(func() error {
		return engine.Guard(func() error { return work(inner, c) })
	})
	switch {
	case c.lost != nil:
		return c.lost
	case device.IsLost(err):
		return fmt.Errorf("%w: %w", ErrDeviceLost, err)
	}
	return err
}

// giveWay lets calls that wait have the model. It is called between batches, when work holds nothing but memory of its own.
func (c *call) giveWay() {
	if !c.holds {
		return
	}
	<-c.handle.turn
	select {
	case c.handle.turn <- struct{}{}:
	case <-c.ctx.Done():
		c.lose(c.ctx.Err())
		c.handle.end()
	}
}

// outside runs f, a function of the caller's, when the call counts as ended: f may be slow, and may use or close the model.
func (c *call) outside(f func()) {
	if !c.holds {
		return
	}
	c.holds = false
	<-c.handle.turn
	c.handle.end()
	f()
	if err := c.handle.begin(c.ctx); err != nil {
		c.lose(err)
		return
	}
	c.holds = true
}

func (c *call) lose(err error) {
	c.holds, c.lost = false, err
	c.cancel()
}
