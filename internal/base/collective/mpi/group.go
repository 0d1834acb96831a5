package mpi

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/unimo-go/unimo/internal/base/collective"
)

// Options say how a process joins its group.
type Options struct {
	Launch  Launch
	Library string        // file or name of the MPI library; "" looks for one that fits the launcher
	Meeting time.Duration // that ranks have to find each other, in MPI_Init; 0: for ever
	// Expired is called, on a goroutine of its own, when an operation does not come back in time. Nothing can be done about such an operation, so it
	// says what err says and ends the process.
	Expired func(err error)
}

// DefaultTimeout is how long an operation may wait for the other ranks, until [Group.SetTimeout].
const DefaultTimeout = 10 * time.Minute

// UseError is an error in how the processes were started. Nothing has been touched.
type UseError struct{ error }

func (e *UseError) Unwrap() error { return e.error }

// WrongUse implements the method of [collective.IsWrongUse].
func (e *UseError) WrongUse() bool { return true }

func usef(format string, args ...any) error { return &UseError{fmt.Errorf(format, args...)} }

// library is what a group needs of MPI. One thread calls it, from init on.
type library interface {
	name() string // with its version
	file() string
	init() error
	place() (rank, size int, err error)
	barrier() error
	broadcast(x []byte, root int) error
	allGather(send, recv []byte) error // send nil: it is in recv
	allToAll(send, recv []byte) error
	exchange(send []byte, to int, recv []byte, from int) error
	abort(code int)
	finalize() error
	exit(code int)
}

// Group is the processes that a launcher started, seen from one of them.
type Group struct {
	lib        library
	rank, size int
	calls      chan func()
	timeout    atomic.Int64
	expired    func(error)
	largest    int // bytes of one call
}

var _ collective.Group = (*Group)(nil)

// largestCall keeps all counts of bytes in MPI's 32 bits, also where a library multiplies them once more.
const largestCall = 1 << 30

// Join loads the library and joins the group. Every process that the launcher started calls it, once.
func Join(o Options) (*Group, error) {
	lib, err := open(o)
	if err != nil {
		return nil, err
	}
	return join(lib, o)
}

func join(lib library, o Options) (*Group, error) {
	g := &Group{lib: lib, rank: o.Launch.Rank, size: o.Launch.Size, calls: make(chan func()), expired: o.Expired, largest: largestCall}
	g.SetTimeout(o.Meeting)
	go g.work()
	if err := g.do(initOperation, lib.init); err != nil {
		return nil, err
	}
	g.SetTimeout(DefaultTimeout)
	err := g.do("MPI_Comm_rank", func() (err error) {
		g.rank, g.size, err = lib.place()
		return err
	})
	if err != nil {
		return nil, err
	}
	if want := o.Launch.Size; want != 0 && want != g.size || o.Launch.Launcher != "" && want == 0 && g.size == 1 {
		return nil, disagree(o.Launch, g.Library(), fmt.Sprintf("sees %d: it does not understand this launcher", g.size))
	}
	return g, nil
}

// disagree is the error of processes of which each would train alone what they should train together.
func disagree(l Launch, library string, sees string) error {
	started := fmt.Sprintf("started %d processes (%s)", l.Size, l.Variable)
	if l.Size == 0 {
		started = "started this process"
	}
	remedy := "start with the mpirun of that library, or name the launcher's library with " + LibraryVariable
	if l.family == anyFamily {
		remedy = "give srun the --mpi that the library was built for (srun --mpi=list shows them; usually pmix), or name another library with " + LibraryVariable
	}
	return usef("%s %s, but %s %s; %s", l.Launcher, started, library, sees, remedy)
}

// LibraryVariable is the variable of the environment that names the library.
const LibraryVariable = "UNIMO_MPI"

// work is the one goroutine, on one thread, that calls the library. So it asks for no more of threads than that there are others.
func (g *Group) work() {
	runtime.LockOSThread()
	for f := range g.calls {
		f()
	}
}

// do has the library do something, under the watchdog.
func (g *Group) do(operation string, f func() error) error {
	began := time.Now()
	if timeout := time.Duration(g.timeout.Load()); timeout > 0 {
		dog := time.AfterFunc(timeout, func() { g.expired(&TimeoutError{g.rank, g.size, operation, began, timeout}) })
		defer dog.Stop()
	}
	done := make(chan error)
	g.calls <- func() { done <- f() }
	if err := <-done; err != nil {
		return fmt.Errorf("rank %d of %d, %s: %w", g.rank, g.size, operation, err)
	}
	return nil
}

// initOperation is where ranks find each other.
const initOperation = "MPI_Init"

// TimeoutError is the error of an operation that waits too long for the other ranks.
type TimeoutError struct {
	Rank, Size int
	Operation  string
	Since      time.Time
	Timeout    time.Duration
}

