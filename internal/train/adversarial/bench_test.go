package adversarial

import (
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/model"
)

// BenchmarkBatch compares a batch under attack with its passes, and with a plain step's memory, the optimiser's included.
func BenchmarkBatch(b *testing.B) {
	small := model.Base
	small.Layers, small.HiddenSize, small.Heads, small.VocabSize = 4, 256, 4, 16000
	for _, c := range []struct {
		name    string
		cfg     model.Config
		problem string
		recipe  Recipe
		batch   int
	}{
		{"entailment-4x256", small, model.Entailment, Entailment(), 12}, {"captions-4x256", small, model.Captioning, Captioning("base"), 4},
		{"entailment-base", model.Base, model.Entailment, Entailment(), 4}, {"captions-base", model.Base, model.Captioning, Captioning("base"), 4},
	} {
		b.Run(c.name, func(b *testing.B) {
			cfg := c.cfg
			cfg.ProblemType, cfg.NumLabels = c.problem, 3
			d := &counter{Device: cpu.New()}
			m, o, params := benchBatch(b, d, cfg, c.batch)
			var optimised []optim.Param
			for _, p := range params {
				optimised = append(optimised, optim.Param{Name: p.Name, Value: p.Value, Grad: p.Gradient()})
			}
			optim.NewAdam(d, optim.Default, optimised)
			tape, trainer := autograd.NewTape(d, autograd.Seed{}), Trainer{Recipe: c.recipe}
			measure := func(do func()) (time.Duration, int) {
				params.ClearGradients()
				tape.Reset(autograd.Seed{Key: 1})
				d.peak = 0
				start := time.Now()
				do()
				return time.Since(start), d.peak
			}
			forward := func() { o.Loss(tape, o.Output(tape, m)); tape.Release() }
			whole := func() { tape.Backward(o.Loss(tape, o.Output(tape, m)), 1) }
			attacked := func() { trainer.Passes(tape, m, o, scales(c.recipe)) }
			measure(whole)
			measure(attacked) // the system gives the memory its pages
			var once, both, all time.Duration
			var plain, peak int
			for range b.N {
				for range 5 {
					t, _ := measure(forward)
					once += t / 5
					t, plain = measure(whole)
					both += t / 5
				}
				var t time.Duration
				t, peak = measure(attacked)
				all += t
			}
			n := c.recipe.Count()
			passes := float64(n.Forward+n.Inputs)*once.Seconds() + float64(n.Backward)*(both-once).Seconds()
			b.ReportMetric(all.Seconds()/passes, "times-passes")
			b.ReportMetric(all.Seconds()/both.Seconds(), "times-step")
			b.ReportMetric(float64(peak)/float64(plain), "times-memory")
			b.ReportMetric(both.Seconds()/float64(b.N), "s/step")
		})
	}
}

// benchBatch is a batch of images of 100 regions and the global one, and short texts.
func benchBatch(b *testing.B, d *counter, cfg model.Config, n int) (in model.Input, o model.Objective, params model.Parameters) {
	in.Images.Offsets = []int32{0}
	var labels []int32
	for s := range n {
		for i := range 101 * cfg.ImageEmbeddingSize {
			in.Images.Features = append(in.Images.Features, float32((i*7919+s)%1000)/1000)
		}
		in.Images.Locations = append(in.Images.Locations, make([]float32, 101*model.LocationSize)...)
		in.Images.Offsets = append(in.Images.Offsets, int32(101*(s+1)))
		words := make([]int32, 18)
		for i := range words {
			words[i] = int32((i*37 + s) % 1000)
		}
		if cfg.ProblemType == model.Captioning {
			in.Objects.Append(words)
			in.Text.AppendTarget(nil, words)
			labels = append(labels, words...)
		} else {
			in.Text.Append(words)
		}
	}
	if cfg.ProblemType == model.Captioning {
		g, err := model.New[*model.Generator](d, cfg, 1)
		if err != nil {
			b.Fatal(err)
		}
		return in, g.Objective(labels, 0.1), g.Params
	}
	c, err := model.New[*model.Classifier](d, cfg, 1)
	if err != nil {
		b.Fatal(err)
	}
	return in, c.Objective(model.Targets{Classes: make([]int32, n)}), c.Params
}
