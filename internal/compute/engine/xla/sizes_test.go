package xla

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// The sizes of batches that are served are few, lie on the grid, and come by their rows.
func TestSizes(t *testing.T) {
	list := Sizes(2048)
	for most, want := range map[int]int{64: 20, 128: 26, 256: 31, 512: 35, 2048: 40} {
		n := 0
		for _, z := range list {
			if z.Longest <= most {
				n++
			}
		}
		if n != want {
			t.Errorf("%d sizes have sequences of up to %d, want %d", n, most, want)
		}
	}
	for i, z := range list {
		if grid(z.Rows) != z.Rows || grid(z.Sequences) != z.Sequences || long(z.Longest) != z.Longest || z.Longest > z.Rows || z.Sequences*z.Longest < z.Rows {
			t.Errorf("size %+v", z)
		}
		if i > 0 && z.Rows < list[i-1].Rows {
			t.Errorf("size %+v comes after %+v", z, list[i-1])
		}
	}
}

// A batch has the smallest size that it fits into. What rows its tensors have then depends on that size alone.
func TestFit(t *testing.T) {
	list := Sizes(2048)
	for _, c := range []struct{ is, want engine.Size }{
		{engine.Size{Rows: 3, Sequences: 1, Longest: 3}, engine.Size{Rows: 32, Sequences: 1, Longest: 32}},
		{engine.Size{Rows: 33, Sequences: 1, Longest: 33}, engine.Size{Rows: 64, Sequences: 1, Longest: 64}},
		{engine.Size{Rows: 4, Sequences: 2, Longest: 2}, engine.Size{Rows: 64, Sequences: 16, Longest: 16}},
		{engine.Size{Rows: 60, Sequences: 4, Longest: 40}, engine.Size{Rows: 64, Sequences: 4, Longest: 64}},
		{engine.Size{Rows: 60, Sequences: 5, Longest: 40}, engine.Size{Rows: 128, Sequences: 8, Longest: 64}},
		{engine.Size{Rows: 2048, Sequences: 128, Longest: 16}, engine.Size{Rows: 2048, Sequences: 512, Longest: 16}},
		{engine.Size{Rows: 2048, Sequences: 1, Longest: 2048}, engine.Size{Rows: 2048, Sequences: 1, Longest: 2048}},
		{engine.Size{Rows: 2049, Sequences: 128, Longest: 20}, engine.Size{}},
		{engine.Size{Rows: 2, Sequences: 2, Longest: 1}, engine.Size{}},
		{engine.Size{}, engine.Size{}},
	} {
		if got := Smallest(list, c.is); got != c.want {
			t.Errorf("%+v becomes %+v, want %+v", c.is, got, c.want)
		}
	}
	if got := Smallest(nil, engine.Size{Rows: 8, Sequences: 1, Longest: 8}); got != (engine.Size{}) {
		t.Errorf("without sizes a batch becomes %+v", got)
	}
	d := &Device{shared: &shared{options: Options{Sizes: list}}}
	for _, rows := range []int{10, 17, 60} { // fewer than there may be sequences, and more
		d.Fit(engine.Size{Rows: rows, Sequences: 3, Longest: 9})
		for n, want := range map[int]int{0: 0, 1: 1, 2: 16, 3: 16, rows: 64, 63: 64, 64: 64, 65: 80} {
			if got := d.room(n); got != want {
				t.Errorf("%d of a batch of %d rows have room for %d, want %d", n, rows, got, want)
			}
		}
		for n, want := range map[int]int{0: 0, 1: 1, 2: 2, 9: 16} {
			if got := d.places(n); got != want {
				t.Errorf("%d of a batch whose longest has 9 have %d places, want %d", n, got, want)
			}
		}
	}
	d.Fit(engine.Size{Rows: 40, Sequences: 3, Longest: 30}) // becomes 64 rows
	d.FitParts(true)
	for n, want := range map[int]int{0: 0, 1: 64, 2: 64, 40: 64, 64: 64, 65: 80} {
		if got := d.room(n); got != want {
			t.Errorf("%d of a part have room for %d, want %d", n, got, want)
		}
	}
	d.Fill(engine.Size{}, engine.Size{Rows: 100, Sequences: 1})
	if d.room(3) != 100 || d.room(1) != 1 || d.room(101) != 112 {
		t.Errorf("of a batch that is filled up to 100 rows, 3 have room for %d and 101 for %d", d.room(3), d.room(101))
	}
	d.Fit(engine.Size{})
	if d.room(17) != 20 || d.places(9) != 16 || d.places(140) != 192 {
		t.Errorf("without a batch 17 rows have room for %d, and 140 %d places", d.room(17), d.places(140))
	}
}

