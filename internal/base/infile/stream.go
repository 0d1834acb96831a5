package infile

import (
	"bytes"
	"context"
	"io"
	"os"
)

// OpenText opens a text that the command line names. Besides regular files it may be a pipe
// or a terminal, such as the <(...) of a shell and /dev/stdin: to wait for one ends with ctx.
// What is read is checked as [Text] does. Close it.
func OpenText(ctx context.Context, path string) (io.ReadCloser, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, Explain(path, err)
	}
	if mode := info.Mode(); mode.IsRegular() || mode.IsDir() || mode&os.ModeSocket != 0 {
		f, err := Open(path)
		if err != nil {
			return nil, err
		}
		return &stream{Text(f, path), f}, nil
	}
	// To open a pipe waits for its other end.
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.Open(path)
		done <- opened{f, err}
	}()
	select {
	case <-ctx.Done():
		go func() {
			if o := <-done; o.f != nil {
				o.f.Close()
			}
		}()
		return nil, ctx.Err()
	case o := <-done:
		if o.err != nil {
			return nil, Explain(path, o.err)
		}
		return &stream{Text(Interruptible(ctx, o.f), path), o.f}, nil
	}
}

// stream is a reader with the file that it reads.
type stream struct {
	io.Reader
	io.Closer
}

// Text returns a reader of r's text without the byte order mark before its first character.
// Where the first bytes are known to be no text, reading returns the [*Error] of [Binary] or
// [Foreign]; name stands for the file in it. It never waits for more than it was given.
func Text(r io.Reader, name string) io.Reader { return &textReader{r: r, name: name, first: true} }

type textReader struct {
	r     io.Reader
	name  string
	first bool
	head  []byte // read and not yet handed over
	err   error
}

func (t *textReader) Read(p []byte) (int, error) {
	if t.first && len(p) > 0 {
		t.first = false
		t.err = t.look()
	}
	if len(t.head) > 0 {
		n := copy(p, t.head)
		t.head = t.head[n:]
		return n, nil
	}
	if t.err != nil {
		return 0, t.err
	}
	return t.r.Read(p)
}

// look reads the beginning: one piece, and more only where it is the beginning of a mark.
func (t *textReader) look() (err error) {
	head := make([]byte, HeadBytes)
	n := 0
	for n == 0 || n < len(mark) && bytes.HasPrefix(mark, head[:n]) {
		var more int
		more, err = t.r.Read(head[n:])
		n += more
		if err != nil {
			break
		}
	}
	head = head[:n]
	for _, known := range []func(string, []byte) error{Foreign, Binary} {
		if err := known(t.name, head); err != nil {
			return err
		}
	}
	t.head = TrimMark(head)
	return err
}

// Interruptible returns a reader of r whose Read returns ctx.Err() as soon as ctx
// ends: reading a terminal or a pipe cannot be called off, so a goroutine does it.
// One that still waits then stays until input comes or the process ends.
func Interruptible(ctx context.Context, r io.Reader) io.Reader {
	return &interruptibleReader{ctx: ctx, r: r, done: make(chan chunk, 1)}
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