func (e *TimeoutError) Error() string {
	if e.Operation == initOperation {
		return fmt.Sprintf("rank %d of %d has waited in %s since %s, for %v: another rank has not come as far, or has another MPI library, of which two do not find each other; look at what it says, and name one library for all with %s, or give ranks that start slowly more minutes: --set mpi_timeout=10",
			e.Rank, e.Size, e.Operation, e.Since.Format(time.TimeOnly), e.Timeout, LibraryVariable)
	}
	return fmt.Sprintf("rank %d of %d has waited in %s since %s, the %v of mpi_timeout: another rank, its host or the network is gone, or slower than that; look there, then go on with --resume",
		e.Rank, e.Size, e.Operation, e.Since.Format(time.TimeOnly), e.Timeout)
}

// WrongUse says whether ranks did not find each other, for [collective.IsWrongUse].
func (e *TimeoutError) WrongUse() bool { return e.Operation == initOperation }

// SetTimeout says how long each operation from now on may take; 0: for ever.
func (g *Group) SetTimeout(d time.Duration) { g.timeout.Store(int64(d)) }

// Version names the library, with its version: "Open MPI v4.1.4".
func (g *Group) Version() string { return g.lib.name() }

// Library is the version with the file.
func (g *Group) Library() string { return fmt.Sprintf("%s (%s)", g.lib.name(), g.lib.file()) }

// Rank implements [collective.Group].
func (g *Group) Rank() int { return g.rank }

// Size implements [collective.Group].
func (g *Group) Size() int { return g.size }

// Barrier implements [collective.Group].
func (g *Group) Barrier() error { return g.do("MPI_Barrier", g.lib.barrier) }

// Broadcast implements [collective.Group].
func (g *Group) Broadcast(x []byte, root int) error {
	for len(x) > 0 {
		n := min(len(x), g.largest)
		if err := g.do("MPI_Bcast", func() error { return g.lib.broadcast(x[:n], root) }); err != nil {
			return err
		}
		x = x[n:]
	}
	return nil
}

// AllGather implements [collective.Group].
func (g *Group) AllGather(send, recv []byte) error {
	n := len(send)
	switch {
	case len(recv) != n*g.size:
		return fmt.Errorf("gather %d bytes of each of %d ranks into %d", n, g.size, len(recv))
	case n == 0:
		return nil
	}
	own := recv[g.rank*n:][:n]
	inPlace := &send[0] == &own[0]
	if len(recv) <= g.largest {
		if inPlace {
			send = nil
		}
		return g.do("MPI_Allgather", func() error { return g.lib.allGather(send, recv) })
	}
	if !inPlace {
		copy(own, send)
	}
	// Around the ring: what came from the left in one round goes to the right in the next.
	left, right := (g.rank+g.size-1)%g.size, (g.rank+1)%g.size
	for round := range g.size - 1 {
		out, in := (g.rank+g.size-round)%g.size, (left+g.size-round)%g.size
		if err := g.swap(recv[out*n:][:n], right, recv[in*n:][:n], left); err != nil {
			return err
		}
	}
	return nil
}

// AllToAll implements [collective.Group].
func (g *Group) AllToAll(send, recv []byte) error {
	switch {
	case len(send) != len(recv) || len(send)%g.size != 0:
		return fmt.Errorf("exchange %d bytes for %d among %d ranks", len(send), len(recv), g.size)
	case len(send) == 0:
		return nil
	case len(send) <= g.largest:
		return g.do("MPI_Alltoall", func() error { return g.lib.allToAll(send, recv) })
	}
	n := len(send) / g.size
	copy(recv[g.rank*n:][:n], send[g.rank*n:])
	for distance := 1; distance < g.size; distance++ {
		to, from := (g.rank+distance)%g.size, (g.rank+g.size-distance)%g.size
		if err := g.swap(send[to*n:][:n], to, recv[from*n:][:n], from); err != nil {
			return err
		}
	}
	return nil
}

// swap sends to one rank while it receives as much from another, in pieces.
func (g *Group) swap(send []byte, to int, recv []byte, from int) error {
	for len(send) > 0 {
		n := min(len(send), g.largest)
		if err := g.do("MPI_Sendrecv", func() error { return g.lib.exchange(send[:n], to, recv[:n], from) }); err != nil {
			return err
		}
		send, recv = send[n:], recv[n:]
	}
	return nil
}

// Close leaves the group: it waits until all ranks do. The group is of no use then, but to [Group.Exit].
func (g *Group) Close() error { return g.do("MPI_Finalize", g.lib.finalize) }

// Exit ends the process after Close as a program in C ends, with what libraries have asked to be called then. MPICH tells its launcher only there that
// all is well; of a process that ends without it, as by [os.Exit], the launcher takes it that it crashed, and kills the others.
func (g *Group) Exit(code int) {
	g.calls <- func() { g.lib.exit(code) }
	select {}
}

// abortPatience is how long a library has to end all processes.
const abortPatience = 5 * time.Second

// Abort ends the processes of all ranks, as far as the library can reach them, and usually this one. Where it returns, the caller ends it.
func (g *Group) Abort(code int) error {
	done := make(chan struct{})
	late := time.After(abortPatience)
	select {
	case g.calls <- func() { g.lib.abort(code); close(done) }:
	case <-late: // an operation hangs
		return errors.New("the other ranks could not be told to end")
	}
	select {
	case <-done:
	case <-late:
	}
	return nil
}
