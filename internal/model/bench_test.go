package model

import (
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/optim"
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
			m, err := New[*Classifier](d, cfg, 1)
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
				tape.Backward(m.Loss(tape, m.Logits(tape, Input{Text: text}), Targets{Classes: classes}), 1)
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

// BenchmarkScores compares 2 images of 100 regions with 8 captions as evaluation does.
func BenchmarkScores(b *testing.B) {
	for name, cfg := range map[string]Config{"mini": Mini, "base": Base} {
		b.Run(name, func(b *testing.B) {
			cfg.ProblemType, cfg.ContrastSize = Retrieval, 128
			d := cpu.New()
			trained := newRetriever(b, d, cfg, 1)
			r, err := Open[*Retriever](d, cfg, reader(b, d, trained.Params, keep))
			if err != nil {
				b.Fatal(err)
			}
			tape := autograd.NewInference(d)
			images := r.Side(tape, Input{Images: benchImages(cfg, 2, 101)}).Keep(d)
			texts := r.Side(tape, Input{Text: benchText(cfg, 9, 11, 12, 13, 14, 16, 17, 20)}).Keep(d)
			tape.Release()
			var pairs []Pair
			for i := range int32(images.Sequences()) {
				for t := range int32(texts.Sequences()) {
					pairs = append(pairs, Pair{i, t})
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				r.Scores(tape, images, texts, pairs)
				tape.Release()
			}
			b.ReportMetric(float64(len(pairs)*b.N)/b.Elapsed().Seconds(), "pairs/s")
		})
	}
}

// benchImages is n images of so many regions each.
func benchImages(cfg Config, n, regions int) Images {
	return Images{
		Features: make([]float32, n*regions*cfg.ImageEmbeddingSize), Locations: make([]float32, n*regions*LocationSize),
		Offsets: evenly(n, regions),
	}
}

// BenchmarkRetrievalStep trains on a group of 21: a pair, 10 more images and 10 more captions.
func BenchmarkRetrievalStep(b *testing.B) {
	for name, cfg := range map[string]Config{"mini": Mini, "base": Base} {
		b.Run(name, func(b *testing.B) {
			cfg.ProblemType = Retrieval
			d := cpu.New()
			r := newRetriever(b, d, cfg, 1)
			adam := optim.NewAdam(d, optim.Default, optimParams(r.Params))
			images, texts := benchImages(cfg, 11, 101), benchText(cfg, 9, 11, 12, 13, 14, 16, 17, 20, 10, 15, 13)
			pairs := []Pair{{}}
			for i := range int32(10) {
				pairs = append(pairs, Pair{i + 1, 0})
			}
			for i := range int32(10) {
				pairs = append(pairs, Pair{0, i + 1})
			}
			pass, tape := uint64(0), autograd.NewTape(d, autograd.Seed{})
			step := func() {
				r.Params.ClearGradients()
				tape.Reset(autograd.Seed{Key: 1, Pass: pass})
				scores := r.Scores(tape, r.Side(tape, Input{Images: images}), r.Side(tape, Input{Text: texts}), pairs)
				tape.Backward(r.CircleLoss(tape, scores, len(pairs), 10, 0.2, 1, false), 1)
				if _, err := adam.Step(1e-5); err != nil {
					b.Fatal(err)
				}
				pass++
			}
			step() // the system gives the memory its pages
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "groups/s")
		})
	}
}
