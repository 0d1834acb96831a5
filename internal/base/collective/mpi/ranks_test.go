//go:build mpi && linux

package mpi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/collective/mpi"
	"github.com/unimo-go/unimo/internal/test/ranks"
)

// What a rank does is named by this variable: then the test binary is one of the processes that a launcher starts.
const rankVariable = "UNIMO_TEST_RANK"

func TestMain(m *testing.M) {
	if do := os.Getenv(rankVariable); do != "" {
		os.Exit(rank(do))
	}
	os.Exit(m.Run())
}

// say prints one line at once: lines of ranks may be cut where they meet.
func say(format string, args ...any) { os.Stderr.WriteString(fmt.Sprintf(format, args...) + "\n") }

// rank is the life of one rank. It returns its exit code.
func rank(do string) int {
	o := mpi.Options{Launch: mpi.Launched(os.Getenv), Library: os.Getenv(mpi.LibraryVariable), Meeting: 30 * time.Second, Expired: func(err error) {
		say("expired: %v", err)
		os.Exit(1)
	}}
	heard := make(chan os.Signal, 4)
	signal.Notify(heard, syscall.SIGHUP, syscall.SIGUSR1)
	g, err := mpi.Join(o)
	var use *mpi.UseError
	if errors.As(err, &use) {
		say("use: %v", err)
		return 2
	}
	if err != nil {
		say("failed: %v", err)
		return 1
	}
	switch do {
	case "collectives":
		err = errors.Join(collectives(g), hears(heard), stdinIsEmpty())
		if err == nil {
			err = underCollections(g)
		}
	case "stops": // the last one does, and the others notice
		g.SetTimeout(2 * time.Second)
		if g.Rank() == g.Size()-1 {
			syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			time.Sleep(10 * time.Second)
		}
		err = g.Barrier()
	case "dies":
		if g.Rank() == g.Size()-1 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		err = g.Barrier()
	case "aborts":
		if g.Rank() == 0 {
			g.Abort(7)
			return 7
		}
		err = g.Barrier()
	}
	if err != nil {
		say("failed: %v", err)
		g.Abort(1)
		return 1
	}
	if err := g.Close(); err != nil {
		say("failed: %v", err)
		return 1
	}
	say("rank %d of %d is done, %s", g.Rank(), g.Size(), g.Library())
	if do == "leaves" { // one after the other
		time.Sleep(time.Duration(g.Rank()) * 100 * time.Millisecond)
	}
	g.Exit(0)
	return 0
}

// collectives checks what each operation gives, with pieces and without.
func collectives(g *mpi.Group) error {
	p, r := g.Size(), g.Rank()
	value := func(from, to, i int) byte { return byte(31*from + 7*to + i) }
	for _, largest := range []int{1 << 30, 3000} {
		g.SetLargest(largest)
		for _, n := range []int{0, 1, 4099} {
			send, recv := make([]byte, n*p), make([]byte, n*p)
			for to := range p {
				for i := range n {
					send[to*n+i] = value(r, to, i)
				}
			}
			if err := g.AllToAll(send, recv); err != nil {
				return err
			}
			for from := range p {
				for i := range n {
					if recv[from*n+i] != value(from, r, i) {
						return fmt.Errorf("all to all of %d bytes: byte %d from rank %d", n, i, from)
					}
				}
			}
			mine, all := make([]byte, n), make([]byte, n*p)
			for i := range mine {
				mine[i] = value(r, 0, i)
			}
			inPlace := make([]byte, n*p)
			copy(inPlace[r*n:], mine)
			if err := errors.Join(g.AllGather(mine, all), g.AllGather(inPlace[r*n:][:n], inPlace)); err != nil {
				return err
			}
			for from := range p {
				for i := range n {
					if want := value(from, 0, i); all[from*n+i] != want || inPlace[from*n+i] != want {
						return fmt.Errorf("gather of %d bytes: byte %d of rank %d", n, i, from)
					}
				}
			}
			for root := range p {
				x := make([]byte, n)
				for i := range x {
					x[i] = value(r, 1, i)
				}
				if err := g.Broadcast(x, root); err != nil {
					return err
				}
				for i := range x {
					if x[i] != value(root, 1, i) {
						return fmt.Errorf("broadcast of %d bytes from rank %d: byte %d", n, root, i)
					}
				}
			}
			if err := g.Barrier(); err != nil {
				return err
			}
		}
	}
	all, err := collective.GatherAll(g, bytes.Repeat([]byte{1}, r))
	for from, x := range all {
		if len(x) != from {
			return fmt.Errorf("gather all: %d bytes of rank %d", len(x), from)
		}
	}
	if err == nil {
		if wrong := g.AllGather(make([]byte, 2), make([]byte, 2*p+1)); wrong == nil {
			err = errors.New("lengths that do not fit were taken")
		}
	}
	return err
}

