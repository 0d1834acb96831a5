package pairs

import (
	"context"
	"errors"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

// Opened is a finished model that reads a picture and a text. The kinds' own types embed it. It is not safe for
// concurrent use.
type Opened struct {
	*run.Opened
	images.Reader
	Runner  *Runner
	Encoder images.Captions
	Env     *run.Env
}

// OpenModel opens the model for a type of problem in the folder dir (or the best model of a run's folder). Its weights are
// mapped, not read.
func OpenModel(dir string, env *run.Env, problem string) (*Opened, error) {
	p := &Opened{Env: env}
	var err error
	p.Opened, err = run.Open(dir, env, func(o *run.Opened) (model.Parameters, error) {
		m, err := model.Open[*model.Classifier](o.Device, o.Config, o.Folder.Weights)
		if err != nil {
			return nil, err
		}
		p.Runner = NewRunner(o.Device, m)
		p.Encoder = images.Captions{Tokenizer: o.Folder.Tokenizer, MaxLen: o.Config.MaxTokens()}
		p.Reader, err = images.NewReader(o)
		return m.Params, err
	}, problem)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// ErrNoPicture is what a question without a picture gives.
var ErrNoPicture = errors.New("there is a text and no picture, but the model answers about both; give it a picture, too")

// EvalBatch examples are read at once by a finished model.
const EvalBatch = 32

// Logits returns the scores of every class for a picture with each of some texts, and whether that was cut.
func (p *Opened) Logits(ctx context.Context, im *regions.Image, texts []string, tick run.Tick) (logits [][]float32, cut []bool, err error) {
	if im == nil {
		return nil, nil, ErrNoPicture
	}
	records := make([]Record, len(texts))
	cut = make([]bool, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		records[i].Tokens, cut[i] = p.Encoder.Encode(text)
	}
	logits, err = p.Runner.Logits(ctx, single{im}, records, EvalBatch, tick)
	return logits, cut, err
}

// single is a source of one image, whatever it is called.
type single struct{ im *regions.Image }

func (s single) Dim() int      { return len(s.im.Features) / s.im.Regions() }
func (s single) IDs() []string { return []string{s.im.ID} }
func (s single) Close() error  { return nil }

// Image implements [regions.Source].
func (s single) Image(_ string, dst *regions.Image) error {
	*dst = *s.im
	return nil
}
