package unimo

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// One call at a time has the model, whatever calls, gives way and waits; those that wait come first.
func TestCallsTakeTurns(t *testing.T) {
	h := newHandle()
	var inside, batches atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := h.use(t.Context(), func(_ context.Context, c *call) error {
				for range 50 {
					if inside.Add(1) != 1 {
						t.Error("two calls have the model")
					}
					batches.Add(1)
					inside.Add(-1)
					c.giveWay()
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if batches.Load() != 400 {
		t.Errorf("%d batches", batches.Load())
	}
}

// A long call lets one in that comes later, and a deadline ends a wait, not only work.
func TestWaitingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandle()
		var order []string
		var wg sync.WaitGroup
		begun := make(chan struct{})
		wg.Go(func() {
			h.use(t.Context(), func(_ context.Context, c *call) error {
				close(begun)
				for range 3 {
					time.Sleep(time.Second) // a batch
					order = append(order, "batch")
					c.giveWay()
				}
				return nil
			})
		})
		<-begun
		wg.Go(func() {
			h.use(t.Context(), func(context.Context, *call) error {
				order = append(order, "short")
				return nil
			})
		})
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := h.use(short, func(context.Context, *call) error { t.Error("had the turn"); return nil })
		if waited := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || waited != 20*time.Millisecond {
			t.Errorf("%v after %v", err, waited)
		}
		wg.Wait()
		if len(order) != 4 || order[1] != "short" {
			t.Errorf("in the order %q", order)
		}
		// One whose time is over does not come back to its work, which sees that.
		gone, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = h.use(gone, func(ctx context.Context, c *call) error {
			hold := make(chan struct{})
			wg.Go(func() {
				h.use(context.Background(), func(context.Context, *call) error { <-hold; return nil })
			})
			synctest.Wait()
			c.giveWay()
			if ctx.Err() == nil {
				t.Error("goes on without its turn")
			}
			close(hold)
			return ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		wg.Wait()
	})
}

// Closing waits for what has begun, turns away what waits, releases once, and spares nobody who comes later.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandle()
		part := h.part()
		var wg sync.WaitGroup
		var released atomic.Int32
		finished := false
		begun := make(chan struct{})
		wg.Go(func() {
			err := part.use(t.Context(), func(_ context.Context, c *call) error {
				close(begun)
				for range 3 {
					time.Sleep(time.Second)
					c.giveWay()
				}
				finished = true
				return nil
			})
			if err != nil {
				t.Errorf("the call in progress: %v", err)
			}
		})
		<-begun
		for _, waiting := range []*handle{h, part} {
			wg.Go(func() {
				err := waiting.use(t.Context(), func(context.Context, *call) error { return nil })
				if !errors.Is(err, ErrClosed) || !errors.Is(err, os.ErrClosed) {
					t.Errorf("a call that waits: %v", err)
				}
			})
		}
		synctest.Wait()
		for range 3 {
			wg.Go(func() {
				h.close(func() error { released.Add(1); return nil })
				if !finished {
					t.Error("closed before the call had ended")
				}
			})
		}
		wg.Wait()
		if released.Load() != 1 {
			t.Errorf("released %d times", released.Load())
		}
		for _, late := range []*handle{h, part, nil} {
			if err := late.use(t.Context(), nil); !errors.Is(err, ErrClosed) {
				t.Errorf("a call afterwards: %v", err)
			}
		}
		done := false
		if err := part.close(func() error { done = true; return nil }); err != nil || !done {
			t.Errorf("the part is closed later: %v, %v", done, err)
		}
	})
}

// A function of the caller's may use the model, close it, be slow and panic.
func TestOutside(t *testing.T) {
	h := newHandle()
	nothing := func(context.Context, *call) error { return nil }
	err := h.use(t.Context(), func(_ context.Context, c *call) error {
		c.outside(func() {
			if err := h.use(t.Context(), nothing); err != nil {
				t.Error(err)
			}
		})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	func() {
		defer func() { recover() }()
		h.use(t.Context(), func(_ context.Context, c *call) error {
			c.outside(func() { panic("of the caller") })
			return nil
		})
	}()
	if err := h.use(t.Context(), nothing); err != nil {
		t.Errorf("after a panic: %v", err)
	}
	err = h.use(t.Context(), func(ctx context.Context, c *call) error {
		c.outside(func() { h.close(func() error { return nil }) })
		c.outside(func() { t.Error("called again") })
		return ctx.Err()
	})
	if !errors.Is(err, ErrClosed) {
		t.Errorf("closed from within: %v", err)
	}
}
