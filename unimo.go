// Package unimo runs UNIMO models: one Transformer for text and images
// that Li et al. describe in "UNIMO: Towards Unified-Modal Understanding and
// Generation via Cross-Modal Contrastive Learning", ACL 2021.
//
// [Open] opens a model that the unimo command has fine-tuned, and [Model.Predict]
// classifies or scores texts with it; [OpenGenerator] opens one that writes texts,
// [OpenRetriever] one that compares pictures with texts and searches. Everything else (training, evaluation,
// conversion) is done by the command; see its help and the docs folder.
//
// The computation is float32 on the processor, with AVX-512 or AVX2 where there
// is one, on all cores; results do not depend on the number of threads.
package unimo

import (
	"context"
	"sync"

	"github.com/unimo-go/unimo/internal/data"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/task"
)

// Model is an open model. It is safe for concurrent use; calls take turns, as
// each uses all cores.
type Model struct {
	mu        sync.Mutex
	predictor *task.Predictor
}

// Open opens the model in the folder dir, or the best model of a run's folder. The
// weights are mapped into memory, not read, so opening is quick and processes
// share them. The files must stay as they are until [Model.Close].
func Open(dir string) (*Model, error) {
	p, err := task.OpenPredictor(dir)
	if err != nil {
		return nil, err
	}
	return &Model{predictor: p}, nil
}

// Close releases the model. It must not be used afterwards.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.predictor.Close()
}

// Input is one text, or a pair of texts for tasks such as inference.
type Input struct {
	Text string
	Pair string // empty for a single text
}

// Prediction is a model's answer about one input.
type Prediction struct {
	Label         string    // the likeliest class; empty for a regression
	Probability   float64   // of Label
	Probabilities []float64 // of every class, in the order of Labels
	Score         float64   // the value of a regression
	Truncated     bool      // the input was longer than what the model reads, and cut
}

// Labels returns the names of the model's classes, nil for a regression.
func (m *Model) Labels() []string {
	cfg := m.predictor.Config
	if cfg.ProblemType == model.Regression {
		return nil
	}
	labels := make([]string, cfg.NumLabels)
	for i := range labels {
		labels[i] = cfg.Label(i)
	}
	return labels
}

// Predict answers about inputs, in their order. Any text is valid input, also
// empty text and bytes that are not UTF-8. The only error is ctx's.
func (m *Model) Predict(ctx context.Context, inputs ...Input) ([]Prediction, error) {
	examples := make([]data.Example, len(inputs))
	for i, in := range inputs {
		examples[i] = data.Example{TextA: in.Text, TextB: in.Pair}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	answers, err := m.predictor.Predict(ctx, examples, func(int, int) {})
	if err != nil {
		return nil, err
	}
	predictions := make([]Prediction, len(answers))
	for i, a := range answers {
		predictions[i] = Prediction{Label: a.Label, Probability: a.Probability, Probabilities: a.Probabilities, Score: a.Score, Truncated: a.Truncated}
	}
	return predictions, nil
}
