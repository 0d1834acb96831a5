package web

import (
	"context"
	"fmt"
	"io"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

// Request is what the server does for a request while a protocol answers it. The bodies of all requests together are bounded.
type Request interface {
	Hold(n int) error  // counts bytes that the body takes; an [*backend.Error] where there are not so many more
	Release(n int)     // of what is held, before the request ends and releases all
	Panicked(what any) // is logged
}

type requestKey struct{}

// WithRequest returns a context of a request for which r is done.
func WithRequest(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestOf is what the server does for the request that ctx is of.
func RequestOf(ctx context.Context) Request {
	if r, ok := ctx.Value(requestKey{}).(Request); ok {
		return r
	}
	return nobody{}
}

// nobody is the server of requests that none has.
type nobody struct{}

func (nobody) Hold(int) error    { return nil }
func (nobody) Release(int)       {}
func (nobody) Panicked(what any) { panic(what) }

// Caught calls work, which a goroutine does that the server has not begun: nobody else would catch its panic, and the process would end. It
// becomes an error.
func Caught(ctx context.Context, work func() error) (err error) {
	defer func() {
		if what := recover(); what != nil {
			RequestOf(ctx).Panicked(what)
			err = backend.AsError(fmt.Errorf("panic: %v", what))
		}
	}()
	return work()
}

// Held returns a reader of what a body becomes, as where it was compressed: that takes memory, too.
func Held(ctx context.Context, r io.Reader) io.Reader { return &held{r, RequestOf(ctx)} }

type held struct {
	io.Reader
	request Request
}

func (h *held) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if over := h.request.Hold(n); over != nil {
		return n, over
	}
	return n, err
}
