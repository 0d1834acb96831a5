package model

import (
	"testing"

	"github.com/unimo-go/unimo/internal/autograd"
	"github.com/unimo-go/unimo/internal/engine/cpu"
	"github.com/unimo-go/unimo/internal/optim"
)

// benchText is a batch of sequences of the given lengths.
func benchText(cfg Config, lengths ...int) Text {
	text := Text{Offsets: []int32{0}}
	for _, n := range lengths {
		for i := range n {
			text.Tokens = append(text.Tokens, int32((i*7919+n)%cfg.VocabSize))
			text.Positions = append(text.Positions, int32(FirstPosition+i))
		}
		text.Offsets = append(text.Offsets, int32(len(text.Tokens)))
	}
	return text
}

// sst2Lengths are lengths as they occur on SST-2: 3 to 50 tokens, 13 on average.
func sst2Lengths(n int) []int {
	lengths := make([]int, n)
	for i := range lengths {
		lengths[i] = 3 + (i*37)%21
	}
	return lengths
}

func BenchmarkTrainStep(b *testing.B) {
	for _, c := range []struct {
		name  string
		cfg   Config
		batch int
	}{{"mini-64", Mini, 64}, {"base-32", Base, 32}} {
		b.Run(c.name, func(b *testing.B) {
			cfg := c.cfg
			cfg.ProblemType, cfg.NumLabels = Classification, 2
			d := cpu.New()
			m, err := New(d, cfg, 1)
			if err != nil {
				b.Fatal(err)
			}
			adam := optim.NewAdam(d, optim.Default, optimParams(m.Params))
			text := benchText(cfg, sst2Lengths(c.batch)...)
			classes := make([]int32, c.batch)
			pass, tape := uint64(0), autograd.NewTape(d, autograd.Seed{})
			step := func() {
				m.Params.ClearGradients()
				tape.Reset(autograd.Seed{Key: 1, Pass: pass})
				tape.Backward(m.Loss(tape, m.Logits(tape, text), Targets{Classes: classes}), 1)
				if _, err := adam.Step(1e-4); err != nil {
					b.Fatal(err)
				}
				pass++
			}
			for range 2 { // the system gives the memory its pages
				step()
			}
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
			b.ReportMetric(float64(len(text.Tokens)*b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
