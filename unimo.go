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
// There are six ways to open a model, by what it was trained for:
//
//   - [Open]: a model that classifies or scores texts, or pictures with texts ([Model.Predict]);
//   - [OpenGenerator]: one that writes texts ([Generator.Generate], [Generator.Stream]);
//   - [OpenRetriever]: one that compares pictures with texts ([Retriever.Match]) and searches ([Index.Search]);
//   - [OpenAnswerer]: one that answers questions about pictures ([Answerer.Ask]);
//   - [OpenCaptioner]: one that writes captions of pictures ([Captioner.Caption]);
//   - [OpenEmbedder]: one that makes vectors of texts, also of sentence-transformers ([Embedder.Embed]).
//
// A model that was trained for several of these is opened by each of its functions; [ForTask] names the task where more
// than one fits.
//
// [Finetune], [Pretrain] and [Evaluate] train and score models, as the commands of these names do; [Tasks] lists what
// they can be trained for. Of the packages below, tokenizer, checkpoint and metrics are useful alone.
//
// # Concurrency
//
// Open models are safe for concurrent use; calls take turns, as each uses all cores. A server bounds the cores of a
// model with [Threads]. A call that waits heeds its context. After Close, calls return [ErrClosed].
//
// # Several tasks of a folder
//
// What is opened from one folder at the same time, for its tasks or again, shares the weights, the network that sees the pictures and the accelerator:
// they are there once, from the first that is opened to the last that is closed. Calls of different models do not wait for each other. With other
// [Threads], another [Device], [Precision] or [Extractor], or after a file of the folder was replaced, nothing is shared.
//
// # Accelerators
//
// [Device] names a GPU or another chip to compute with, through a plugin of its maker, and [Precision] how products are rounded there:
//
//	m, err := unimo.Open("RUN", unimo.Device("cuda"), unimo.Precision("bf16"))
//
// The first calls wait for programs that are compiled for the chip, one for each size of batch; they are kept on disk. Where the
// chip is lost, calls return [ErrDeviceLost].
//
// # Errors
//
// [ErrClosed], [ErrDeviceLost], [ErrWrongTask], [ErrSetting] and [ErrTimeUp] are found with [errors.Is], and so are [io/fs.ErrNotExist]
// and the errors of contexts. [ErrSetting] is what the program asked for wrongly: nothing has been done then.
//
// # Numbers
//
// The computation is float32 on the processor, with AVX-512 or AVX2 where there
// is one; results do not depend on the number of threads. An accelerator gives the same but for rounding.
package unimo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks"
	"github.com/unimo-go/unimo/internal/tasks/classify"
)

// Model is an open model that classifies or scores texts, or pictures with texts. It is safe for concurrent use; calls take turns, as
// each uses all cores, and a long one lets others in between its batches. A call that waits heeds its context.
type Model struct {
	handle *handle
	texts  *classify.Predictor // nil of a model that reads pictures
	pairs  run.Replying        // of a picture with a text; nil of a model that reads texts alone
}

// Open opens the model in the folder dir, or the best model of a run's folder; or a classifier of texts of Hugging Face's transformers. dir
// may also be the name of a model that "unimo pull" fetched, such as hf:ORG/MODEL, here and wherever a folder is named: the library itself
// opens no connection, and one that was not fetched is [io/fs.ErrNotExist]. The
// weights are mapped into memory, not copied, so opening is quick and processes
// share them. The files must stay as they are until [Model.Close]. A folder without a model is [io/fs.ErrNotExist], a
// model for another kind of task is [ErrWrongTask].
func Open(dir string, options ...Option) (*Model, error) {
	from, err := environment(dir, options)
	if err != nil {
		return nil, err
	}
	m := new(Model)
	m.handle, err = from.open(dir, func(env run.Env) error { return m.open(dir, env) })
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Model) open(dir string, env run.Env) (err error) {
	t, alone, several := tasks.All.ReplierOf(dir, env.Task)
	if t != nil && alone {
		return m.openPairs(t, dir, env)
	}
	m.texts, err = classify.Open(dir, env)
	var setting *run.SettingError
	switch {
	case err == nil || !errors.Is(err, ErrWrongTask):
	case t != nil: // of several tasks the only one that fits
		return m.openPairs(t, dir, env)
	case errors.As(several, &setting):
		err = several
	}
	return err
}

