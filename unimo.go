// Package unimo runs UNIMO models: one Transformer for text and images
// that Li et al. describe in "UNIMO: Towards Unified-Modal Understanding and
// Generation via Cross-Modal Contrastive Learning", ACL 2021.
//
//	m, err := unimo.Open("RUN")
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	answers, err := m.Predict(ctx, unimo.Input{Text: "a gripping and funny film"})
//	fmt.Println(answers[0].Label, answers[0].Probability)
//
// There are three ways to open a model, by what it was trained for:
//
//   - [Open]: a model that classifies or scores texts ([Model.Predict]);
//   - [OpenGenerator]: one that writes texts ([Generator.Generate], [Generator.Stream]);
//   - [OpenRetriever]: one that compares pictures with texts ([Retriever.Match]) and searches ([Index.Search]).
//
// [Finetune], [Pretrain] and [Evaluate] train and score models, as the commands of these names do; [Tasks] lists what
// they can be trained for. Of the packages below, tokenizer, checkpoint and metrics are useful alone.
//
// # Concurrency
//
// Open models are safe for concurrent use; calls take turns, as each uses all cores. A server bounds the cores of a
// model with [Threads]. A call that waits heeds its context. After Close, calls return [ErrClosed].
//
// # Errors
//
// [ErrClosed], [ErrWrongTask], [ErrSetting] and [ErrTimeUp] are found with [errors.Is], and so are [io/fs.ErrNotExist]
// and the errors of contexts. [ErrSetting] is what the program asked for wrongly: nothing has been done then.
//
// # Numbers
//
// The computation is float32 on the processor, with AVX-512 or AVX2 where there
// is one; results do not depend on the number of threads.
package unimo

import (
	"context"
	"encoding/json"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/tasks/classify"
)

// Model is an open model that classifies or scores texts. It is safe for concurrent use; calls take turns, as
// each uses all cores, and a long one lets others in between its batches. A call that waits heeds its context.
type Model struct {
	handle    *handle
	predictor *classify.Predictor
}

// Open opens the model in the folder dir, or the best model of a run's folder. The
// weights are mapped into memory, not copied, so opening is quick and processes
// share them. The files must stay as they are until [Model.Close]. A folder without a model is [io/fs.ErrNotExist], a
// model for another kind of task is [ErrWrongTask].
func Open(dir string, options ...Option) (*Model, error) {
	env, err := environment(dir, options)
	if err != nil {
		return nil, err
	}
	p, err := classify.Open(dir, env)
	if err != nil {
		return nil, public(err)
	}
	return &Model{newHandle(), p}, nil
}

// Close releases the model, after the calls in progress have ended. Calls that still wait or come
// later return [ErrClosed]. Closing again does nothing.
func (m *Model) Close() error { return m.handle.close(func() error { return m.predictor.Close() }) }

// Input is one text, or a pair of texts for tasks such as inference.
type Input struct {
	Text string
	Pair string // empty for a single text
}

// Prediction is a model's answer about one input.
type Prediction struct {
	Label         string    `json:"label,omitempty"`         // the likeliest class; empty for a regression
	Probability   float64   `json:"probability,omitempty"`   // of Label
	Probabilities []float64 `json:"probabilities,omitempty"` // of every class, in the order of Labels
	Score         float64   `json:"score"`                   // the value of a regression
	Truncated     bool      `json:"truncated,omitempty"`     // the input was longer than what the model reads, and cut
}

// MarshalJSON implements [json.Marshaler]: with the keys of "unimo predict --json", and a score only of a regression.
func (p Prediction) MarshalJSON() ([]byte, error) {
	type all Prediction
	if p.Label == "" {
		return json.Marshal(all(p))
	}
	return json.Marshal(struct {
		all
		Score *struct{} `json:"score,omitempty"` // hides the other
	}{all: all(p)})
}

// Labels returns the names of the model's classes, nil for a regression. It may be called after Close.
func (m *Model) Labels() []string {
	if m.predictor == nil {
		return nil
	}
	return m.predictor.Labels()
}

// Predict answers about inputs, in their order. Any text is valid input, also
// empty text and bytes that are not UTF-8. Errors are ctx's, [ErrClosed], and that the model's weights are broken.
func (m *Model) Predict(ctx context.Context, inputs ...Input) ([]Prediction, error) {
	examples := make([]labelled.Example, len(inputs))
	for i, in := range inputs {
		examples[i] = labelled.Example{TextA: in.Text, TextB: in.Pair}
	}
	var answers []classify.Prediction
	err := m.handle.use(ctx, func(ctx context.Context, c *call) (err error) {
		answers, err = m.predictor.Predict(ctx, examples, func(int, int) { c.giveWay() })
		return err
	})
	if err != nil {
		return nil, err
	}
	predictions := make([]Prediction, len(answers))
	for i, a := range answers {
		predictions[i] = Prediction{Label: a.Label, Probability: a.Probability, Probabilities: a.Probabilities, Score: a.Score, Truncated: a.Truncated}
	}
	return predictions, nil
}
