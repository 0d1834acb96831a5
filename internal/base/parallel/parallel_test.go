package parallel

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// setThreads sets the number of threads for the length of a test.
func setThreads(tb testing.TB, n int) {
	old := Threads()
	SetThreads(n)
	tb.Cleanup(func() { SetThreads(old) })
}

func TestForRunsEveryIterationOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 7} {
		setThreads(t, threads)
		for _, n := range []int{-1, 0, 1, 2, 3, 64, 1000} {
			calls := make([]atomic.Int32, max(n, 0))
			For(n, func(i int) { calls[i].Add(1) })
			for i := range calls {
				if got := calls[i].Load(); got != 1 {
					t.Fatalf("%d threads, n=%d: iteration %d ran %d times", threads, n, i, got)
				}
			}
		}
	}
}

func TestForBlocksCutsAlikeForAnyThreads(t *testing.T) {
	for _, c := range []struct{ n, block int }{{0, 4}, {1, 4}, {4, 4}, {5, 4}, {100, 7}, {10, 0}, {3, 1000}, {9, 1 << 62}} {
		var want string
		for _, threads := range []int{1, 2, 3, 7} {
			setThreads(t, threads)
			var mu sync.Mutex
			ends := make([]int, c.n) // at the first of a block: its end
			ForBlocks(c.n, c.block, func(lo, hi int) {
				mu.Lock()
				defer mu.Unlock()
				if ends[lo] != 0 {
					t.Errorf("block at %d ran twice", lo)
				}
				ends[lo] = hi
			})
			lo := 0
			for lo < c.n && ends[lo] > lo {
				lo = ends[lo]
			}
			if lo != c.n {
				t.Errorf("%+v on %d threads: the blocks do not cover the range: %v", c, threads, ends)
			}
			got := fmt.Sprint(ends)
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%+v on %d threads: blocks %s, before %s", c, threads, got, want)
			}
		}
	}
}

func TestForUsesSeveralGoroutines(t *testing.T) {
	setThreads(t, 3)
	// Three iterations that wait for one another can only end side by side.
	var meet sync.WaitGroup
	meet.Add(3)
	done := make(chan struct{})
	go func() {
		For(3, func(int) { meet.Done(); meet.Wait() })
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the iterations did not run at the same time")
	}
}

func TestNestedForRunsInOrder(t *testing.T) {
	setThreads(t, 3)
	For(8, func(int) {
		last := -1
		For(100, func(j int) {
			if j != last+1 {
				t.Errorf("iteration %d after %d", j, last)
			}
			last = j // a race, if the inner loop were not serial
		})
	})
}

func TestConcurrentCallers(t *testing.T) {
	setThreads(t, 3)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				var sum atomic.Int64
				For(20, func(i int) { sum.Add(int64(i)) })
				if sum.Load() != 190 {
					t.Errorf("sum %d, want 190", sum.Load())
				}
			}
		})
	}
	wg.Wait()
}

// An iteration may await what those before it do, on any number of threads.
func TestAwait(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 7} {
		setThreads(t, threads)
		var done atomic.Int32
		For(500, func(i int) {
			Await(&done, int32(i))
			if !done.CompareAndSwap(int32(i), int32(i)+1) {
				t.Errorf("%d threads: iteration %d ran when %d were done", threads, i, done.Load())
			}
		})
		// One that takes longer than anybody looks out for it.
		done.Store(0)
		For(2, func(i int) {
			Await(&done, int32(i))
			time.Sleep(time.Duration(1-i) * 10 * spinTime)
			done.Add(1)
		})
		if done.Load() != 2 {
			t.Errorf("%d threads: %d iterations ended", threads, done.Load())
		}
	}
}

func TestPanicReachesTheCaller(t *testing.T) {
	fault := errors.New("fault")
	for _, threads := range []int{1, 2, 7} {
		setThreads(t, threads)
		for _, bad := range []int{0, 5, 49} {
			func() {
				defer func() {
					if got := recover(); got != fault {
						t.Errorf("%d threads: recovered %v", threads, got)
					}
				}()
				For(50, func(i int) {
					if i == bad {
						panic(fault)
					}
				})
				t.Errorf("%d threads: For returned", threads)
			}()
			var n atomic.Int32
			For(50, func(int) { n.Add(1) }) // the pool is usable afterwards
			if n.Load() != 50 {
				t.Errorf("after a panic %d of 50 iterations ran", n.Load())
			}
		}
	}
}

