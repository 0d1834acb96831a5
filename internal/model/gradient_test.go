package model

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// The whole model against float64: its loss, and every gradient against central
// differences, without and with dropout. The head's and layers' formulas are
// written down twice, here and in the code.
func TestLossAndGradients(t *testing.T) {
	classes, scores := Targets{Classes: []int32{2, 0, 2}}, Targets{Scores: []float32{0.5, -1, 2}}
	for _, c := range []struct {
		name    string
		edit    func(*Config)
		targets Targets
		drops   int // dropouts in a pass
	}{
		{"classification", func(*Config) {}, classes, 0},
		{"regression", func(c *Config) { c.NumLabels, c.ProblemType = 1, Regression }, scores, 0},
		{"dropout", func(c *Config) { c.HiddenDropout, c.AttentionDropout = 0.2, 0.3 }, classes, 8},
		{"dropout of the hidden values only", func(c *Config) { c.HiddenDropout, c.Layers = 0.2, 1 }, classes, 4},
		{"one head", func(c *Config) { c.Heads, c.Layers = 1, 1 }, classes, 0},
		{"another epsilon", func(c *Config) { c.LayerNormEpsilon, c.Layers = 0.05, 1 }, classes, 0},
		{"no layer", func(c *Config) { c.Layers = 0 }, classes, 0},
		{"relu", func(c *Config) { c.HiddenAct = "relu" }, classes, 0},
		{"pooler with tanh", func(c *Config) { c.PoolerAct, c.Layers = "tanh", 1 }, classes, 0},
		{"pairs", func(c *Config) { c.SegmentTypes = 2 }, classes, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, text := tiny(), tinyText()
			c.edit(&cfg)
			if cfg.SegmentTypes > 0 {
				text.Segments = []int32{2, 1, 1}
			}
			d := &dropWatch{Device: cpu.New()}
			m := newModel(t, d, cfg, 1)
			params := scatter(m.dev, m.Params)
			tape := autograd.NewTape(d, autograd.Seed{Key: 3, Pass: 1})
			loss := m.Loss(tape, m.Logits(tape, Input{Text: text}), c.targets)
			if len(d.masks) != c.drops {
				t.Fatalf("%d dropouts, want %d", len(d.masks), c.drops)
			}
			r := &reference{cfg: cfg, params: params, masks: d.masks}
			if got, want := float64(read(m.dev, loss)[0]), r.loss(text, c.targets); !(math.Abs(got-want) <= outputTolerance*want) {
				t.Errorf("loss is %g, want %g", got, want)
			}
			tape.Backward(loss, 1)
			testGradients(t, d, m.Params, func(name string) []float64 {
				return r.gradient(name, func() float64 { return r.loss(text, c.targets) })
			})
		})
	}
}

// testGradients compares the gradient of every parameter with want's.
func testGradients(t *testing.T, d engine.Device, params Parameters, want func(name string) []float64) {
	t.Helper()
	for _, p := range params {
		got := gradient(d, p)
		expected := want(p.Name)
		var scale float64
		for i, w := range expected {
			if w != w { // not looked at: its size is ours
				w = float64(got[i])
			}
			scale = max(scale, math.Abs(w))
		}
		if strings.HasSuffix(p.Name, "key_fc.b_0") {
			// A key's bias shifts all scores of a query alike: no gradient, not even noise.
			if slices.ContainsFunc(got, func(g float32) bool { return g != 0 }) || scale > 1e-8 {
				t.Errorf("gradient of %s is %v, that of the reference reaches %g: both should be zero", p.Name, got, scale)
			}
			continue
		}
		if scale < 1e-6 {
			t.Errorf("gradient of %s reaches %g only: the test is blind", p.Name, scale)
		}
		for i, w := range expected {
			if w == w && !(math.Abs(float64(got[i])-w) <= gradientTolerance*scale) {
				t.Errorf("gradient of %s: element %d is %g, want %g (largest: %g)", p.Name, i, got[i], w, scale)
				break
			}
		}
	}
}

// gradient returns all of a parameter's gradient.
func gradient(d engine.Device, p Parameter) []float32 {
	t := p.Gradient().Fill(d)
	values := make([]float32, t.Len())
	d.Read(values, t)
	return values
}

