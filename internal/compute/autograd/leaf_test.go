package autograd

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// The gradient to one leaf is that of a whole backward pass, leaves the tape as it is, and reaches nothing else.
func TestGradientToALeaf(t *testing.T) {
	d := watch()
	w, b, w1, b1 := d.param(normal("w", 4, 4)), d.param(normal("b", 1, 4)), d.param(normal("w1", 4, 8)), d.param(normal("b1", 1, 8))
	words, other := d.param(normal("words", 5, 4)), Leaf(d.constant(normal("other", 6, 4)).Value)
	weight, inner, outer := nn(w), nn(w1), nt(w1)
	attention := dropping(engine.Attention{Heads: 2, Queries: []int32{0, 2, 6}, Keys: []int32{0, 2, 6}}, 0.2)
	tape := NewTape(d, Seed{})
	pass := func(x *Var) *Var {
		tape.Reset(Seed{Key: 1, Pass: 1})
		y := tape.Dropout(tape.LayerNorm(tape.Add(tape.Embed(Lookup{words, ids}), x), b, b, normEpsilon), 0.2)
		y = tape.Add(y, tape.Shifted(make([]float32, 24), other))
		y = tape.AddNorm(y, tape.Attention(tape.Linear(y, weight, b), y, y, attention), b, b, normEpsilon, 0.2)
		y = tape.AddNorm(y, tape.FeedForward(y, inner, b1, outer, b, engine.GELU), b, b, normEpsilon, 0.2)
		return tape.Add(tape.CrossEntropy(y, []int32{0, 1, 2, 3, 0, 1}, 0), tape.VocabularyLoss(y, weight, b, []int32{0, 1, 2, 3, 0, 1}, 0.1))
	}
	params := []*Var{w, b, w1, b1, words}
	gradients := func() (all [][]float32) {
		for _, p := range params {
			all = append(all, d.gradient(p))
			p.Gradient().Clear()
		}
		g := other.Slopes()
		all = append(all, d.values(g))
		d.Free(g)
		return all
	}
	x := Leaf(d.constant(normal("x", 6, 4)).Value)
	tape.Backward(pass(x), 0.5)
	whole := x.Slopes()
	want := gradients()

	before := len(d.live)
	loss := pass(x)
	recorded := len(d.live)
	tape.Gradient(loss, 0.5, x)
	alone := x.Slopes()
	if !slices.Equal(d.values(alone), d.values(whole)) {
		t.Errorf("%v, want %v", d.values(alone), d.values(whole))
	}
	for i, p := range params {
		if p.Gradient().Extent() != Empty {
			t.Errorf("parameter %d has a gradient", i)
		}
	}
	if d.Free(alone); len(d.live) != recorded || other.grad != nil {
		t.Errorf("%d tensors are alive, want %d; the other leaf has the gradient %v", len(d.live), recorded, other.grad)
	}
	tape.Backward(loss, 0.5)
	if got := gradients(); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("a backward pass behind it: %v, want %v", got, want)
	}
	if d.Free(x.Slopes()); len(d.live) != before {
		t.Errorf("%d tensors are alive, want %d", len(d.live), before)
	}
}

// A leaf gathers what passes bring it.
func TestLeafAccumulates(t *testing.T) {
	d := watch()
	x, tape := Leaf(d.constant(normal("x", 2, 3)).Value), NewTape(d, Seed{})
	for range 2 {
		slopes := d.New(2, 3)
		d.Write(slopes, []float32{1, 2, 3, 4, 5, 6})
		tape.Backward(tape.Given(x, slopes), 1)
	}
	if got := d.values(x.Slopes()); !slices.Equal(got, []float32{2, 4, 6, 8, 10, 12}) || x.Slopes() != nil {
		t.Errorf("%v", got)
	}
}

// A preview has the values of the pass that records, dropout included, and none of its memory.
func TestPreview(t *testing.T) {
	d := watch()
	x, w, b := d.constant(normal("x", 6, 4)), d.param(normal("w", 4, 4)), d.param(normal("b", 1, 4))
	weight := nn(w)
	pass := func(tape *Tape) *Var {
		tape.Reset(Seed{Key: 1, Pass: 3})
		return tape.Block(func() *Var {
			return tape.AddNorm(x, tape.Dropout(tape.FeedForward(x, weight, b, weight, b, engine.GELU), 0.3), b, b, normEpsilon, 0.3)
		})
	}
	recording, preview := NewTape(d, Seed{}), NewPreview(d)
	before := len(d.live)
	got := d.values(pass(preview).Value)
	if n := len(d.live) - before; n != 1 {
		t.Errorf("%d tensors are alive, want the result", n)
	}
	if want := d.values(pass(recording).Value); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	preview.Release()
	recording.Release()
}

// Slopes that are given flow back as those of another loss do, beside it.
func TestGivenSlopes(t *testing.T) {
	d := watch()
	x, tape := Leaf(d.constant(normal("x", 3, 4)).Value), NewTape(d, Seed{})
	y, slopes := tape.Scale(x, 2), d.New(3, 4)
	d.Write(slopes, shares)
	given := tape.Given(y, slopes)
	if got := d.values(given.Value); got[0] != 0 {
		t.Errorf("its value is %v", got)
	}
	tape.Backward(tape.Add(tape.SquaredError(y, d.values(y.Value)), tape.Scale(given, 3)), 0.5)
	for i, got := range d.values(x.Slopes()) {
		if want := 2 * 3 * 0.5 * shares[i]; got != want {
			t.Errorf("element %d is %g, want %g", i, got, want)
		}
	}
}

// What is counted several times keeps its value.
func TestCounted(t *testing.T) {
	d := watch()
	x, tape := Leaf(d.Wrap(1, 1, []float32{3})), NewTape(d, Seed{})
	y := tape.Counted(x, 5)
	if got := d.values(y.Value); got[0] != 3 {
		t.Errorf("the value is %g, want 3", got[0])
	}
	tape.Backward(y, 0.5)
	if got := d.values(x.Slopes()); got[0] != 2.5 {
		t.Errorf("the gradient is %g, want 2.5", got[0])
	}
}