func TestGoexitInABody(t *testing.T) {
	setThreads(t, 3)
	for range 10 {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer func() { _ = recover() }()
			For(9, func(i int) {
				if i == 4 {
					runtime.Goexit()
				}
			})
		}()
		<-ended
		var n atomic.Int32
		For(50, func(int) { n.Add(1) })
		if n.Load() != 50 {
			t.Fatalf("%d of 50 iterations ran", n.Load())
		}
	}
}

// Under a limit no more goroutines than that work on a loop, and as many do.
func TestLimit(t *testing.T) {
	for _, c := range []struct{ process, limit, want int }{{5, 2, 2}, {5, 1, 1}, {5, 5, 5}, {3, 8, 3}, {4, 0, 4}, {4, -1, 4}} {
		setThreads(t, c.process)
		limit := Limit(c.limit)
		if got := limit.Threads(); got != c.want {
			t.Errorf("limit %d of %d threads: %d", c.limit, c.process, got)
		}
		for name, loop := range map[string]func(n int, body func()){
			"For":       func(n int, body func()) { limit.For(n, func(int) { body() }) },
			"ForBlocks": func(n int, body func()) { limit.ForBlocks(3*n-1, 3, func(lo, hi int) { body() }) },
		} {
			var working, most, calls atomic.Int32
			loop(40, func() {
				now := working.Add(1)
				for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
				}
				time.Sleep(time.Millisecond)
				calls.Add(1)
				working.Add(-1)
			})
			if calls.Load() != 40 || int(most.Load()) != c.want {
				t.Errorf("%s, limit %d of %d threads: %d iterations, %d at a time, want %d", name, c.limit, c.process, calls.Load(), most.Load(), c.want)
			}
		}
	}
}

// Loops under different limits, from several goroutines.
func TestConcurrentLimits(t *testing.T) {
	setThreads(t, 4)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for range 200 {
				var sum atomic.Int64
				Limit(i).For(20, func(i int) { sum.Add(int64(i)) })
				if sum.Load() != 190 {
					t.Errorf("sum %d, want 190", sum.Load())
				}
			}
		})
	}
	wg.Wait()
}

func TestForAllocatesNothing(t *testing.T) {
	setThreads(t, 2)
	body := func(int) {}
	For(4, body) // starts the workers
	if n := testing.AllocsPerRun(100, func() { For(4, body) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkForEmptyBody(b *testing.B) {
	b.ReportAllocs()
	body := func(int) {}
	for b.Loop() {
		For(Threads(), body)
	}
}

func ExampleForBlocks() {
	x := []float64{1, 2, 3, 4, 5, 6, 7}
	const block = 3
	partial := make([]float64, (len(x)+block-1)/block)
	ForBlocks(len(x), block, func(lo, hi int) {
		for _, v := range x[lo:hi] {
			partial[lo/block] += v
		}
	})
	sum := 0.0
	for _, p := range partial { // in order: the same sum on any number of threads
		sum += p
	}
	fmt.Println(sum)
	// Output: 28
}

// As many computations as threads have one each; fewer have all.
func TestShare(t *testing.T) {
	setThreads(t, 2)
	first := Share()
	if n := Limit(0).Threads(); n != 2 {
		t.Errorf("one that shares with nobody has %d threads, want 2", n)
	}
	second := Share()
	if n := Limit(0).Threads(); n != 1 {
		t.Errorf("each of two has %d threads, want 1", n)
	}
	last := -1 // on one goroutine, in order
	For(100, func(i int) {
		if i != last+1 {
			t.Fatalf("iteration %d after %d", i, last)
		}
		last = i
	})
	second()
	first()
	if n := Limit(0).Threads(); n != 2 || Threads() != 2 {
		t.Errorf("%d and %d threads, want 2", n, Threads())
	}
}
