package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// typist returns the terminal where a person types, nil where nobody can.
func (a *app) typist() io.Reader {
	if isTerminal(a.stdin) {
		return a.stdin
	}
	return nil
}

// ask asks for texts, line by line up to an empty one, where a command was given none and a person
// sits at the terminal. What is wrong with a text is said, and the next one is asked for. The
// prompt goes to standard error: standard output has the answers alone.
func (a *app) ask(ctx context.Context, what string, answer func(text string) error) error {
	lines := bufio.NewScanner(infile.Text(infile.Interruptible(ctx, a.stdin), standardInput))
	fmt.Fprintf(a.stderr, "Type %s; an empty line ends.\n", what)
	for fmt.Fprint(a.stderr, "> "); lines.Scan() && strings.TrimSpace(lines.Text()) != ""; fmt.Fprint(a.stderr, "> ") {
		if err := answer(lines.Text()); errors.Is(err, context.Canceled) || a.stdout.err != nil {
			return err
		} else if err != nil {
			a.log.Error(oneLine(err))
		}
	}
	fmt.Fprintln(a.stderr)
	return lines.Err()
}

// converse asks about what the user types until an empty line. Where nobody can
// type it returns at once.
func (a *app) converse(ctx context.Context, what string, ask func(text string) error) error {
	in := a.typist()
	if in == nil {
		return nil
	}
	fmt.Fprintf(a.stdout, "\nType %s in words like these (an empty line ends):\n", what)
	return a.answer(ctx, in, ask)
}

// answer asks about the lines of in up to an empty one.
func (a *app) answer(ctx context.Context, in io.Reader, ask func(text string) error) error {
	lines := bufio.NewScanner(infile.Text(infile.Interruptible(ctx, in), standardInput))
	for fmt.Fprint(a.stdout, "> "); lines.Scan() && lines.Text() != ""; fmt.Fprint(a.stdout, "> ") {
		if err := ask(lines.Text()); err != nil {
			return err
		}
	}
	fmt.Fprintln(a.stdout)
	return lines.Err()
}
