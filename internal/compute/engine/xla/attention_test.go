package xla

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// offsets returns where sequences of the given lengths begin, and their end.
func offsets(lengths ...int) []int32 {
	list := []int32{0}
	for _, n := range lengths {
		list = append(list, list[len(list)-1]+int32(n))
	}
	return list
}

// attend returns what attention and its backward form compute, the gradients last.
func attend(d engine.Device, n *numbers, a engine.Attention, width int) []*engine.Tensor {
	hidden := a.Heads * width
	queries, keys := int(a.Queries[len(a.Queries)-1]), int(a.Keys[len(a.Keys)-1])
	q, k, v := n.value(queries, hidden), n.value(keys, hidden), n.value(keys, hidden)
	y, again, stats := d.New(queries, hidden), d.New(queries, hidden), d.New(queries, a.Heads)
	d.Attention(y, stats, q, k, v, a)
	d.Attention(again, nil, q, k, v, a)
	dq, dk, dv := d.New(queries, hidden), d.New(keys, hidden), d.New(keys, hidden)
	d.AttentionBackward(dq, dk, dv, n.gradient(queries, hidden), stats, q, k, v, a)
	return []*engine.Tensor{stats, y, again, dq, dk, dv}
}

func TestAttention(t *testing.T) {
	whole := offsets(13, 0, 2, 1)
	for _, a := range []engine.Attention{
		{Heads: 2, Queries: offsets(), Keys: offsets()},
		{Heads: 2, Queries: offsets(0), Keys: offsets(3)},
		{Heads: 2, Queries: offsets(2), Keys: offsets(0)},
		{Heads: 1, Queries: offsets(1), Keys: offsets(1)},
		{Heads: 3, Queries: whole, Keys: whole},
		{Heads: 3, Queries: whole, Keys: whole, Dropout: engine.Dropout{Prob: 0.3}},
		{Heads: 2, Queries: offsets(8), Keys: offsets(8), Dropout: engine.Dropout{Prob: 1}},
		{Heads: 2, Queries: offsets(1, 1, 1), Keys: offsets(5, 17, 7), Dropout: engine.Dropout{Prob: 0.5}},
		{Heads: 2, Queries: offsets(0, 0, 3, 2, 9, 1, 0, 1, 1), Keys: offsets(0, 4, 0, 7, 3, 5, 0, 0, 1), Dropout: engine.Dropout{Prob: 0.2}},
		{Heads: 2, Queries: whole, Keys: whole, Prefix: []int32{6, 0, 0, 1}},
		{Heads: 2, Queries: offsets(301, 17), Keys: offsets(301, 17), Prefix: []int32{203, 0}, Dropout: engine.Dropout{Prob: 0.1}},
		{Heads: 2, Queries: offsets(3, 1, 7, 0, 5, 2), Keys: offsets(9, 4, 7, 3, 12, 0), Prefix: []int32{4, 4, 0, 2, 10, 0}, Dropout: engine.Dropout{Prob: 0.2}},
	} {
		a.Dropout.Key, a.Dropout.Stream = 7<<40+1, 11<<33+5
		t.Run(fmt.Sprintf("%v to %v behind %v drop %g", a.Queries, a.Keys, a.Prefix, a.Dropout.Prob), func(t *testing.T) {
			same(t, 2e-6, 5, func(d engine.Device, n *numbers) []*engine.Tensor { return attend(d, n, a, 5) })
		})
	}
}

// Any division of rows, and any dropout, gives what the engine for processors gives, and gradients of zero behind the rows.
func TestAttentionOfAnyBatch(t *testing.T) {
	d := open(t, Options{})
	rapid.Check(t, func(t *rapid.T) {
		a := engine.Attention{Heads: 2, Dropout: engine.Dropout{Prob: 0.4, Key: rapid.Uint64().Draw(t, "key"), Stream: rapid.Uint64().Draw(t, "stream")}}
		// Programs are few: the longest has 6 rows, and all together 9 to 12.
		lengths := []int{6, 0, 0}
		for left := rapid.IntRange(3, 6).Draw(t, "others"); left > 0; left-- {
			lengths[rapid.IntRange(1, 2).Draw(t, "sequence")]++
		}
		lengths = rapid.Permutation(lengths).Draw(t, "lengths")
		a.Queries = offsets(lengths...)
		a.Keys = a.Queries
		if rapid.Bool().Draw(t, "causal") {
			for _, n := range lengths {
				a.Prefix = append(a.Prefix, int32(rapid.IntRange(0, n).Draw(t, "prefix")))
			}
		}
		sameOn(t, d, 2e-6, 5, func(d engine.Device, n *numbers) []*engine.Tensor { return attend(d, n, a, 3) })
	})
	if n := d.Stats().Compiled; n > 4 {
		t.Errorf("%d programs", n)
	}
}

// With rounded factors it is about the same, and behind the rows there are zeros still.
func TestAttentionOfRoundedFactors(t *testing.T) {
	a := engine.Attention{Heads: 2, Queries: offsets(9, 4), Keys: offsets(9, 4), Dropout: engine.Dropout{Prob: 0.1, Stream: 3}}
	sameOn(t, open(t, Options{Precision: BFloat16}), 0.1, 5, func(d engine.Device, n *numbers) []*engine.Tensor { return attend(d, n, a, 8) })
}

func TestLong(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 1, 4: 4, 5: 8, 9: 16, 25: 32, 33: 64, 65: 128, 129: 192, 256: 256, 257: 320, 512: 512, 513: 576, 613: 640} {
		if got := long(n); got != want {
			t.Errorf("long(%d) = %d, want %d", n, got, want)
		}
	}
	for n := range 2000 {
		if l := long(n); l < n || long(l) != l || n > 0 && l >= 2*n {
			t.Fatalf("long(%d) = %d", n, l)
		}
	}
}

// refused fails the test unless run panics with a shape error and records nothing.
func refused(t *testing.T, d *Device, name string, run func()) {
	t.Helper()
	before := len(d.trace.calls) + len(d.trace.inputs)
	defer func() {
		t.Helper()
		if _, ok := recover().(engine.ShapeError); !ok {
			t.Errorf("%s: no shape error", name)
		}
		if len(d.trace.calls)+len(d.trace.inputs) != before {
			t.Errorf("%s: something was recorded", name)
		}
	}()
	run()
}

func TestAttentionRefuses(t *testing.T) {
	d := open(t, Options{})
	x, good := d.New(4, 6), []int32{0, 4}
	for name, a := range map[string]engine.Attention{
		"five heads":               {Heads: 5, Queries: good, Keys: good},
		"no offsets":               {Heads: 2},
		"too few queries":          {Heads: 2, Queries: []int32{0, 3}, Keys: good},
		"too many keys":            {Heads: 2, Queries: good, Keys: []int32{0, 5}},
		"a prefix behind the keys": {Heads: 2, Queries: good, Keys: good, Prefix: []int32{5}},
	} {
		refused(t, d, name, func() { d.Attention(d.New(4, 6), nil, x, x, x, a) })
	}
	refused(t, d, "a short gradient", func() {
		d.AttentionBackward(d.New(3, 6), x, x, x, d.New(4, 2), x, x, x, engine.Attention{Heads: 2, Queries: good, Keys: good})
	})
}
