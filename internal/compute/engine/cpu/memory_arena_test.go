package cpu

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// checkWhole fails unless every chunk is one hole.
func checkWhole(t interface{ Fatalf(string, ...any) }, a *arena) {
	want := make([]span, len(a.chunks))
	for i, c := range a.chunks {
		want[i] = span{i, 0, len(c.data)}
	}
	if !slices.Equal(a.holes, want) {
		t.Fatalf("all is free, but the holes are %v and not the chunks %v", a.holes, want)
	}
}

func TestArena(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type taken struct {
			span
			mark float32
		}
		var a arena
		var live []taken
		mark := float32(0)
		give := func(i int) {
			for _, v := range a.memory(live[i].span) {
				if v != live[i].mark {
					t.Fatalf("%v holds %g of another span, its own is %g", live[i].span, v, live[i].mark)
				}
			}
			a.give(live[i].span)
			live = slices.Delete(live, i, i+1)
		}
		// Sizes about a line, about what a chunk has, and between.
		size := rapid.OneOf(rapid.IntRange(0, 3*line), rapid.IntRange(0, firstChunk), rapid.IntRange(firstChunk-line, firstChunk+2*line))
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				n := size.Draw(t, "size")
				s, fresh := a.take(n)
				x := a.memory(s)
				if len(x) < max(n, 1) || len(x) >= n+2*line || cap(x) != len(x) {
					t.Fatalf("%d elements of capacity %d for %d", len(x), cap(x), n)
				}
				if at := uintptr(unsafe.Pointer(&x[0])); at%(4*line) != 0 {
					t.Fatalf("%v lies at %#x", s, at)
				}
				mark++
				for i, v := range x {
					if fresh && v != 0 {
						t.Fatalf("%v is said to be fresh and holds %g", s, v)
					}
					x[i] = mark
				}
				live = append(live, taken{s, mark})
			},
			"give": func(t *rapid.T) {
				if len(live) > 0 {
					give(rapid.IntRange(0, len(live)-1).Draw(t, "which"))
				}
			},
			"": func(t *rapid.T) {
				free := 0
				for i, h := range a.holes {
					free += h.end - h.start
					if h.start >= h.end || i > 0 && a.holes[i-1].chunk == h.chunk && a.holes[i-1].end >= h.start {
						t.Fatalf("hole %d of %v is empty, out of order or not merged", i, a.holes)
					}
				}
				for _, l := range live {
					free += l.end - l.start
				}
				if free != a.total {
					t.Fatalf("%d elements are free or taken, of %d", free, a.total)
				}
			},
		})
		for len(live) > 0 {
			give(0)
		}
		checkWhole(t, &a)
	})
}

// Batches of changing size, taken apart in the reverse order with gradients between
// as the tape does, need little more memory than the largest of them.
func TestRaggedBatchesShareMemory(t *testing.T) {
	var a arena
	for range 50 { // parameters
		a.take(40_000)
	}
	live, most := a.total, 0
	for _, h := range a.holes {
		live -= h.end - h.start
	}
	take := func(n int) span {
		s, _ := a.take(n)
		live += s.end - s.start
		most = max(most, live)
		return s
	}
	give := func(s span) {
		a.give(s)
		live -= s.end - s.start
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		rows := 100 + r.IntN(400)
		var values []span
		for range 20 {
			values = append(values, take(rows*64), take(rows*2), take(rows*256), take(r.IntN(rows*60)))
		}
		gradient := take(rows * 64)
		for _, v := range slices.Backward(values) {
			next := take(v.end - v.start)
			give(gradient)
			give(v)
			gradient = next
		}
		give(gradient)
	}
	used := 0
	for _, c := range a.chunks {
		used += c.used
	}
	if used > most*5/4 {
		t.Errorf("%d elements were used where at most %d were needed at a time", used, most)
	}
	if len(a.holes) > len(a.chunks) {
		t.Errorf("%d holes in %d chunks between batches", len(a.holes), len(a.chunks))
	}
}
