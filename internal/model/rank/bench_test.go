package rank

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
)

// sameImage gives one image for every id: what is measured is not the disk.
type sameImage struct{ image regions.Image }

func (s sameImage) Dim() int      { return len(s.image.Features) / s.image.Regions() }
func (s sameImage) IDs() []string { return nil }
func (s sameImage) Close() error  { return nil }
func (s sameImage) Image(_ string, dst *regions.Image) error {
	*dst = s.image
	return nil
}

// BenchmarkSearch measures a query of twelve words with the mini model (random weights) over random
// vectors: all vectors are looked at, and the full model orders the best 20 of 36 patches each. The
// figure of the vectors alone has no candidates.
func BenchmarkSearch(b *testing.B) {
	cfg := model.Mini
	cfg.VocabSize, cfg.ImageEmbeddingSize, cfg.ContrastSize, cfg.ProblemType = 3000, 768, 128, model.Retrieval
	dev := cpu.New()
	m, err := model.New[*model.Retriever](dev, cfg, 1)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	x, err := regions.NewExtractor(regions.Spec{Extractor: regions.Patches, ImageSize: 96, PatchSize: 16})
	if err != nil {
		b.Fatal(err)
	}
	src := sameImage{regions.Image{Width: 96, Height: 96}}
	for i := range 36 {
		left, top := float32(i%6*16), float32(i/6*16)
		src.image.Boxes = append(src.image.Boxes, left, top, left+16, top+16)
		for range x.Dim() {
			src.image.Features = append(src.image.Features, rng.Float32()*2-1)
		}
	}
	query := []int32{0, 5, 90, 17, 300, 41, 2000, 33, 8, 1200, 77, 64, 512, 2}
	for _, n := range []int{1000, 10_000, 100_000} {
		ix := &Index{Info: IndexInfo{Size: cfg.ContrastSize}, IDs: make([]string, n), origins: make([]Origin, n), vectors: make([]float32, n*cfg.ContrastSize), regions: src}
		for i := range ix.vectors {
			ix.vectors[i] = float32(rng.NormFloat64()) / 11
		}
		s, err := NewSearcher(NewScorer(dev, m), ix)
		if err != nil {
			b.Fatal(err)
		}
		for _, candidates := range []int{0, 20} {
			b.Run(fmt.Sprintf("images=%d/candidates=%d", n, candidates), func(b *testing.B) {
				var times []time.Duration
				for b.Loop() {
					start := time.Now()
					if _, err := s.Text(context.Background(), query, 10, candidates); err != nil {
						b.Fatal(err)
					}
					times = append(times, time.Since(start))
				}
				slices.Sort(times)
				b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "ms/median")
			})
		}
	}
}
