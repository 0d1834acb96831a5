package rank_test

import (
	"context"
	"fmt"
	"log"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/rank"
)

// Score two texts against an image of one region, with a model of random weights.
func ExampleScorer_Match() {
	cfg := model.Mini
	cfg.VocabSize, cfg.ImageEmbeddingSize, cfg.ContrastSize, cfg.ProblemType = 100, 3, 8, model.Retrieval
	dev := cpu.New()
	m, err := model.New[*model.Retriever](dev, cfg, 1)
	if err != nil {
		log.Fatal(err)
	}
	im := &regions.Image{ID: "red.png", Width: 64, Height: 64, Boxes: []float32{0, 0, 64, 64}, Features: []float32{1, -1, -1}}
	scores, err := rank.NewScorer(dev, m).Match(context.Background(), rank.Single(im), rank.Texts{{0, 17, 2}, {0, 18, 19, 2}}, []model.Pair{{Text: 0}, {Text: 1}}, func(int, int) {})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(scores))
	// Output: 2
}
