package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// endingSignals are those that end a command. A hang-up that was ignored when the process
// began, as under nohup, stays so.
func endingSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

const (
	// burst is the time within which signals are one: a key that is held down, or a wrapper that
	// passes on to us what the whole group of processes got.
	burst = 100 * time.Millisecond
	// patience is how long a command with nothing to save may take to end. It may
	// wait for a file system or a pipe that gives nothing.
	patience = 5 * time.Second
)

// ending is what a command does when it is interrupted, and how long that takes is its own business.
type ending struct {
	first   string // what is said at the first interruption
	again   string // and what Ctrl-C then does, to who has pressed it
	second  string // what is said at the second one
	reloads bool   // a hang-up is no interruption
}

var (
	saves = ending{first: "stopping after this step and saving", again: "quits without saving", second: "stopped without saving"}
	// While a program is compiled for an accelerator.
	breaksOff = ending{first: "stopping without the step, whose program is being compiled; what was saved before stays", again: "quits at once", second: saves.second}
	// A launcher ends all ranks when one has died, and may not wait until they have saved.
	ranksSave = ending{first: saves.first + "; if a rank has died, or the launcher does not wait, --resume goes on from the newest snapshot", again: saves.again, second: saves.second}

	drains = ending{first: "stopping after the requests that have come", again: "quits at once", second: "stopped with requests unanswered", reloads: true}
	ends   = ending{first: "stopping", again: "quits at once", second: saves.second} // of a command with nothing to do before
)

// teller says on standard error what is neither a result nor of the log. Where programs read standard error, it goes into the log.
type teller struct {
	stderr  io.Writer
	records atomic.Pointer[slog.Logger] // nil: people read
	rank    int                         // of processes that were started together; the first one says what all do
}

func (t *teller) notice(text string) {
	if t.rank > 0 {
		return
	}
	if log := t.records.Load(); log != nil {
		log.Info(text)
		return
	}
	fmt.Fprintln(t.stderr, text)
}

// failure says why the command ends.
func (t *teller) failure(text string) {
	if log := t.records.Load(); log != nil {
		log.Error(text)
		return
	}
	if t.rank > 0 && !strings.HasPrefix(text, "rank ") {
		text = fmt.Sprintf("rank %d: %s", t.rank, text)
	}
	fmt.Fprintf(t.stderr, "unimo: %s\n", text)
}

// supervise runs a command and returns its exit code. The first signal cancels the command's context; what
// is trained saves and ends. A second one ends the process at once, and so does patience with
// a command that has nothing to do before it ends. does says what it has; it may be called at any time.
func supervise(tell *teller, signals <-chan os.Signal, does func() *ending, command func(context.Context) int) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	code := make(chan int, 1)
	go func() { code <- command(ctx) }()
	var by os.Signal
	for interrupted := false; !interrupted; {
		select {
		case c := <-code:
			return c
		case by = <-signals:
			e := does()
			interrupted = by != syscall.SIGHUP || e == nil || !e.reloads
		}
	}
	e := does()
	if e == nil {
		e = &ends
		cancel()
		select { // most end at once
		case c := <-code:
			return c
		case <-time.After(burst):
		}
	}
	if by == os.Interrupt {
		tell.notice(e.first + "; Ctrl-C again " + e.again)
	} else {
		tell.notice(e.first)
	}
	cancel()
	tooLong := time.After(patience)
	last := time.Now()
	var again <-chan time.Time // ends when no other signal followed the second one
	for {
		select {
		case c := <-code:
			return c
		case s := <-signals:
			alone := time.Since(last) >= burst
			last, again = time.Now(), nil
			if alone && s != syscall.SIGHUP { // a closed terminal is no answer
				again = time.After(burst)
			}
		case <-again:
			tell.failure(e.second)
			return exitInterrupted
		case <-tooLong:
			if does() == nil {
				tell.failure("interrupted")
				return exitInterrupted
			}
		}
	}
}
