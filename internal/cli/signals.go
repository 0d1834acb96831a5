package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
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
	first, second string // what is said at the first and the second interruption
	reloads       bool   // a hang-up is no interruption
}

var (
	saves  = ending{first: "stopping after this step and saving; Ctrl-C again quits without saving", second: "unimo: stopped without saving"}
	drains = ending{first: "stopping after the requests that have come; Ctrl-C again quits at once", second: "unimo: stopped with requests unanswered", reloads: true}
)

// supervise runs a command and returns its exit code. The first signal cancels the command's context; what
// is trained saves and ends. A second one ends the process at once, and so does patience with
// a command that has nothing to do before it ends. ends says what it has; it may be called at any time.
func supervise(stderr io.Writer, signals <-chan os.Signal, ends func() *ending, command func(context.Context) int) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	code := make(chan int, 1)
	go func() { code <- command(ctx) }()
	for interrupted := false; !interrupted; {
		select {
		case c := <-code:
			return c
		case s := <-signals:
			e := ends()
			interrupted = s != syscall.SIGHUP || e == nil || !e.reloads
		}
	}
	second := saves.second
	if e := ends(); e != nil {
		fmt.Fprintln(stderr, e.first)
		second = e.second
		cancel()
	} else {
		cancel()
		select { // most end at once
		case c := <-code:
			return c
		case <-time.After(burst):
		}
		fmt.Fprintln(stderr, "stopping; Ctrl-C again quits at once")
	}
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
			fmt.Fprintln(stderr, second)
			return exitInterrupted
		case <-tooLong:
			if ends() == nil {
				fmt.Fprintln(stderr, "unimo: interrupted")
				return exitInterrupted
			}
		}
	}
}
