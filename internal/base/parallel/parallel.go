package parallel

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Threads returns the number of goroutines that work on a loop, the caller
// included. It starts as runtime.GOMAXPROCS(0) at the start of the process.
func Threads() int { return int(pool.threads.Load()) }

// SetThreads sets the number of goroutines that work on a loop, the caller
// included; values below 1 count as 1. It takes effect with the next loop and
// may be called at any time. It is for a program that has the process to itself; for
// a part of one there is [Limit].
func SetThreads(n int) { pool.threads.Store(int64(max(n, 1))) }

// Limit is the most goroutines that work on a loop, the caller included. The loops of one model, say,
// run under a limit of their own:
//
//	two := parallel.Limit(2)
//	two.For(len(rows), func(i int) { ... })
//
// Zero sets no limit besides [Threads], which holds for all loops.
type Limit int

// Threads returns the number of goroutines that work on a loop under the limit. While as many computations share the threads as there are
// ([Share]), it is 1.
func (l Limit) Threads() int {
	n := Threads()
	if pool.sharers.Load() >= int64(n) {
		return 1
	}
	if l < 1 || n < int(l) {
		return n
	}
	return int(l)
}

// Share says that the caller computes beside others until it calls done. Once there are as many of them as threads, every loop runs on the
// goroutine that calls it: each computation has a thread of its own, and none waits for another at the end of a loop.
//
//	defer parallel.Share()()
func Share() (done func()) {
	pool.sharers.Add(1)
	return func() { pool.sharers.Add(-1) }
}

// For is [For] under the limit.
func (l Limit) For(n int, body func(i int)) {
	if n <= 0 {
		return
	}
	threads := min(l.Threads(), n)
	if !pool.acquire(threads) {
		for i := range n {
			body(i)
		}
		return
	}
	pool.run(threads, loop{count: n, each: body})
}

// ForBlocks is [ForBlocks] under the limit.
func (l Limit) ForBlocks(n, block int, body func(lo, hi int)) {
	if n <= 0 {
		return
	}
	block = max(block, 1)
	count := (n-1)/block + 1
	threads := min(l.Threads(), count)
	if !pool.acquire(threads) {
		for lo := 0; lo < n; {
			hi := lo + min(block, n-lo)
			body(lo, hi)
			lo = hi
		}
		return
	}
	pool.run(threads, loop{count: count, n: n, block: block, blocks: body})
}

// For calls body(i) once for every i in [0, n), on [Threads] goroutines, and
// returns when all calls have returned. They begin in order; which ends first is not determined. Within a
// body another For runs on the goroutine that calls it, in order.
//
// If a body panics, no further iterations are started and For panics with the
// same value once the iterations under way have ended. For itself allocates nothing.
func For(n int, body func(i int)) { Limit(0).For(n, body) }

// ForBlocks cuts [0, n) into blocks of the given size, of which the last may be
// shorter, and calls body(lo, hi) once for every block as [For] does. The
// blocks depend on n and block alone. A block below 1 counts as 1.
func ForBlocks(n, block int, body func(lo, hi int)) { Limit(0).ForBlocks(n, block, body) }

