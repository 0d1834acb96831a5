package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
)

// waiting is an input whose producer never delivers; who waits for it is interrupted.
type waiting struct {
	*io.PipeReader
	interrupt context.CancelFunc
}

func (w waiting) Read(p []byte) (int, error) {
	w.interrupt()
	return w.PipeReader.Read(p)
}

// Ctrl-C ends every command that waits for standard input. Without that the test
// runs into its timeout.
func TestInterruptWhileWaiting(t *testing.T) {
	vocab := vocabulary(t)
	for name, read := range map[string]func(*app, context.Context) error{
		"predict": func(a *app, ctx context.Context) error { return a.eachChunk(ctx, nil) },
		"demo":    func(a *app, ctx context.Context) error { return a.answer(ctx, a.stdin, nil) },
		"tokenizer encode": func(a *app, ctx context.Context) error {
			return a.mapTexts(ctx, a.stdout, []string{"-"}, func(*bufio.Writer, string) error { return nil })
		},
		"tokenizer train": func(a *app, ctx context.Context) error {
			return a.eachLine(ctx, "-", func(string) bool { return true })
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			r, w := io.Pipe()
			defer w.Close()
			a := &app{stdin: waiting{r, interrupt}, stdout: newOutput(io.Discard)}
			if err := read(a, ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
		})
	}
	ctx, interrupt := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	var stderr bytes.Buffer
	code := runArgs(ctx, []string{"tokenizer", "encode", "--vocab", vocab, "-"}, waiting{r, interrupt}, io.Discard, &stderr)
	if code != exitInterrupted || stderr.String() != "unimo: interrupted\n" {
		t.Errorf("the command ended with %d, %q", code, stderr.String())
	}
}
