package vqa

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/dataset/vqa"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
	"github.com/unimo-go/unimo/internal/tasks/texts"
	"github.com/unimo-go/unimo/tokenizer"
)

// limits are the generation_config.json of a model that writes answers.
type limits struct {
	MaxTgtLen int `json:"max_tgt_len"`
	decode.Options
}

// search is the usual way to find an answer: without a penalty, so that its score is its probability.
var search = texts.Search(3, 0, 1, maxAnswerTokens, false)

// maxAnswerTokens is the most tokens of an answer, unless a setting says otherwise.
const maxAnswerTokens = 20

// writer is a model that writes answers. It is not safe for concurrent use.
type writer struct {
	texts.Writer
	dev    engine.Device
	limits limits
}

func newWriter(dev engine.Device, m *model.Generator, tok *tokenizer.Tokenizer, l limits) *writer {
	w := &writer{texts.NewWriter(dev, m, tok, l.Options), dev, l}
	w.Decoder.End = tok.SEP()
	return w
}

// openWriter makes the model of an opened folder one that writes.
func openWriter(o *run.Opened) (*writer, error) {
	l := limits{maxAnswerTokens, search}
	if err := texts.ReadConfig(o, &l, &l.Options); err != nil {
		return nil, err
	}
	l.MaxTgtLen = min(l.MaxTgtLen, o.Config.MaxTokens())
	m, err := model.Open[*model.Generator](o.Device, o.Config, o.Folder.Weights)
	if err != nil {
		return nil, err
	}
	return newWriter(o.Device, m, o.Folder.Tokenizer, l), nil
}

// aim makes the answer that most people gave the target. Without one that anything is left of there is none.
func (w *writer) aim(r *pairs.Record, people []string) (cut bool) {
	if answer := gold(people); answer != "" {
		r.Target, cut = images.Captions{Tokenizer: w.Tokenizer, MaxLen: w.limits.MaxTgtLen}.Encode(answer)
	}
	return cut
}

func (w *writer) answer(ctx context.Context, source regions.Source, set *vqa.Set, list []pairs.Record, batch int, tick run.Tick) (*detail, error) {
	d := &detail{set: set, said: make([]said, len(list))}
	known := aimed(list)
	total := len(known) + len(list)
	var err error
	if d.loss, err = w.loss(ctx, source, set.File, known, batch, func(done, _ int) { tick(done, total) }); err != nil {
		return nil, err
	}
	best, err := w.best(ctx, source, list, 1, func(done, _ int) { tick(len(known)+done, total) })
	if err != nil {
		return nil, err
	}
	for i := range best {
		d.say(i, best[i][0])
	}
	return d, nil
}

// aimed are the records with a target.
func aimed(list []pairs.Record) []pairs.Record {
	return slices.DeleteFunc(slices.Clone(list), func(r pairs.Record) bool { return r.Target == nil })
}

// loss returns the mean loss of a token of the answers; NaN without any.
func (w *writer) loss(ctx context.Context, source regions.Source, file string, list []pairs.Record, batch int, tick run.Tick) (float64, error) {
	if len(list) == 0 {
		return math.NaN(), nil
	}
	packer := pairs.NewPacker(source, w.dev.Limit())
	return w.Loss(ctx, texts.Examples{
		N: len(list),
		Pack: func(lo, hi int) (model.Input, []int32, error) {
			numbers := between(lo, hi)
			in, err := packer.Pack(list, numbers)
			return in, pairs.Labels(list, numbers), err
		},
		At: func(i int) string { return fmt.Sprintf("%s line %d", file, list[i].Line) },
	}, batch, tick)
}

func between(lo, hi int) []int {
	list := make([]int, hi-lo)
	for i := range list {
		list[i] = lo + i
	}
	return list
}

// readAtOnce pictures are read before any question is answered: with a detector's features they take 50 MB.
const readAtOnce = 64

// best searches with top hypotheses at least. Two that are the same text count once, so there may be fewer.
func (w *writer) best(ctx context.Context, source regions.Source, list []pairs.Record, top int, tick run.Tick) ([][]run.Scored, error) {
	o := w.limits.Options
	if !o.Sample {
		o.BeamSize = max(o.BeamSize, min(top, w.Model.Config.VocabSize-1))
	}
	return texts.InParts(&w.Writer, o, len(list), readAtOnce, func(lo, hi int) (all [][]run.Scored, err error) {
		sources, err := w.sources(source, list[lo:hi])
		if err != nil {
			return nil, err
		}
		results, err := w.Decoder.Run(ctx, sources, o, func(done, _ int) { tick(lo+done, len(list)) })
		if err != nil {
			return nil, err
		}
		for _, r := range results {
			all = append(all, w.distinct(r, o, top))
		}
		return all, nil
	})
}

// sources are what answers are written for.
func (w *writer) sources(source regions.Source, list []pairs.Record) ([]decode.Source, error) {
	sources, errs := make([]decode.Source, len(list)), make([]error, len(list))
	w.dev.Limit().For(len(list), func(i int) {
		asked := list[i]
		asked.Target = nil
		sources[i].Input, errs[i] = pairs.NewPacker(source, w.dev.Limit()).Pack([]pairs.Record{asked}, []int{0})
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return sources, nil
}

// distinct are the top likeliest texts of a result.
func (w *writer) distinct(r decode.Result, o decode.Options, top int) (list []run.Scored) {
	for _, h := range r.Hypotheses {
		text := strings.TrimSpace(decode.Text(w.Tokenizer, h.IDs))
		if len(list) < top && !slices.ContainsFunc(list, func(s run.Scored) bool { return s.Answer == text }) {
			list = append(list, run.Scored{Answer: text, Probability: h.Probability(o)})
		}
	}
	return list
}
