package model

import (
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// ragged are batches of five sequences: images of 2 to 4 regions, texts of 5 to 10 tokens. Steps have other lengths, and lie in one step of the grid.
type ragged struct {
	cfg    Config
	images Images
	text   Text
}

const raggedSequences = 5

func newRagged(cfg Config, step int) ragged {
	r := ragged{cfg: cfg, images: Images{Offsets: []int32{0}}}
	regions, lengths := [raggedSequences]int{2, 3, 3, 2, 3}, [raggedSequences]int{5, 9, 7, 6, 9}
	regions[2] += step % 2
	lengths[1] += min(step%3, 1)
	lengths[2] += step % 3 / 2
	for s := range raggedSequences {
		for i := range regions[s] {
			r.images.Locations = append(r.images.Locations, 0, float32(i)/4, 1, 1, float32(s)/5)
			for k := range cfg.ImageEmbeddingSize {
				r.images.Features = append(r.images.Features, float32(math.Sin(float64(i+k*k+7*s+step))))
			}
		}
		r.images.Offsets = append(r.images.Offsets, int32(len(r.images.Locations)/LocationSize))
		var tokens []int32
		for i := range lengths[s] {
			tokens = append(tokens, int32((i*i+5*s+3*step)%cfg.VocabSize))
		}
		r.text.Append(tokens)
	}
	return r
}

// written makes the texts sources of so many tokens with targets, and returns the labels.
func (r *ragged) written(source int32) (labels []int32) {
	for s := range raggedSequences {
		r.text.Sources = append(r.text.Sources, source)
		for i := r.text.Offsets[s] + source; i < r.text.Offsets[s+1]; i++ {
			labels = append(labels, (r.text.Tokens[i]+1)%int32(r.cfg.VocabSize))
		}
	}
	return labels
}

// trained is a model with what computes the loss of a step.
type trained struct {
	params Parameters
	loss   func(tape *autograd.Tape, step int) *autograd.Var
}

// trainings are all kinds of models.
var trainings = []struct {
	problem  string
	programs int // of a step: two, and one more for losses that are computed on the host
	make     func(t *testing.T, d engine.Device, cfg Config) trained
}{
	{Classification, 2, func(t *testing.T, d engine.Device, cfg Config) trained {
		cfg.NumLabels = 3
		m := newModel(t, d, cfg, 1)
		return trained{m.Params, func(tape *autograd.Tape, step int) *autograd.Var {
			logits := m.Logits(tape, Input{Text: newRagged(cfg, step).text})
			return m.Loss(tape, logits, Targets{Classes: []int32{0, 1, 2, int32(step % 3), 1}})
		}}
	}},
	{Answering, 2, func(t *testing.T, d engine.Device, cfg Config) trained {
		cfg.NumLabels = 3
		m := newModel(t, d, cfg, 1)
		return trained{m.Params, func(tape *autograd.Tape, step int) *autograd.Var {
			r, soft := newRagged(cfg, step), make([]float32, 3*raggedSequences)
			for i := range soft {
				soft[i] = float32((i*step)%4) / 4
			}
			return m.Loss(tape, m.Logits(tape, Input{Images: r.images, Text: r.text}), Targets{Soft: soft})
		}}
	}},
	{Generation, 2, func(t *testing.T, d engine.Device, cfg Config) trained {
		m := newGenerator(t, d, cfg, 1)
		return trained{m.Params, func(tape *autograd.Tape, step int) *autograd.Var {
			r := newRagged(cfg, step)
			labels := r.written(2)
			return m.Loss(tape, Input{Text: r.text}, labels, 0.1)
		}}
	}},
	{Captioning, 2, func(t *testing.T, d engine.Device, cfg Config) trained {
		m := newGenerator(t, d, cfg, 1)
		return trained{m.Params, func(tape *autograd.Tape, step int) *autograd.Var {
			r := newRagged(cfg, step)
			labels := r.written(0)
			return m.Loss(tape, Input{Images: r.images, Text: r.text}, labels, 0.1)
		}}
	}},
	{Retrieval, 2, func(t *testing.T, d engine.Device, cfg Config) trained {
		m := newRetriever(t, d, cfg, 1)
		return trained{m.Params, func(tape *autograd.Tape, step int) *autograd.Var {
			r := newRagged(cfg, step)
			im, tx := m.Side(tape, Input{Images: r.images}), m.Side(tape, Input{Text: r.text})
			scores := m.Scores(tape, im, tx, []Pair{{0, 0}, {1, 0}, {0, 1}, {3, 3}, {4, 3}, {3, 2}})
			vectors := m.ContrastiveLoss(tape, m.ImageVectors(tape, im), m.TextVectors(tape, tx), []int32{0, 1, 2, 3, 4}, 0.1)
			return tape.Add(vectors, m.CircleLoss(tape, scores, 3, 1, 0.2, 1, false))
		}}
	}},
	{Pretraining, 2, func(t *testing.T, d engine.Device, cfg Config) trained {
		m := newPretrainer(t, d, cfg)
		return trained{m.Params, func(tape *autograd.Tape, step int) *autograd.Var {
			r := newRagged(cfg, step)
			h := Hidden{Input: Input{Images: r.images, Text: r.text}}
			for s := range raggedSequences {
				h.Places, h.Labels = append(h.Places, r.text.Offsets[s]+1), append(h.Labels, int32(s*s))
				h.Regions, h.Classes = append(h.Regions, r.images.Offsets[s]), append(h.Classes, 0.5, 0.25, 0.25)
				h.Targets = append(h.Targets, r.images.Features[int(r.images.Offsets[s])*cfg.ImageEmbeddingSize:][:cfg.ImageEmbeddingSize]...)
			}
			l := m.Losses(tape, h)
			return tape.Add(tape.Add(l.Language, l.Feature), l.Class)
		}}
	}},
}

// raggedConfig is that of their models.
func raggedConfig(problem string) Config {
	cfg := Config{
		ProblemType: problem, VocabSize: 37, HiddenSize: 24, Layers: 1, Heads: 2, MaxPositions: 16, HiddenAct: "gelu", InitRange: 0.1,
		HiddenDropout: 0.1, AttentionDropout: 0.1, ImageEmbeddingSize: 6, ContrastSize: 5,
	}
	if problem == Pretraining {
		cfg.RegionClasses = 3
	}
	return cfg
}

// stepper trains a model.
type stepper struct {
	trained
	d    engine.Device
	adam *optim.Adam
	tape *autograd.Tape
}

func newStepper(d engine.Device, m trained) *stepper {
	c := optim.Default
	c.WeightDecay = 0.01
	return &stepper{m, d, optim.NewAdam(d, c, optimParams(m.params)), autograd.NewTape(d, autograd.Seed{})}
}

// step makes one and reads what came out of it.
func (s *stepper) step(t testing.TB, n int) (loss float32, norm float64) {
	t.Helper()
	read, late := s.take(t, n)
	norm, err := late()
	if err != nil {
		t.Fatal(err)
	}
	return read()[0], norm
}

// take does as package train does.
func (s *stepper) take(t testing.TB, n int) (loss func() []float32, norm optim.Norm) {
	t.Helper()
	s.params.ClearGradients()
	s.tape.Reset(autograd.Seed{Key: 0x123456789abcdef, Pass: uint64(n)})
	v := s.loss(s.tape, n)
	loss = engine.Note(s.d, v.Value)
	s.tape.Backward(v, 1)
	if err := s.adam.Measure(); err != nil {
		t.Fatal(err)
	}
	norm, err := s.adam.Advance(1e-3)
	if err != nil {
		t.Fatal(err)
	}
	return loss, norm
}

// Training goes as on the processor, with dropout and batches of other sizes in every step. Rows of gradients behind the parameters' are zero.
// A step is few programs, the same for all steps whose batches lie in one step of the grid.
func TestTrainingOnAnAccelerator(t *testing.T) {
	for _, c := range trainings {
		t.Run(c.problem, func(t *testing.T) {
			x, cfg := accelerator.Open(t), raggedConfig(c.problem)
			a, d := cpu.New(), engine.Device(x)
			want, got := newStepper(a, c.make(t, a, cfg)), newStepper(d, c.make(t, d, cfg))
			steps := 3
			if c.problem == Classification {
				steps = 30
			}
			for n := range steps {
				before := x.Stats()
				loss, norm := want.step(t, n)
				l, g := got.step(t, n)
				if far := math.Abs(float64(l-loss)) / math.Abs(float64(loss)); !(far <= 1e-5) {
					t.Errorf("step %d: the loss is %.8g, want %.8g (off by %.1e)", n, l, loss, far)
				}
				if far := math.Abs(g-norm) / norm; !(far <= 1e-4) {
					t.Errorf("step %d: the gradient's norm is %.8g, want %.8g (off by %.1e)", n, g, norm, far)
				}
				if ran := x.Stats().Ran - before.Ran; ran != c.programs {
					t.Errorf("step %d: %d programs ran, want %d", n, ran, c.programs)
				}
				if n := x.Stats().Downloads - before.Downloads; n != 1 {
					t.Errorf("step %d: %d downloads, want that of the loss and the norm", n, n)
				}
				for _, p := range got.params {
					if p.Gradient() != nil {
						for _, v := range x.Behind(p.Gradient().Tensor()) {
							if v != 0 {
								t.Fatalf("step %d: the gradient of %s has %g behind its rows", n, p.Name, v)
							}
						}
					}
				}
			}
			if s := x.Stats(); s.Compiled != 1+c.programs { // one makes the moments
				t.Errorf("%d programs were compiled, want %d", s.Compiled, 1+c.programs)
			}
			want.adam.Settle()
			for i, p := range want.params {
				values := read(d, got.params[i].Var)
				for k, v := range read(a, p.Var) {
					if math.Abs(float64(values[k]-v)) > 1e-5 {
						t.Fatalf("%s: element %d is %g after %d steps, want %g", p.Name, k, values[k], steps, v)
					}
				}
			}
		})
	}
}

// Layers that are computed again take less memory on an accelerator, too, and give the same gradients.
func TestRecomputeOnAnAccelerator(t *testing.T) {
	var gradients [2][][]float32
	var memory [2]int64
	for i := range gradients {
		d, cfg := accelerator.Open(t), raggedConfig(Classification)
		cfg.Layers, cfg.NumLabels, cfg.MaxPositions = 4, 2, 66
		m := newModel(t, d, cfg, 1)
		tape := autograd.NewTape(d, autograd.Seed{Key: 1})
		tape.Recompute = i == 1
		logits := m.Logits(tape, Input{Text: benchText(cfg, 64, 64, 64, 64, 64, 64, 64, 64)})
		tape.Backward(m.Loss(tape, logits, Targets{Classes: make([]int32, 8)}), 1)
		for _, p := range m.Params {
			gradients[i] = append(gradients[i], gradient(d, p))
		}
		memory[i] = d.Stats().Memory
	}
	t.Logf("%d bytes, recomputed %d", memory[0], memory[1])
	if memory[1] >= memory[0] {
		t.Errorf("a program that recomputes needs %d bytes, else %d", memory[1], memory[0])
	}
	for i, want := range gradients[0] {
		for k, got := range gradients[1][i] {
			if math.Abs(float64(got-want[k])) > gradientTolerance {
				t.Fatalf("gradient %d: element %d is %g, want %g", i, k, got, want[k])
			}
		}
	}
}
