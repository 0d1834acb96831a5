package captioning

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/texts"
)

// Captioner is a finished model that captions pictures. It is not safe for concurrent use.
type Captioner struct {
	*run.Opened
	images.Reader
	Decoding decode.Options // as the model was fine-tuned for

	writer *writer
	log    *slog.Logger
}

// Open opens the model in the folder dir (or the best model of a run's
// folder). Its weights are mapped, not read.
func Open(dir string, env run.Env) (*Captioner, error) { return open(dir, env.Ready()) }

func open(dir string, env *run.Env) (*Captioner, error) {
	c := &Captioner{log: env.Log}
	var err error
	c.Opened, err = run.Open(dir, env, func(o *run.Opened) (model.Parameters, error) {
		l := limits{MaxTgtLen: min(50, o.Config.MaxTokens()), MaxObjLen: min(100, o.Config.MaxTokens()), Options: decode.Default}
		if err := texts.ReadConfig(o, &l, &l.Options); err != nil {
			return nil, err
		}
		l.MaxTgtLen, l.MaxObjLen = min(l.MaxTgtLen, o.Config.MaxTokens()), min(l.MaxObjLen, o.Config.MaxTokens())
		m, err := model.Open[*model.Generator](o.Device, o.Config, o.Folder.Weights)
		if err != nil {
			return nil, err
		}
		c.writer, c.Decoding = newWriter(o.Device, m, o.Folder.Tokenizer, l), l.Options
		c.Reader, err = images.NewReader(o, env)
		return m.Params, err
	}, model.Captioning)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Tagger reads what tags come from: without settings from the classes of the detector that sees the pictures, or made the
// features, if one does.
func (c *Captioner) Tagger(s TagSettings, features string, within bool) (Tagger, error) {
	if within { // the data bring their images with them
		return OpenTagger(s, nil)
	}
	spec, err := images.MadeBy(features, c.Spec())
	if err != nil {
		return Tagger{}, err
	}
	return OpenTagger(s, spec)
}

// Caption writes a caption for each image, with the tags that it has. Of a sampling, before says how many images were captioned already, which
// drew other random numbers.
func (c *Captioner) Caption(ctx context.Context, images []*regions.Image, tags Tagger, before int, o decode.Options, tick run.Tick) ([]Captioned, error) {
	return c.writer.write(ctx, images, tags, before, o, tick)
}

// served writes captions of pictures for a server.
type served struct {
	*writer
	tags Tagger
}

// Source implements [run.PictureWriter].
func (c served) Source(im *regions.Image) (s decode.Source, err error) {
	err = c.source(&s.Input, im, c.tags)
	return s, err
}

// Serve implements [run.Servable].
func (c *Captioner) Serve(*run.Task) (run.Serving, error) {
	s := run.Serving{Model: c.Opened, Decoding: c.Decoding}
	if s.Pictures = c.Serves(); s.Pictures == nil {
		return s, nil
	}
	tags, err := c.Tagger(TagSettings{}, "", false)
	s.Caption = served{c.writer, tags}
	return s, err
}

// EvalSettings implements [run.Tuned].
func (c *Captioner) EvalSettings() run.Flags { return newEvalSettings(c.Decoding) }

// evalBatch captions are scored at once: enough to fill the products.
const evalBatch = 32

// Evaluate implements [run.Finished].
func (c *Captioner) Evaluate(ctx context.Context, t *run.Task, f run.File, settings run.Flags, tick run.Tick) (run.Result, error) {
	s := settings.(*EvalSettings)
	o, err := s.Decoding.Options(c.Config)
	if err != nil {
		return run.Result{}, err
	}
	sets, within, err := readSplits(cmp.Or(s.MaxRegions, c.writer.limits.MaxRegions), s.Features, f.Path)
	if err != nil {
		return run.Result{}, err
	}
	if len(sets[0].Captions) == 0 {
		return run.Result{}, fmt.Errorf("%s has no captions to score by; name a split with captions", f.Path)
	}
	tags, err := c.Tagger(s.TagSettings, s.Features, within != nil)
	if err != nil {
		return run.Result{}, err
	}
	from := s.EvalSettings.Options(c.log, c.Device.Limit())
	from.Classes, from.Model = tags.Classes(), c.Trained()
	takeWithin(&from, within)
	source, _, sets, err := images.Open(from, c.Extractor, c.Limits, 1<<30, sets...)
	if err != nil {
		return run.Result{}, err
	}
	defer source.Close()
	split, err := newSplit(sets[0], source, tags, c.writer.Tokenizer, c.writer.limits.MaxTgtLen)
	if err != nil {
		return run.Result{}, err
	}
	return c.writer.evaluate(ctx, t, f, split, o, evalBatch, append(from.Notes(), within.Notes()...), tick)
}
