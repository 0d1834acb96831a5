package pairs

import (
	"context"
	"errors"
	"slices"
	"strconv"

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
	Runner  *Runner // nil of a model that writes
	Encoder images.Captions
	Env     *run.Env
}

// OpenModel opens the model for a type of problem in the folder dir (or the best model of a run's folder). Its weights are
// mapped, not read.
func OpenModel(dir string, env *run.Env, problem string) (*Opened, error) {
	return OpenWith(dir, env, (*Opened).OpenClassifier, problem)
}

// OpenWith is OpenModel for a model of one of some types, which build makes.
func OpenWith(dir string, env *run.Env, build func(p *Opened, o *run.Opened) (model.Parameters, error), problems ...string) (*Opened, error) {
	p := &Opened{Env: env}
	var err error
	p.Opened, err = run.Open(dir, env, func(o *run.Opened) (params model.Parameters, err error) {
		p.Encoder = images.Captions{Tokenizer: o.Folder.Tokenizer, MaxLen: o.Config.TextTokens()}
		if p.Reader, err = images.NewReader(o, env); err != nil {
			return nil, err
		}
		return build(p, o)
	}, problems...)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// OpenClassifier makes the model of an opened folder one that chooses.
func (p *Opened) OpenClassifier(o *run.Opened) (model.Parameters, error) {
	m, err := model.Open[*model.Classifier](o.Device, o.Config, o.Folder.Weights)
	if err != nil {
		return nil, err
	}
	p.Runner = NewRunner(o.Device, m)
	return m.Params, nil
}

// Encode returns a text as the model reads it, and whether it was cut. Many goroutines may call it.
func (p *Opened) Encode(text string) (tokens []int32, cut bool) { return p.Encoder.Encode(text) }

// ErrNoPicture is what a question without a picture gives.
var ErrNoPicture = errors.New("there is a text and no picture, but the model answers about both; give it a picture, too")

// EvalBatch examples are read at once by a finished model.
const EvalBatch = 32

// Logits returns the scores of every class for pictures with texts (see [Opened.Records]), and whether a text was cut.
func (p *Opened) Logits(ctx context.Context, pictures []*regions.Image, texts []string, tick run.Tick) (logits [][]float32, cut []bool, err error) {
	source, records, cut, err := p.Records(ctx, pictures, texts)
	if err != nil {
		return nil, nil, err
	}
	logits, err = p.Runner.Logits(ctx, source, records, EvalBatch, tick)
	return logits, cut, err
}

// Records are pictures with texts, one picture for each text or one for all, and whether the text was cut; the source has the pictures.
func (p *Opened) Records(ctx context.Context, pictures []*regions.Image, texts []string) (source regions.Source, records []Record, cut []bool, err error) {
	if len(pictures) == 0 || slices.Contains(pictures, nil) {
		return nil, nil, nil, ErrNoPicture
	}
	records, cut = make([]Record, len(texts)), make([]bool, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, nil, nil, err
		}
		records[i].Tokens, cut[i] = p.Encoder.Encode(text)
		if len(pictures) > 1 {
			records[i].Image = strconv.Itoa(i)
		}
	}
	return listed(pictures), records, cut, nil
}

// listed is a source of images that are in memory, by their numbers; "" is the first.
type listed []*regions.Image

func (l listed) Dim() int      { return len(l[0].Features) / l[0].Regions() }
func (l listed) IDs() []string { return nil }
func (l listed) Close() error  { return nil }

// Image implements [regions.Source].
func (l listed) Image(id string, dst *regions.Image) error {
	im, err := l.find(id)
	if err == nil {
		*dst = *im
	}
	return err
}

func (l listed) find(id string) (*regions.Image, error) {
	if id == "" {
		return l[0], nil
	}
	number, err := strconv.Atoi(id)
	if err != nil {
		return nil, err
	}
	return l[number], nil
}
