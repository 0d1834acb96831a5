package embed

import (
	"context"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
)

// TokenSize is the length of the vectors of tokens; 0 of a model that has none: one for retrieval has a vector of its own for a text, and
// one that sees pictures alone reads none.
func (e *Embedder) TokenSize() int {
	if e.encoder == nil {
		return 0
	}
	return e.encoder.Config.HiddenSize
}

// TokenVectors returns the vectors of each text's tokens, those around it and those of a prompt too: the rows of the last layer, which
// [Embedder.Vectors] pools. The model must have such vectors ([Embedder.TokenSize]).
func (e *Embedder) TokenVectors(ctx context.Context, texts []Text, tick run.Tick) ([][][]float32, error) {
	out, h := make([][][]float32, len(texts)), e.TokenSize()
	err := inBatches(ctx, texts, tick, func(in model.Input, numbers []int) error {
		if err := in.Check(e.encoder.Config); err != nil {
			return err
		}
		tape := e.tapes.Take()
		defer e.tapes.Give(tape)
		x := e.encoder.LastLayer(tape, in)
		engine.Expect(tape.Device(), x.Value)
		if err := e.encoder.Params.CheckOutput(tape, "vectors of tokens", x); err != nil {
			return err
		}
		rows := slices.Clone(engine.Values(e.dev, x.Value))
		for k, i := range numbers {
			out[i] = slices.Collect(slices.Chunk(rows[int(in.Text.Offsets[k])*h:int(in.Text.Offsets[k+1])*h], h))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
