package cli

import (
	"context"
	"io"

	"github.com/unimo-go/unimo/internal/infile"
)

// interruptible returns a reader of r whose Read returns ctx.Err() as soon as ctx
// ends: reading a terminal or a pipe cannot be called off, so a goroutine does it.
// One that still waits then stays until input comes or the process ends. A byte order
// mark before the first character is dropped.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	return infile.SkipMark(&interruptibleReader{ctx: ctx, r: r, done: make(chan chunk, 1)})
}

type interruptibleReader struct {
	ctx  context.Context
	r    io.Reader
	buf  []byte // never the caller's, who may be gone when it fills
	done chan chunk
}

// chunk is what a Read returned.
type chunk struct {
	n   int
	err error
}

func (i *interruptibleReader) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	if len(i.buf) < len(p) {
		i.buf = make([]byte, len(p))
	}
	buf := i.buf[:len(p)]
	go func() {
		n, err := i.r.Read(buf)
		i.done <- chunk{n, err}
	}()
	select {
	case <-i.ctx.Done():
		return 0, i.ctx.Err()
	case c := <-i.done:
		return copy(p, buf[:c.n]), c.err
	}
}
