package decode

import (
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
)

// blank is a vocabulary of tokens without text.
type blank int32

func (b blank) VocabSize() int                        { return int(b) }
func (b blank) CLS() int32                            { return 0 }
func (b blank) PAD() int32                            { return 1 }
func (b blank) UNK() int32                            { return 3 }
func (b blank) MASK() int32                           { return int32(b) - 1 }
func (b blank) StartsWord(int32) bool                 { return false }
func (b blank) Decode(dst []byte, ids []int32) []byte { return dst }
func (b blank) DecodeString(ids []int32) string       { return "" }

// Decoding with random weights and forced lengths, as fast as a trained model of the size.
func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name                           string
		cfg                            model.Config
		sources, tokens, beams, length int
	}{
		{"base-coqa", model.Base, 16, 390, 3, 4},
		{"base-gigaword", model.Base, 64, 40, 5, 10},
		{"mini-coqa", model.Mini, 64, 200, 3, 4},
	} {
		b.Run(c.name, func(b *testing.B) {
			cfg := c.cfg
			cfg.ProblemType = model.Generation
			dev := cpu.New()
			fresh, err := model.New[*model.Generator](dev, cfg, 1)
			if err != nil {
				b.Fatal(err)
			}
			// As a program has it that only generates: weights that never change.
			r, err := checkpoint.FromTensors("memory", fresh.Params.Tensors(dev))
			if err != nil {
				b.Fatal(err)
			}
			m, err := model.Open[*model.Generator](dev, cfg, r)
			if err != nil {
				b.Fatal(err)
			}
			sources := make([]Source, c.sources)
			for i := range sources {
				var tokens []int32
				for j := range c.tokens {
					tokens = append(tokens, int32((i*31+j*7919)%cfg.VocabSize))
				}
				sources[i].Text.Append(tokens)
			}
			o := Default
			o.BeamSize, o.MinLength, o.MaxLength = c.beams, c.length, c.length
			d := New(dev, m, blank(cfg.VocabSize))
			run(b, d, sources, o) // packs the weights
			b.ReportAllocs()
			for b.Loop() {
				run(b, d, sources, o)
			}
			b.ReportMetric(float64(c.sources*b.N)/b.Elapsed().Seconds(), "sources/s")
		})
	}
}
