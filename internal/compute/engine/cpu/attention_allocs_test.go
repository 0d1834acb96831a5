//go:build !race

// With the race detector a sync.Pool drops things at random.

package cpu

import (
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

func allocatesNothing(t *testing.T, run func()) {
	t.Helper()
	run()
	if n := testing.AllocsPerRun(50, run); n > 0.5 { // the pools may be emptied now and then
		t.Errorf("%v allocations", n)
	}
}

func TestAttentionAllocatesNothing(t *testing.T) {
	for _, c := range []attentionCase{
		selfAttention([]int{70, 13, 1}, 2, 16, 0.1),
		selfAttention([]int{70, 13, 1}, 2, 16, 0.1).behind(50, 0, 1),
	} {
		d := New()
		n, _ := c.rows()
		x := func(name string) *engine.Tensor { return d.Wrap(n, c.hidden(), random(n*c.hidden(), name)) }
		q, k, v, dy, y, dq, dk, dv, stats := x("q"), x("k"), x("v"), x("dy"), x("y"), x("dq"), x("dk"), x("dv"), d.New(n, c.heads)
		a := c.attention()
		allocatesNothing(t, func() {
			d.Attention(y, stats, q, k, v, a)
			d.AttentionBackward(dq, dk, dv, dy, stats, q, k, v, a)
		})
	}
}

func TestDecodingAllocatesNothing(t *testing.T) {
	d := New()
	c := decodingCases[len(decodingCases)-1]
	x := c.tensors(d)
	y, a := d.New(c.rows(), c.hidden()), c.attention()
	logits := d.Wrap(5, 3*topKChunk, random(15*topKChunk, "x"))
	ids, values, sums := make([]int32, 5*7), make([]float32, 5*7), make([]float64, 5)
	allocatesNothing(t, func() {
		d.CachedAttention(y, x["q"], x["sk"], x["sv"], x["k"], x["v"], a)
		d.TopK(ids, values, sums, logits, 7, 3)
	})
}

func TestVocabularyLossAllocatesNothing(t *testing.T) {
	for _, op := range []engine.Transpose{engine.NN, engine.NT} {
		const n, hidden, vocab = 20, 16, 3*lossTask + 5
		d := New()
		w, dw := d.Wrap(hidden, vocab, random(hidden*vocab, "w")), d.New(hidden, vocab)
		if op == engine.NT {
			w, dw = d.Wrap(vocab, hidden, random(hidden*vocab, "w")), d.New(vocab, hidden)
		}
		x, bias, dx, db := d.Wrap(n, hidden, random(n*hidden, "x")), d.Wrap(1, vocab, random(vocab, "bias")), d.New(n, hidden), d.New(1, vocab)
		loss, dloss, stats, labels := d.New(1, 1), d.Wrap(1, 1, []float32{1}), d.New(n, 1), randomRows(n, vocab)
		allocatesNothing(t, func() {
			d.VocabularyLoss(loss, stats, x, engine.Plain(w, op), bias, labels, 0.1)
			d.VocabularyLossBackward(dx, dw, db, dloss, stats, x, engine.Plain(w, op), bias, labels, 0.1, false, true)
		})
	}
}
