//go:build !race

// With the race detector a sync.Pool drops things at random.

package autograd

import (
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// A tape that is used again for a pass of the same size allocates nothing.
func TestPassesAllocateNothing(t *testing.T) {
	d := cpu.New()
	param := func(rows, cols int) *Var {
		v := Param(d.New(rows, cols), NewGradient(d.New(rows, cols)))
		d.Zero(v.Value)
		return v
	}
	words, w, b, w1, b1, w2, b2 := param(5, 6), param(6, 6), param(1, 6), param(6, 12), param(1, 12), param(12, 6), param(1, 6)
	targets := []float32{1, 2, 3, 4, 5, 6}
	one, zero := param(6, 1), param(1, 1)
	weight, transposed, weight1, weight2, weightOne := nn(w), nt(w), nn(w1), nn(w2), nn(one)
	offsets, rows := []int32{0, 2, 6}, []int32{6, 0, 1, 6, 5, 2}
	attention := engine.Attention{Heads: 2, Queries: offsets, Keys: offsets, Prefix: []int32{1, 2}, Dropout: engine.Dropout{Prob: 0.1}}
	labels := []int32{0, 1, 2, 3, 4, 5}
	kinds, shares := make([]int8, 36), make([]float32, 36)
	kinds[0] = engine.Positive
	pass := func(tape *Tape) *Var {
		x := tape.Dropout(tape.LayerNorm(tape.Embed(Lookup{words, ids}), b, b, normEpsilon), 0.1)
		x = tape.Block(func() *Var {
			a := tape.Attention(tape.Linear(x, weight, b), tape.Linear(x, weight, b), tape.Linear(x, weight, b), attention)
			return tape.AddNorm(x, a, b, b, normEpsilon, 0.1)
		})
		x = tape.AddNorm(x, tape.FeedForward(x, weight1, b1, weight2, b2, engine.GELU), b, b, normEpsilon, 0.1)
		pairs := tape.Multiply(tape.Sigmoid(x), tape.Normalize(tape.Scale(tape.StackRows(x, tape.Input(1, 6, targets), rows), 2)))
		x = tape.Add(x, tape.ProductNT(pairs, w))
		contrast := tape.Add(tape.ContrastiveLoss(x, engine.Contrast{Group: 6, Kinds: kinds}), tape.KLDivergence(x, shares))
		circle := tape.CircleLoss(tape.Linear(x, weightOne, zero), engine.CircleLoss{Group: 3, ImageNegatives: 1, Margin: 0.2, Scale: 1})
		return tape.Add(tape.Add(tape.Add(circle, contrast), tape.SquaredError(tape.Linear(x, weightOne, zero), targets)), tape.VocabularyLoss(tape.Linear(x, transposed, b), transposed, b, labels, 0.1))
	}
	training, inference := NewTape(d, Seed{}), NewInference(d)
	for name, run := range map[string]func(){
		"training": func() {
			for _, v := range []*Var{words, w, b, w1, b1, w2, b2, one, zero} {
				v.Gradient().Clear()
			}
			training.Reset(Seed{Key: 1, Pass: 2})
			training.Backward(pass(training), 1)
		},
		"inference": func() {
			pass(inference)
			inference.Release()
		},
	} {
		if n := testing.AllocsPerRun(20, run); n > 0 {
			t.Errorf("%s: %v allocations a pass", name, n)
		}
	}
}
