package web

import (
	"context"
	"io"
)

// Memory counts what a request takes by its body. All requests together are bounded.
type Memory interface {
	Hold(n int) error // an [*backend.Error] where there are not so many bytes more
	Release(n int)    // of what is held, before the request ends and releases all
}

type memoryKey struct{}

// WithMemory returns a context of a request whose body m counts.
func WithMemory(ctx context.Context, m Memory) context.Context {
	return context.WithValue(ctx, memoryKey{}, m)
}

// MemoryOf is what counts the body of the request that ctx is of.
func MemoryOf(ctx context.Context) Memory {
	if m, ok := ctx.Value(memoryKey{}).(Memory); ok {
		return m
	}
	return unbounded{}
}

// unbounded is for requests that no server counts.
type unbounded struct{}

func (unbounded) Hold(int) error { return nil }
func (unbounded) Release(int)    {}

// Held returns a reader of what a body becomes, as where it was compressed: that takes memory, too.
func Held(ctx context.Context, r io.Reader) io.Reader { return &held{r, MemoryOf(ctx)} }

type held struct {
	io.Reader
	memory Memory
}

func (h *held) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if over := h.memory.Hold(n); over != nil {
		return n, over
	}
	return n, err
}
