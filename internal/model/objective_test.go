package model

import (
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// The divergence of two outputs against float64, and its gradients by both against central differences.
func TestDivergence(t *testing.T) {
	softmax := func(row []float64) (probs []float64) {
		var total float64
		for _, x := range row {
			total += math.Exp(x)
		}
		for _, x := range row {
			probs = append(probs, math.Exp(x)/total)
		}
		return probs
	}
	both := func(p, q float64) float64 { return (p - q) * math.Log(p/q) }
	for problem, of := range map[string]func(a, b []float64) float64{
		Regression: func(a, b []float64) float64 { return (a[0] - b[0]) * (a[0] - b[0]) },
		Classification: func(a, b []float64) (sum float64) {
			q := softmax(b)
			for c, p := range softmax(a) {
				sum += both(p, q[c])
			}
			return sum
		},
		Answering: func(a, b []float64) (sum float64) {
			for c := range a {
				p, q := 1/(1+math.Exp(-a[c])), 1/(1+math.Exp(-b[c]))
				sum += both(p, q) + both(1-p, 1-q)
			}
			return sum
		},
	} {
		cfg := tinyRetriever()
		if cfg.ProblemType, cfg.NumLabels = problem, 3; problem == Regression {
			cfg.NumLabels = 1
		}
		d := cpu.New()
		o := newModel(t, d, cfg, 1).Objective(Targets{})
		const rows = 4
		cols := cfg.NumLabels
		var outputs [2][]float64
		var leaves []*autograd.Var
		for i := range outputs {
			var narrow []float32
			for k := range rows * cols {
				narrow = append(narrow, float32(math.Sin(float64(7*i+k*k))))
				outputs[i] = append(outputs[i], float64(narrow[k]))
			}
			leaves = append(leaves, autograd.Leaf(d.Wrap(rows, cols, narrow)))
		}
		value := func() (sum float64) {
			for lo := 0; lo < rows*cols; lo += cols {
				sum += of(outputs[0][lo:lo+cols], outputs[1][lo:lo+cols]) / rows
			}
			return sum
		}
		tape := autograd.NewTape(d, autograd.Seed{})
		loss := o.Divergence(tape, leaves[0], leaves[1])
		if got, want := float64(read(d, loss)[0]), value(); math.Abs(got-want) > outputTolerance*want {
			t.Errorf("%s: %g, want %g", problem, got, want)
		}
		tape.Backward(loss, 1)
		for i, leaf := range leaves {
			for k, got := range engine.Values(d, leaf.Slopes()) {
				const step = 1e-5
				x := &outputs[i][k]
				*x += step
				above := value()
				*x -= 2 * step
				want := (above - value()) / (2 * step)
				if *x += step; math.Abs(float64(got)-want) > gradientTolerance {
					t.Errorf("%s: slope %d of output %d is %g, want %g", problem, k, i, got, want)
				}
			}
		}
	}
}

// A model says the same, to the bit, where it is given what it would have embedded, and where nothing is added.
func TestEmbeddingThatIsGiven(t *testing.T) {
	cfg := tinyRetriever()
	cfg.ProblemType, cfg.NumLabels = Entailment, 3
	d := cpu.New()
	m := newModel(t, d, cfg, 1)
	scatter(d, m.Params)
	zeros := func(rows, cols int) *autograd.Var {
		return autograd.Const(d.Wrap(rows, cols, make([]float32, rows*cols)))
	}
	tape, in := autograd.NewInference(d), Input{Images: tinyImages(), Text: tinyText()}
	words, regions := m.Embed(tape, in)
	want := read(d, m.Logits(tape, in))
	ones := zeros(6, cfg.ImageEmbeddingSize)
	d.Write(ones.Value, slices.Repeat([]float32{1}, ones.Value.Len()))
	features := autograd.Const(d.Wrap(6, cfg.ImageEmbeddingSize, slices.Clone(in.Images.Features)))
	for name, e := range map[string]Embedding{
		"features": {Features: features}, "words": {Words: words}, "regions": {Regions: regions}, "both": {Words: words, Regions: regions},
		"nothing added": {TokenShift: zeros(7, cfg.HiddenSize), FeatureShift: zeros(6, cfg.ImageEmbeddingSize)}, "something added": {FeatureShift: ones},
	} {
		in.Embedding = e
		if got := read(d, m.Logits(tape, in)); slices.Equal(got, want) != (name != "something added") {
			t.Errorf("%s: %v, without %v", name, got, want)
		}
	}
}

// Features that are given have the gradient of what could be added to them.
func TestGradientOfFeatures(t *testing.T) {
	cfg := tinyRetriever()
	cfg.ProblemType, cfg.NumLabels = Entailment, 3
	d := cpu.New()
	m := newModel(t, d, cfg, 1)
	scatter(d, m.Params)
	in := Input{Images: tinyImages(), Text: tinyText()}
	slopes := func(e Embedding, leaf *autograd.Var) []float32 {
		tape, in := autograd.NewTape(d, autograd.Seed{}), in
		in.Embedding = e
		tape.Backward(m.Loss(tape, m.Logits(tape, in), Targets{Classes: make([]int32, in.Sequences())}), 1)
		return engine.Values(d, leaf.Slopes())
	}
	shift := autograd.Leaf(d.Wrap(6, cfg.ImageEmbeddingSize, make([]float32, 6*cfg.ImageEmbeddingSize)))
	features := autograd.Leaf(d.Wrap(6, cfg.ImageEmbeddingSize, slices.Clone(in.Images.Features)))
	want := slopes(Embedding{FeatureShift: shift}, shift)
	in.Images.Features = nil
	if got := slopes(Embedding{Features: features}, features); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
