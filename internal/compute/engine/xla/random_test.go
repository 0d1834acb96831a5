package xla

import (
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// drawn is words in the elements of a tensor, whose bits they are: rows x cols from element from on; emitted says that the plugin's
// generator makes none.
type drawn struct {
	rows, cols int
	from       int64
	typ        pjrt.Type // of indices; 0: words without
	emitted    bool
}

func lowerDrawn(b *builder, a drawn, ins []val) []val {
	if a.emitted {
		b.philox = func() bool { return false }
	}
	if a.typ == 0 {
		return []val{b.bits(b.reshape(b.words(ins[0], a.rows*a.cols), a.rows, a.cols), f32)}
	}
	row, col := b.iota(a.typ, 0, a.rows, a.cols), b.iota(a.typ, 1, a.rows, a.cols)
	at := b.add(b.multiply(row, b.integer(a.typ, int64(a.cols), a.rows, a.cols)), col)
	return []val{b.bits(b.wordsAt(ins[0], b.add(at, b.integer(a.typ, a.from, a.rows, a.cols))), f32)}
}

func TestWordsAreThoseOfTheProcessor(t *testing.T) {
	const key, stream = 0x0123456789abcdef, 0xfedcba9876543210
	d := open(t, Options{})
	var buffer []uint32
	for _, a := range []drawn{
		{rows: 1, cols: 1}, {rows: 7, cols: 3}, {rows: 64, cols: 65}, {rows: 64, cols: 65, emitted: true},
		{rows: 5, cols: 9, typ: pjrt.U32, from: 1<<32 - 45}, {rows: 5, cols: 9, typ: pjrt.U64, from: 1<<34 - 11},
	} {
		x := d.New(a.rows, a.cols)
		record(d, "drawn", a, lowerDrawn, []*engine.Tensor{x}, d.stream(key, stream))
		all := d.physical(of(x))
		for i, want := range kernels.Words(&buffer, a.rows*a.cols, key, stream, uint64(a.from)) {
			if got := math.Float32bits(all[i]); got != want {
				t.Fatalf("%+v: word %d is %#x, want %#x", a, i, got, want)
			}
		}
	}
	if !d.philox() {
		t.Log("the plugin's generator is another: words are emitted")
	}
}
