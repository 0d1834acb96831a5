package model_test

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
)

// Scores of all pairs of two images and two texts, of a model that has learnt nothing yet.
func Example_retrieval() {
	cfg := model.Config{
		VocabSize: 10, HiddenSize: 8, Layers: 2, Heads: 2, MaxPositions: 12, HiddenAct: "gelu", InitRange: 0.02,
		ImageEmbeddingSize: 3, ContrastSize: 4, ProblemType: model.Retrieval,
	}
	device := cpu.New()
	retriever, err := model.New[*model.Retriever](device, cfg, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	images := model.Images{ // one region and two
		Features:  []float32{1, 2, 3, 4, 5, 6, 7, 8, 9},
		Locations: []float32{0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0.5, 1, 0.5},
		Offsets:   []int32{0, 1, 3},
	}
	texts := model.Text{Tokens: []int32{0, 5, 2, 0, 2}, Positions: []int32{2, 3, 4, 2, 3}, Offsets: []int32{0, 3, 5}}
	tape := autograd.NewInference(device)
	defer tape.Release()
	imageSide, textSide := retriever.Side(tape, model.Input{Images: images}), retriever.Side(tape, model.Input{Text: texts})
	scores := retriever.Scores(tape, imageSide, textSide, []model.Pair{{0, 0}, {0, 1}, {1, 0}, {1, 1}})
	vectors := retriever.ImageVectors(tape, imageSide)
	fmt.Println(scores.Value.Rows, "scores, image vectors of length", vectors.Value.Cols)
	// Output: 4 scores, image vectors of length 4
}