// firstTokens computes less than lastLayer, and the same.
func TestFirstTokensAreThoseOfTheLastLayer(t *testing.T) {
	for _, layers := range []int{0, 1, 2} {
		cfg := tiny()
		cfg.Layers = layers
		d := cpu.New()
		m := newModel(t, d, cfg, 1)
		scatter(m.dev, m.Params)
		tape := autograd.NewInference(d)
		in := Input{Text: tinyText()}
		all := m.encoder.lastLayer(tape, in)
		if want := in.Rows(); all.Value.Rows != want || want != 7 {
			t.Errorf("%d layers: %d rows, want %d", layers, all.Value.Rows, want)
		}
		want, got := read(m.dev, tape.Rows(all, []int32{0, 4, 5})), read(m.dev, m.encoder.firstTokens(tape, in))
		if !slices.Equal(got, want) {
			t.Errorf("%d layers: %v, want %v", layers, got, want)
		}
		tape.Release()
	}
}

// A model for inference gives the same logits as the one that was trained, and
// drops nothing.
func TestInferenceEqualsTraining(t *testing.T) {
	cfg, text := tiny(), tinyText()
	d := cpu.New()
	m := newModel(t, d, cfg, 1)
	scatter(m.dev, m.Params)
	training := autograd.NewTape(d, autograd.Seed{})
	want := read(m.dev, m.Logits(training, Input{Text: text}))
	cfg.HiddenDropout, cfg.AttentionDropout = 0.5, 0.5
	opened, err := Open[*Classifier](d, cfg, reader(t, m.dev, m.Params, keep))
	if err != nil {
		t.Fatal(err)
	}
	tape := autograd.NewInference(d)
	if got := read(opened.dev, opened.Logits(tape, Input{Text: text})); !slices.Equal(got, want) {
		t.Errorf("logits are %v, want %v", got, want)
	}
	for _, p := range opened.Params {
		if p.Gradient() != nil {
			t.Errorf("%s has a gradient", p.Name)
		}
	}
}

// The answer about a sequence must not depend on what else is in the batch.
func TestSequencesAreIndependent(t *testing.T) {
	d := cpu.New()
	m := newModel(t, d, tiny(), 1)
	scatter(m.dev, m.Params)
	text := tinyText()
	tape := autograd.NewInference(d)
	whole := read(m.dev, m.Logits(tape, Input{Text: text}))
	for s := range text.Sequences() {
		lo, hi := text.Offsets[s], text.Offsets[s+1]
		alone := Text{Tokens: text.Tokens[lo:hi], Positions: text.Positions[lo:hi], Offsets: []int32{0, hi - lo}}
		if got := read(m.dev, m.Logits(tape, Input{Text: alone})); !slices.Equal(got, whole[3*s:3*s+3]) {
			t.Errorf("sequence %d: %v alone, %v in the batch", s, got, whole[3*s:3*s+3])
		}
	}
}

func TestTextCheck(t *testing.T) {
	if err := tinyText().Check(tiny()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		edit       func(*Text)
	}{
		{"token too large", "token 1 has id 7, but the model's vocabulary has 7", func(x *Text) { x.Tokens[1] = 7 }},
		{"negative token", "token 6 has id -1", func(x *Text) { x.Tokens[6] = -1 }},
		{"text too long", "token 3 has position 6, but the model has 6; shorten", func(x *Text) { x.Positions[3] = 6 }},
		{"negative position", "token 0 has position -1", func(x *Text) { x.Positions[0] = -1 }},
		{"a position too few", "7 tokens have 6 positions", func(x *Text) { x.Positions = x.Positions[:6] }},
		{"no offsets", "offsets", func(x *Text) { x.Offsets = nil }},
		{"a late first offset", "offsets", func(x *Text) { x.Offsets[0] = 1 }},
		{"an early last offset", "offsets", func(x *Text) { x.Offsets[3] = 6 }},
		{"an empty sequence", "sequence 1 has no token", func(x *Text) { x.Offsets[2] = 4 }},
		{"falling offsets", "sequence 1 has no token", func(x *Text) { x.Offsets[2] = 3 }},
	} {
		text := tinyText()
		c.edit(&text)
		if err := text.Check(tiny()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}