// openPairs opens a model that reads a picture with a text.
func (m *Model) openPairs(t *run.Task, dir string, env run.Env) (err error) {
	m.pairs, err = t.Kind.(run.Replier).OpenReplying(dir, env.Ready())
	return err
}

// Close releases the model, after the calls in progress have ended. Calls that still wait or come
// later return [ErrClosed]. Closing again does nothing.
func (m *Model) Close() error {
	return m.handle.close(func() error {
		if m.pairs != nil {
			return m.pairs.Close()
		}
		return m.texts.Close()
	})
}

// Input is one text, a pair of texts for tasks such as inference, or a picture with a text for tasks such as visual
// entailment.
type Input struct {
	Text    string
	Pair    string // empty for a single text
	Picture []byte // the content of a JPEG, PNG, GIF or WebP file of at most 50 million pixels; nil for texts alone
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
	switch {
	case m.pairs != nil:
		return m.pairs.Labels()
	case m.texts != nil:
		return m.texts.Labels()
	}
	return nil
}

// Predict answers about inputs, in their order. Any text is valid input, also
// empty text and bytes that are not UTF-8. Errors are ctx's, [ErrClosed], those of a picture, and that the model's weights
// are broken. A picture for a model that reads texts alone is [ErrSetting], and so is none for one that reads both.
func (m *Model) Predict(ctx context.Context, inputs ...Input) ([]Prediction, error) {
	for i, in := range inputs {
		if reads := m.pairs != nil; reads != (in.Picture != nil) && (m.pairs != nil || m.texts != nil) {
			problem := "has a picture, but the model reads texts alone; leave it out"
			if reads {
				problem = "has a text and no picture, but the model answers about both; give it a picture, too"
			}
			return nil, &settingError{fmt.Errorf("input %d %s", i+1, problem)}
		}
	}
	if m.pairs != nil {
		return m.predictPairs(ctx, inputs)
	}
	examples := make([]labelled.Example, len(inputs))
	for i, in := range inputs {
		examples[i] = labelled.Example{TextA: in.Text, TextB: in.Pair}
	}
	var answers []run.Reply
	err := m.handle.use(ctx, func(ctx context.Context, c *call) (err error) {
		answers, err = m.texts.Predict(ctx, examples, func(int, int) { c.giveWay() })
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

// predictPairs answers about pictures with texts, those of one picture together.
func (m *Model) predictPairs(ctx context.Context, inputs []Input) ([]Prediction, error) {
	var predictions []Prediction
	err := m.handle.use(ctx, func(ctx context.Context, c *call) error {
		for len(inputs) > 0 {
			n := 1
			for n < len(inputs) && bytes.Equal(inputs[n].Picture, inputs[0].Picture) {
				n++
			}
			im, err := m.pairs.Decode(ctx, inputs[0].Picture)
			if err != nil {
				return err
			}
			texts := make([]string, n)
			for i := range texts {
				texts[i] = inputs[i].Text
				if inputs[i].Pair != "" {
					return &settingError{errors.New("the model reads a picture and one text; leave the second out")}
				}
			}
			replies, err := m.pairs.Reply(ctx, []*regions.Image{im}, texts, func(int, int) { c.giveWay() })
			if err != nil {
				return err
			}
			for _, r := range replies {
				predictions = append(predictions, Prediction{Label: r.Label, Probability: r.Probability, Probabilities: r.Probabilities, Truncated: r.Truncated})
			}
			inputs = inputs[n:]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return predictions, nil
}
