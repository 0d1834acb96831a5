package xla

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

func TestSumsOfRows(t *testing.T) {
	for _, rows := range sizes {
		same(t, 2e-6, 0, func(d engine.Device, n *numbers) []*engine.Tensor {
			x, sum, more, mean, y := n.value(rows, 5), d.New(1, 5), n.value(1, 5), d.New(1, 5), d.New(rows, 5)
			d.SumRows(sum, x, false)
			d.SumRows(more, x, true)
			d.MeanRows(mean, x)
			d.ScaleColumns(y, x, more)
			return []*engine.Tensor{sum, more, mean, y}
		})
	}
}

func TestRowsByIndex(t *testing.T) {
	many := make([]int32, 100) // a place has up to 19 of them
	for i := range many {
		many[i] = int32(i * i % 11)
	}
	for _, ids := range [][]int32{nil, {3}, {9, 3, 1}, {10, 0, 3, 10, 10, 7, 0, 1, 2}, many} {
		same(t, 1e-6, 3, func(d engine.Device, n *numbers) []*engine.Tensor {
			rows := len(ids)
			first := make([]bool, rows)
			for i := range first {
				first[i] = i%3 == 1
			}
			table, y, more := n.value(11, 4), d.New(rows, 4), n.gradient(rows, 4)
			d.Gather(y, table, ids, false)
			d.Gather(more, table, ids, true)
			dy, sums, some := n.gradient(rows, 4), n.gradient(11, 4), n.gradient(11, 4)
			d.ScatterAdd(sums, ids, dy, nil)
			d.ScatterAdd(some, ids, n.value(rows, 4), first)
			return []*engine.Tensor{y, more, sums, some}
		})
	}
}

func TestStackedRowsByIndex(t *testing.T) {
	for _, c := range []struct {
		a, b int
		ids  []int32
	}{{9, 3, []int32{0, 8, 9, 11, 8, 11, 2, 0, 3}}, {0, 9, []int32{8, 0}}, {11, 0, []int32{10}}, {9, 2, nil}} {
		same(t, 1e-6, 2, func(d engine.Device, n *numbers) []*engine.Tensor {
			y, da, db := d.New(len(c.ids), 4), d.New(c.a, 4), d.New(c.b, 4)
			d.GatherStack(y, n.value(c.a, 4), n.value(c.b, 4), c.ids)
			d.GatherStackBackward(da, db, c.ids, n.gradient(len(c.ids), 4))
			return []*engine.Tensor{y, da, db}
		})
	}
}

// TestLanding adds numbers where they land, one after the other, and beside it as the rows are given.
func TestLanding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.Int32Range(0, 6), 0, 30).Draw(t, "ids")
		var first []bool
		if rapid.Bool().Draw(t, "overwrite") {
			first = rapid.SliceOfN(rapid.Bool(), len(ids), len(ids)).Draw(t, "first")
		}
		want, got := [7]int{1, 2, 3, 4, 5, 6, 7}, [7]int{1, 2, 3, 4, 5, 6, 7}
		for i, id := range ids {
			if first != nil && first[i] {
				want[id] = 0
			}
			want[id] += 100 * i
		}
		l := landingOf(ids, first)
		repeated := false
		for i, to := range l.to {
			begins := i == 0 || l.to[i-1] != to
			repeated = repeated || !begins
			if first != nil && l.over[i] == 1 && begins {
				got[to] = 0
			}
			got[to] += 100 * int(l.from[i])
		}
		if got != want || bool(l.sums) != repeated || !slices.IsSorted(l.to) {
			t.Errorf("%v and %v: %+v adds up to %v, want %v", ids, first, l, got, want)
		}
	})
}

func TestIndicesOutOfRange(t *testing.T) {
	d := open(t, Options{})
	x := d.New(9, 2)
	for name, run := range map[string]func(ids []int32, rows *engine.Tensor){
		"gather":                func(ids []int32, rows *engine.Tensor) { d.Gather(rows, x, ids, false) },
		"scatter add":           func(ids []int32, rows *engine.Tensor) { d.ScatterAdd(x, ids, rows, nil) },
		"gather stack":          func(ids []int32, rows *engine.Tensor) { d.GatherStack(rows, x, d.New(0, 2), ids) },
		"gather stack backward": func(ids []int32, rows *engine.Tensor) { d.GatherStackBackward(x, d.New(0, 2), ids, rows) },
	} {
		refuses(t, name, func() { run([]int32{9}, d.New(1, 2)) })
		refuses(t, name, func() { run([]int32{-1}, d.New(1, 2)) })
		refuses(t, name, func() { run([]int32{1}, d.New(2, 2)) })
	}
	if n := len(d.trace.calls); n != 0 {
		t.Errorf("%d operations were recorded", n)
	}
}

func TestColumns(t *testing.T) {
	for _, rows := range sizes {
		same(t, 0, 0, func(d engine.Device, n *numbers) []*engine.Tensor {
			x, y, z := n.value(rows, 3), d.New(rows, 8), d.New(rows, 4)
			d.Concatenate(y, x, n.value(rows, 4), n.value(rows, 1))
			d.Slice(z, y, 2)
			return []*engine.Tensor{y, z}
		})
	}
	d := open(t, Options{})
	refuses(t, "slice", func() { d.Slice(d.New(1, 2), d.New(1, 3), 2) })
	refuses(t, "concatenate", func() { d.Concatenate(d.New(1, 2), d.New(1, 1), d.New(2, 1)) })
}

// A layer forward and backward, of any number of rows: the results are those of the CPU engine, and what lies behind the rows of
// gradients is zero.
func TestAnyNumberOfRows(t *testing.T) {
	x := open(t, Options{})
	rapid.Check(t, func(r *rapid.T) {
		rows := rapid.IntRange(0, 70).Draw(r, "rows")
		ids := rapid.SliceOfN(rapid.Int32Range(0, 20), rows, rows).Draw(r, "ids")
		drop := engine.Dropout{Prob: 0.1, Key: rapid.Uint64().Draw(r, "key"), Stream: rapid.Uint64().Draw(r, "stream")}
		sameOn(r, x, 5e-6, 3, func(d engine.Device, n *numbers) []*engine.Tensor {
			const cols = 6
			table, scale, bias := n.value(21, cols), n.value(1, cols), n.value(1, cols)
			e, a, y, sum, stats, total := d.New(rows, cols), d.New(rows, cols), d.New(rows, cols), d.New(rows, cols), d.New(rows, 2), d.New(1, cols)
			d.Gather(e, table, ids, false)
			d.Activate(a, e, engine.Epilogue{Activation: engine.GELU})
			d.AddNorm(y, sum, stats, e, a, scale, bias, 1e-5, drop)
			d.SumRows(total, y, false)
			dx, da, dscale, dbias, again := d.New(rows, cols), d.New(rows, cols), d.New(1, cols), d.New(1, cols), d.New(rows, cols)
			d.AddNormBackward(dx, da, dscale, dbias, n.gradient(rows, cols), sum, scale, stats, drop)
			d.ActivateBackward(da, again, da, e, engine.GELU)
			d.Add(dx, dx, da)
			dtable := n.gradient(21, cols)
			d.ScatterAdd(dtable, ids, dx, nil)
			return []*engine.Tensor{y, total, again, dscale, dbias, dx, da, dtable}
		})
	})
}
