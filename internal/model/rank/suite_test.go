package rank

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
)

// fixture is a small model with random weights, and random images and captions.
type fixture struct {
	model  *model.Retriever
	scorer *Scorer
	set    Set
}

const fixtureDim = 7

func newFixture(t testing.TB, images, captionsEach int) fixture {
	t.Helper()
	cfg := model.Config{
		VocabSize: 50, HiddenSize: 16, Layers: 2, Heads: 2, MaxPositions: 20, HiddenAct: "gelu", InitRange: 0.3,
		ImageEmbeddingSize: fixtureDim, ContrastSize: 8, ProblemType: model.Retrieval,
	}
	dev := cpu.New()
	m, err := model.New[*model.Retriever](dev, cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	src := &memorySource{}
	f := fixture{model: m, scorer: NewScorer(dev, m)}
	for i := range images {
		src.add(randomImage(rng, fmt.Sprintf("%04d.png", i)))
		for range captionsEach {
			tokens := []int32{0}
			for range 2 + rng.IntN(9) {
				tokens = append(tokens, int32(3+rng.IntN(47)))
			}
			f.set.Texts = append(f.set.Texts, append(tokens, 2))
			f.set.ImageOf = append(f.set.ImageOf, i)
		}
	}
	f.set.Images = Images{src, src.IDs()}
	return f
}

func randomImage(rng *rand.Rand, id string) regions.Image {
	im := regions.Image{ID: id, Width: 100, Height: 80}
	for range 1 + rng.IntN(5) {
		x, y := rng.Float32()*50, rng.Float32()*40
		im.Boxes = append(im.Boxes, x, y, x+1+rng.Float32()*49, y+1+rng.Float32()*39)
		for range fixtureDim {
			im.Features = append(im.Features, float32(rng.NormFloat64()))
		}
	}
	return im
}

// memorySource is a source of images in memory, some of which may be broken.
type memorySource struct {
	images []regions.Image
	broken map[string]bool
}

func (s *memorySource) add(im regions.Image) { s.images = append(s.images, im) }
func (s *memorySource) Dim() int             { return fixtureDim }
func (s *memorySource) Close() error         { return nil }

func (s *memorySource) IDs() []string {
	ids := make([]string, len(s.images))
	for i, im := range s.images {
		ids[i] = im.ID
	}
	return ids
}

func (s *memorySource) Image(id string, dst *regions.Image) error {
	for _, im := range s.images {
		if im.ID == id && !s.broken[id] {
			*dst = im
			return nil
		}
	}
	return fmt.Errorf("memory: %w: %q", regions.ErrNoImage, id)
}

func quiet(int, int) {}
