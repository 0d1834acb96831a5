package unimo

import (
	"context"
	"fmt"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/vqa"
)

// Answerer is an open model that answers questions about pictures. It is safe for concurrent use; calls take turns, as each
// uses all cores, and a long one lets others in between its batches. A call that waits heeds its context.
type Answerer struct {
	handle *handle
	a      *vqa.Answerer
}

// OpenAnswerer opens the model in the folder dir, or the best model of a run's folder. See [Open] about its files and errors. A
// model for another kind of task is [ErrWrongTask].
func OpenAnswerer(dir string, options ...Option) (*Answerer, error) {
	from, err := environment(dir, options)
	if err != nil {
		return nil, err
	}
	m := new(Answerer)
	m.handle, err = from.open(dir, func(env run.Env) (err error) {
		m.a, err = vqa.Open(dir, env)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Close releases the model like [Model.Close].
func (m *Answerer) Close() error { return m.handle.close(func() error { return m.a.Close() }) }

// Answer is a model's answer to a question about a picture.
type Answer struct {
	Text        string  `json:"answer"`
	Probability float64 `json:"probability"` // of this answer alone: several may be right, and theirs do not add up to 1; if it was written, of these very words
}

// Ask returns the likeliest answer to each question about the picture, the content of a JPEG, PNG, GIF or WebP file. A question
// that is longer than the model reads is cut. Answers are in the order of the questions. Errors are those of [Captioner.Caption].
func (m *Answerer) Ask(ctx context.Context, picture []byte, questions ...string) ([]Answer, error) {
	all, err := m.AskTop(ctx, 1, picture, questions...)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(all))
	for i, best := range all {
		answers[i] = best[0]
	}
	return answers, nil
}

// AskTop is [Answerer.Ask] with the k likeliest answers to each question, the likeliest first; fewer if the model knows no more. One
// that writes its answers searches with k hypotheses at least.
// A k below 1 is [ErrSetting].
func (m *Answerer) AskTop(ctx context.Context, k int, picture []byte, questions ...string) ([][]Answer, error) {
	if k < 1 {
		return nil, &settingError{fmt.Errorf("ask for %d answers; ask for 1 or more", k)}
	}
	var said []run.Answers
	err := m.handle.use(ctx, func(ctx context.Context, c *call) error {
		im, err := m.a.Decode(ctx, picture)
		if err != nil {
			return err
		}
		said, err = m.a.Ask(ctx, []*regions.Image{im}, questions, k, func(int, int) { c.giveWay() })
		return err
	})
	if err != nil {
		return nil, err
	}
	answers := make([][]Answer, len(said))
	for i, x := range said {
		for _, s := range x.Best {
			answers[i] = append(answers[i], Answer{s.Answer, s.Probability})
		}
	}
	return answers, nil
}
