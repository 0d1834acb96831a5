package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Threads returns the number of goroutines that work on a loop, the caller
// included. It starts as runtime.GOMAXPROCS(0) at the start of the process.
func Threads() int { return int(pool.threads.Load()) }

// SetThreads sets the number of goroutines that work on a loop, the caller
// included; values below 1 count as 1. It takes effect with the next loop and
// may be called at any time.
func SetThreads(n int) { pool.threads.Store(int64(max(n, 1))) }

// For calls body(i) once for every i in [0, n), on [Threads] goroutines, and
// returns when all calls have returned. The order is not determined. Within a
// body another For runs on the goroutine that calls it, in order.
//
// If a body panics, no further iterations are started and For panics with the
// same value once the iterations under way have ended. For itself allocates nothing.
func For(n int, body func(i int)) {
	if n <= 0 {
		return
	}
	if !pool.acquire(n) {
		for i := range n {
			body(i)
		}
		return
	}
	pool.run(loop{count: n, each: body})
}

// ForBlocks cuts [0, n) into blocks of the given size, of which the last may be
// shorter, and calls body(lo, hi) once for every block as [For] does. The
// blocks depend on n and block alone. A block below 1 counts as 1.
func ForBlocks(n, block int, body func(lo, hi int)) {
	if n <= 0 {
		return
	}
	block = max(block, 1)
	count := (n-1)/block + 1
	if !pool.acquire(count) {
		for lo := 0; lo < n; {
			hi := lo + min(block, n-lo)
			body(lo, hi)
			lo = hi
		}
		return
	}
	pool.run(loop{count: count, n: n, block: block, blocks: body})
}

// loop is what the pool works on: one of each and blocks is set.
type loop struct {
	count  int // iterations
	each   func(i int)
	blocks func(lo, hi int)
	n      int // for blocks: the length of the range
	block  int // for blocks: the length of a block
}

// call runs iteration i.
func (l *loop) call(i int) {
	if l.each != nil {
		l.each(i)
		return
	}
	lo := i * l.block
	l.blocks(lo, lo+min(l.block, l.n-lo))
}

// workers is the pool. A loop passes through these stages: the caller acquires
// the pool (busy), opens the loop, wakes workers, which join it as long as it
// is open, works itself, closes it, and waits for those who joined. A worker
// that wakes late finds the loop closed, so nobody waits for a worker that the
// operating system has not scheduled yet.
type workers struct {
	threads atomic.Int64
	busy    atomic.Bool

	next atomic.Int64 // the next iteration to claim
	loop loop         // written while no worker is joined

	mu      sync.Mutex
	left    sync.Cond       // signalled when the last worker leaves
	open    bool            // workers may join
	joined  int             // workers in the loop
	wake    []chan struct{} // one for each worker
	failed  bool            // a body has panicked
	failure any             // with this value
}

var pool = newWorkers()

func newWorkers() *workers {
	w := &workers{}
	w.left.L = &w.mu
	w.threads.Store(int64(runtime.GOMAXPROCS(0)))
	return w
}

// acquire reports whether a loop of count iterations is to run on the pool,
// which is then reserved for it.
func (w *workers) acquire(count int) bool {
	return count > 1 && w.threads.Load() > 1 && w.busy.CompareAndSwap(false, true)
}

// run runs l on the pool, which the caller has acquired.
func (w *workers) run(l loop) {
	helpers := min(int(w.threads.Load()), l.count) - 1
	w.mu.Lock()
	w.loop = l
	w.next.Store(0)
	w.open = true
	for len(w.wake) < helpers {
		wake := make(chan struct{}, 1)
		w.wake = append(w.wake, wake)
		go w.serve(wake)
	}
	for _, wake := range w.wake[:helpers] {
		select {
		case wake <- struct{}{}:
		default: // still to wake for an earlier loop; it will join this one
		}
	}
	w.mu.Unlock()

	defer w.finish() // also when the caller's body ends the goroutine
	w.work()
}

// finish closes the loop, waits for the workers in it, frees the pool and
// hands on a panic.
func (w *workers) finish() {
	w.mu.Lock()
	w.open = false
	for w.joined > 0 {
		w.left.Wait()
	}
	failed, failure := w.failed, w.failure
	w.failed, w.failure = false, nil
	w.loop = loop{}
	w.mu.Unlock()
	w.busy.Store(false)
	if failed {
		panic(failure)
	}
}

// work claims iterations until there are none. A panic stops the claiming and
// is kept for the caller.
func (w *workers) work() {
	ended := false
	defer func() {
		if ended {
			return
		}
		failure := recover()
		if failure == nil {
			// runtime.Goexit, which recover does not stop.
			failure = "parallel: a body ended its goroutine (runtime.Goexit, or FailNow of a test)"
		}
		w.next.Store(int64(w.loop.count))
		w.mu.Lock()
		if !w.failed {
			w.failed, w.failure = true, failure
		}
		w.mu.Unlock()
	}()
	count := int64(w.loop.count)
	for {
		i := w.next.Add(1) - 1
		if i >= count {
			break
		}
		w.loop.call(int(i))
	}
	ended = true
}

// serve is a worker's life.
func (w *workers) serve(wake chan struct{}) {
	defer func() { go w.serve(wake) }() // only reached when a body ends this goroutine
	for range wake {
		w.join()
	}
}

// join takes part in the open loop, if there is one.
func (w *workers) join() {
	w.mu.Lock()
	if !w.open {
		w.mu.Unlock()
		return
	}
	w.joined++
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.joined--
		if w.joined == 0 {
			w.left.Signal()
		}
		w.mu.Unlock()
	}()
	w.work()
}