// Await returns once n is at least so much. It is for a body that needs what iterations before its own do: these have begun already,
// and must count in n also when they panic.
func Await(n *atomic.Int32, least int32) {
	if n.Load() >= least {
		return
	}
	for start := time.Now(); ; runtime.Gosched() {
		for range 100 { // about 1 µs
			if n.Load() >= least {
				return
			}
		}
		if time.Since(start) > awaitTime { // somebody else has the processor that it needs
			time.Sleep(spinTime)
		}
	}
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
//
// Waking a thread takes the operating system 5 to 50 µs, as long as a whole product of a
// short sentence. So a worker whose loop has ended looks out for the next one for
// spinTime before it sleeps, and the caller does so for the workers' ends.
type workers struct {
	threads atomic.Int64 // of a loop without a limit
	working atomic.Int64 // of the last loop
	sharers atomic.Int64 // of Share
	busy    atomic.Bool

	next  atomic.Int64 // the next iteration to claim
	loop  loop         // written while no worker is joined
	state atomic.Uint64
	list  []*worker // grows while the pool is acquired

	waits atomic.Bool   // the caller sleeps until the last worker has left
	left  chan struct{} // wakes it

	failed  atomic.Bool // a body has panicked
	failure any         // with this value
}

// worker is one of the pool's goroutines.
type worker struct {
	index  uint64
	asleep atomic.Bool // who clears it when it is set has to send, or not to expect, a wake
	wake   chan struct{}
}

// The state of the pool: from the lowest bit on, the number of workers in the loop,
// how many may join (those of a lower index; none when it is closed), and the number of the loop.
const (
	fieldBits = 16
	fieldMask = 1<<fieldBits - 1
	oneLoop   = 1 << (2 * fieldBits)
)

func joined(state uint64) uint64  { return state & fieldMask }
func invited(state uint64) uint64 { return state >> fieldBits & fieldMask }
func number(state uint64) uint64  { return state / oneLoop }

// spinTime is as long as the serial work between two loops usually takes, or a wake.
const spinTime = 50 * time.Microsecond

// awaitTime is as long as a sleep takes at least, however short it was to be.
const awaitTime = time.Millisecond

// spin calls done until it returns true, or spinTime has passed, and returns what it returned
// last. It lets other goroutines run, and does not spin at all if the processors are fewer than
// the threads of the loop.
func (w *workers) spin(done func() bool) bool {
	if done() {
		return true
	}
	if int(w.working.Load()) > processors() {
		return false
	}
	for start := time.Now(); time.Since(start) < spinTime; runtime.Gosched() {
		for range 100 { // about 1 µs
			if done() {
				return true
			}
		}
	}
	return false
}

// processors returns how many goroutines can really run side by side.
func processors() int { return min(runtime.GOMAXPROCS(0), runtime.NumCPU()) }

var pool = newWorkers()

func newWorkers() *workers {
	w := &workers{left: make(chan struct{}, 1)}
	w.threads.Store(int64(runtime.GOMAXPROCS(0)))
	return w
}

// acquire reports whether a loop on so many threads is to run on the pool,
// which is then reserved for it.
func (w *workers) acquire(threads int) bool {
	return threads > 1 && w.busy.CompareAndSwap(false, true)
}

// run runs l on so many threads of the pool, which the caller has acquired.
func (w *workers) run(threads int, l loop) {
	w.working.Store(int64(threads))
	helpers := min(threads, fieldMask) - 1
	w.loop = l
	w.next.Store(0)
	for len(w.list) < helpers {
		h := &worker{index: uint64(len(w.list)), wake: make(chan struct{}, 1)}
		w.list = append(w.list, h)
		go w.serve(h)
	}
	w.state.Store((number(w.state.Load())+1)*oneLoop + uint64(helpers)<<fieldBits)
	for _, h := range w.list[:helpers] {
		if h.asleep.Load() && h.asleep.CompareAndSwap(true, false) {
			h.wake <- struct{}{}
		}
	}
	defer w.finish() // also when the caller's body ends the goroutine
	w.work()
}

// finish closes the loop, waits for the workers in it, frees the pool and
// hands on a panic.
func (w *workers) finish() {
	w.state.And(^uint64(fieldMask << fieldBits))
	empty := func() bool { return joined(w.state.Load()) == 0 }
	if !w.spin(empty) {
		w.waits.Store(true)
		if !empty() || !w.waits.CompareAndSwap(true, false) {
			<-w.left
		}
	}
	failed, failure := w.failed.Load(), w.failure
	w.failure = nil
	w.failed.Store(false)
	w.loop = loop{}
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
		if w.failed.CompareAndSwap(false, true) {
			w.failure = failure
		}
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
func (w *workers) serve(h *worker) {
	defer func() { go w.serve(h) }() // only reached when a body ends this goroutine
	debug.SetPanicOnFault(true)      // a page of a mapped file that is gone is a panic, for the caller, like any other
	var last uint64                  // the number of the loop it was in last
	open := func() bool {
		s := w.state.Load()
		return number(s) != last && invited(s) > h.index
	}
	for {
		if !w.spin(open) {
			h.asleep.Store(true)
			if !open() || !h.asleep.CompareAndSwap(true, false) {
				<-h.wake
			}
		}
		s := w.state.Load()
		if number(s) == last || invited(s) <= h.index || !w.state.CompareAndSwap(s, s+1) {
			continue
		}
		last = number(s)
		w.join()
	}
}

// join takes part in the loop, which counts the worker already.
func (w *workers) join() {
	defer func() {
		if s := w.state.Add(^uint64(0)); joined(s) == 0 && invited(s) == 0 && w.waits.CompareAndSwap(true, false) {
			w.left <- struct{}{}
		}
	}()
	w.work()
}