// What is computed of a batch that is filled up is the same, whatever lies behind its rows. One program serves all batches of a size.
func TestBatchesAreFilledUp(t *testing.T) {
	d := open(t, Options{Sizes: Sizes(64)})
	for _, ends := range [][]int32{{0, 3, 5}, {0, 7, 12, 13, 20}, {0, 16, 18, 20}} {
		rows, n := int(ends[len(ends)-1]), len(ends)-1
		s := engine.Size{Rows: rows, Sequences: n}
		firsts := make([]int32, n)
		for i := range firsts {
			firsts[i] = ends[i]
			s.Longest = max(s.Longest, int(ends[i+1]-ends[i]))
		}
		sameOn(t, d, 1e-6, 0, func(d engine.Device, num *numbers) []*engine.Tensor {
			engine.Fit(d, s)
			defer engine.Fit(d, engine.Size{})
			x, w, bias := num.value(rows, 8), num.value(8, 8), num.value(1, 8)
			q, y, z := d.New(rows, 8), d.New(rows, 8), d.New(n, 8)
			d.Linear(q, x, engine.Plain(w, engine.NN), bias)
			d.Attention(y, nil, q, x, x, engine.Attention{Heads: 2, Queries: ends, Keys: ends})
			d.Gather(z, y, firsts, false)
			sums := make([]float64, 2)
			d.SumSquares(sums, []*engine.Tensor{z, y}, nil)
			return []*engine.Tensor{y, z, d.Wrap(1, 2, []float32{float32(sums[0]), float32(sums[1])})}
		})
	}
	if s := d.Stats(); s.Compiled != 1 {
		t.Errorf("%d programs, want 1", s.Compiled)
	}
}

// It does not matter to a program how many rows of a batch come from where, and a copy may have room for more.
func TestBatchesOfParts(t *testing.T) {
	d := open(t, Options{Sizes: Sizes(64)})
	for _, n := range []struct{ first, second int }{{5, 30}, {1, 40}, {31, 2}} {
		rows := n.first + n.second
		sameOn(t, d, 1e-6, 0, func(d engine.Device, num *numbers) []*engine.Tensor {
			engine.Fit(d, engine.Size{Rows: rows, Sequences: 2, Longest: max(n.first, n.second)})
			defer engine.Fit(d, engine.Size{})
			engine.FitParts(d, true)
			a, b := num.value(n.first, 8), num.value(n.second, 8)
			engine.FitParts(d, false)
			ids := make([]int32, rows)
			for i := range ids {
				ids[i] = int32(rows - 1 - i)
			}
			y := d.New(rows, 8)
			d.GatherStack(y, a, b, ids)
			engine.Fill(d, engine.Size{}, engine.Size{Rows: 100})
			engine.FitParts(d, true)
			z := d.New(rows, 8)
			d.Copy(z, y)
			return []*engine.Tensor{y, z}
		})
	}
	if s := d.Stats(); s.Compiled != 1 {
		t.Errorf("%d programs, want 1", s.Compiled)
	}
}

// Requests of texts as people write them meet no other sizes, and few rows are added.
func TestServedBatches(t *testing.T) {
	list := Sizes(2048)
	for _, c := range []struct {
		name         string
		median, most float64 // tokens
		waiting      int     // requests that go together at most
		more         float64 // rows, at most
	}{
		{"short texts, few clients", 14, 64, 8, 0.55},
		{"short texts, many clients", 14, 64, 200, 0.3},
		{"passages, few clients", 120, 512, 8, 0.45},
		{"passages, many clients", 120, 512, 200, 0.15},
	} {
		rng := rand.New(rand.NewPCG(1, 2))
		met, sizes := map[engine.Size]int{}, map[engine.Size]bool{}
		rows, room, places, batches := 0, 0, 0, 0
		for range 300 {
			var lengths []int
			for range 1 + rng.IntN(c.waiting) {
				for range []int{1, 2, 3, 5, 8, 16}[rng.IntN(6)] {
					lengths = append(lengths, int(min(c.most, max(3, c.median*math.Exp(0.6*rng.NormFloat64())))))
				}
			}
			slices.SortFunc(lengths, func(a, b int) int { return b - a })
			for len(lengths) > 0 {
				n := min(len(lengths), 2048/lengths[0])
				s := engine.Size{Sequences: n, Longest: lengths[0]}
				for _, l := range lengths[:n] {
					s.Rows += l
				}
				lengths = lengths[n:]
				z := Smallest(list, s)
				if z.Rows == 0 {
					t.Fatalf("%s: %+v fits into no size", c.name, s)
				}
				met[z]++
				sizes[engine.Size{Rows: grid(s.Rows), Sequences: grid(s.Sequences), Longest: long(s.Longest)}] = true
				rows, room, places, batches = rows+s.Rows, room+z.Rows, places+z.Sequences*z.Longest, batches+1
			}
		}
		more := float64(room)/float64(rows) - 1
		t.Logf("%s: %d batches of %.0f rows, %d programs (of the grid %d), %.0f %% more rows, %.1f places a row", c.name, batches, float64(rows)/float64(batches), len(met), len(sizes), 100*more, float64(places)/float64(rows))
		if more > c.more {
			t.Errorf("%s: %.2f more rows", c.name, more)
		}
	}
}