// hears checks that Go hears of the signals for which libraries have handlers.
func hears(heard <-chan os.Signal) error {
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1} {
		syscall.Kill(os.Getpid(), s)
		select {
		case got := <-heard:
			if got != s {
				return fmt.Errorf("%v came as %v", s, got)
			}
		case <-time.After(5 * time.Second):
			return fmt.Errorf("%v did not come", s)
		}
	}
	var recovered any
	func() {
		defer func() { recovered = recover() }()
		var p *int
		*p = 1
	}()
	if recovered == nil {
		return errors.New("a nil pointer is no panic any more")
	}
	return nil
}

func stdinIsEmpty() error {
	if n, err := os.Stdin.Read(make([]byte, 1)); n != 0 || err == nil {
		return fmt.Errorf("standard input gave %d bytes, %v", n, err)
	}
	return nil
}

// underCollections has the library work while goroutines are preempted and Go collects its memory.
func underCollections(g *mpi.Group) error {
	ctx, stop := context.WithTimeout(context.Background(), time.Second/4)
	defer stop()
	for range 2 {
		go func() {
			for ctx.Err() == nil {
				runtime.GC()
			}
		}()
		go func() {
			for keep := [][]byte{}; ctx.Err() == nil; keep = keep[:len(keep)%100] {
				keep = append(keep, make([]byte, 100_000))
			}
		}()
	}
	for ended := false; !ended; {
		x := make([]byte, 8*g.Size()) // a new one each time, which nothing else holds
		for i := range x {
			x[i] = byte(g.Rank())
		}
		if ctx.Err() != nil {
			x[0] = 255
		}
		y := make([]byte, len(x))
		if err := g.AllToAll(x, y); err != nil {
			return err
		}
		flags := make([]byte, g.Size())
		if err := g.AllGather(x[:1], flags); err != nil {
			return err
		}
		ended = slices.Contains(flags, 255)
		for i := range y {
			if y[i] != byte(i/8) && y[i] != 255 {
				return fmt.Errorf("byte %d is %d", i, y[i])
			}
		}
	}
	return nil
}

// under runs n ranks of this test and returns the launcher's exit code and what they said.
func under(t *testing.T, l ranks.Launcher, n int, do, library string) (code int, said string) {
	t.Helper()
	code, _, said = l.Start(t, n, []string{rankVariable + "=" + do, "GOMAXPROCS=2", mpi.LibraryVariable + "=" + library}).Wait()
	return code, said
}

// libraries are those of a launcher: "" is the one that is found.
func libraries(l ranks.Launcher) []string {
	if l.Name == "MPICH" {
		return []string{"", l.Library("libmpi.so.12")} // the standard ABI, and its own
	}
	return []string{""}
}

func TestCollectives(t *testing.T) {
	for _, l := range ranks.Launchers(t) {
		for _, library := range libraries(l) {
			for _, n := range []int{2, 4} {
				if code, said := under(t, l, n, "collectives", library); code != 0 || strings.Count(said, fmt.Sprintf("of %d is done, %s", n, l.Name)) != n {
					t.Errorf("%s, %q, %d ranks: exit code %d\n%s", l.Name, library, n, code, said)
				}
			}
		}
	}
}

// A rank that does nothing any more ends the others, in time and with an exit code that is not 0.
func TestWatchdog(t *testing.T) {
	for _, l := range ranks.Launchers(t) {
		if code, said := under(t, l, 2, "stops", ""); code == 0 || strings.Count(said, "expired: rank 0 of 2 has waited in MPI_Barrier since") != 1 {
			t.Errorf("%s: exit code %d\n%s", l.Name, code, said)
		}
	}
}

func TestEnds(t *testing.T) {
	for _, l := range ranks.Launchers(t) {
		if code, said := under(t, l, 4, "leaves", ""); code != 0 {
			t.Errorf("%s: ranks that end one after the other: exit code %d\n%s", l.Name, code, said)
		}
		if code, said := under(t, l, 2, "dies", ""); code == 0 {
			t.Errorf("%s: a killed rank: exit code 0\n%s", l.Name, said)
		}
		if code, said := under(t, l, 2, "aborts", ""); code != 7 {
			t.Errorf("%s: abort with 7: exit code %d\n%s", l.Name, code, said)
		}
	}
}

// A library that does not understand its launcher is refused, and every process ends with 2.
func TestWrongLauncher(t *testing.T) {
	list := ranks.Launchers(t)
	if len(list) < 2 {
		t.Skip("not run: one MPI alone")
	}
	for _, test := range []struct {
		launcher ranks.Launcher
		loads    string
	}{{list[0], list[1].Library("libmpi_abi.so.1")}, {list[0], list[1].Library("libmpi.so.12")}, {list[1], "libmpi.so.40"}} {
		code, said := under(t, test.launcher, 2, "collectives", test.loads)
		if code != 2 || !strings.Contains(said, "use: mpirun of "+test.launcher.Name) || !strings.Contains(said, "does not understand this launcher; start with") {
			t.Errorf("%s with %s: exit code %d\n%s", test.launcher.Name, test.loads, code, said)
		}
	}
}
