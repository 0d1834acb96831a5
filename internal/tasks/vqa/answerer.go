package vqa

import (
	"context"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
	"github.com/unimo-go/unimo/internal/train"
)

// Answerer is a finished model that answers questions about pictures. It is not safe for concurrent use.
type Answerer struct {
	*pairs.Opened
	speaker speaker
	answers answers // that the model chooses from; none of one that writes
}

// Open opens the model in the folder dir (or the best model of a run's folder). Its weights are mapped, not read.
func Open(dir string, env run.Env) (*Answerer, error) { return open(dir, env.Ready()) }

func open(dir string, env *run.Env) (*Answerer, error) {
	a := new(Answerer)
	var err error
	a.Opened, err = pairs.OpenWith(dir, env, a.build, model.Answering, model.FreeAnswering)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// build makes the model of an opened folder.
func (a *Answerer) build(p *pairs.Opened, o *run.Opened) (model.Parameters, error) {
	if o.Config.ProblemType == model.FreeAnswering {
		w, err := openWriter(o)
		if err != nil {
			return nil, err
		}
		a.speaker = w
		return w.Model.Params, nil
	}
	params, err := p.OpenClassifier(o)
	a.answers = answersOf(o.Config)
	a.speaker = &chooser{runner: p.Runner, answers: a.answers}
	return params, err
}

// Fits implements [run.Finished]: models that choose fit, and models that write.
func (a *Answerer) Fits(t *run.Task) error {
	if _, ok := t.Kind.(Kind); ok {
		return nil
	}
	return a.Opened.Fits(t)
}

// Ask answers questions about pictures, one picture for each question or one for all, each with its top likeliest answers. While tick runs
// nothing of the model is in use.
func (a *Answerer) Ask(ctx context.Context, pictures []*regions.Image, questions []string, top int, tick run.Tick) ([]run.Answers, error) {
	speaker, err := a.calibrated()
	if err != nil {
		return nil, err
	}
	source, records, cut, err := a.Records(ctx, pictures, questions)
	if err != nil {
		return nil, err
	}
	best, err := speaker.best(ctx, source, records, top, tick)
	if err != nil {
		return nil, err
	}
	list := make([]run.Answers, len(questions))
	for i := range best {
		list[i] = run.Answers{Question: questions[i], Best: best[i], Truncated: cut[i]}
	}
	return list, nil
}

// calibrated is what speaks: a model that chooses gives the probabilities of its calibration.
func (a *Answerer) calibrated() (speaker, error) {
	c, ok := a.speaker.(*chooser)
	if !ok {
		return a.speaker, nil
	}
	own := *c
	var err error
	own.calibration, err = a.Calibration()
	return &own, err
}

// Labels implements [run.Replying].
func (a *Answerer) Labels() []string { return a.answers.names }

// Reply implements [run.Replying].
func (a *Answerer) Reply(ctx context.Context, pictures []*regions.Image, questions []string, tick run.Tick) ([]run.Reply, error) {
	answers, err := a.Ask(ctx, pictures, questions, max(1, len(a.answers.names)), tick)
	if err != nil {
		return nil, err
	}
	replies := make([]run.Reply, len(answers))
	for i, x := range answers {
		replies[i] = run.Reply{Label: x.Best[0].Answer, Class: -1, Probability: x.Best[0].Probability, Truncated: x.Truncated}
		if a.answers.names == nil {
			continue
		}
		replies[i].Class, replies[i].Probabilities = a.answers.number[x.Best[0].Answer], make([]float64, len(a.answers.names))
		for _, s := range x.Best {
			replies[i].Probabilities[a.answers.number[s.Answer]] = s.Probability
		}
	}
	return replies, nil
}

// Serve implements [run.Servable].
func (a *Answerer) Serve(*run.Task) (run.Serving, error) {
	s := run.Serving{Model: a.Opened.Opened}
	if s.Pictures = a.Serves(); s.Pictures == nil {
		return s, nil
	}
	s.Ask = a
	if w, ok := a.speaker.(*writer); ok {
		s.Answers, s.Decoding = answering{w, a}, w.limits.Options
	}
	return s, nil
}

// answering writes answers for a server.
type answering struct {
	*writer
	of *Answerer
}

// Source implements [run.AnswerWriter].
func (w answering) Source(im *regions.Image, question string) (decode.Source, error) {
	source, records, _, err := w.of.Records(context.Background(), []*regions.Image{im}, []string{question})
	if err != nil {
		return decode.Source{}, err
	}
	sources, err := w.sources(source, records)
	if err != nil {
		return decode.Source{}, err
	}
	return sources[0], nil
}

var _ run.FilePredictor = (*Answerer)(nil)

// Evaluate implements [run.Finished].
func (a *Answerer) Evaluate(ctx context.Context, _ *run.Task, f run.File, settings run.Flags, tick run.Tick) (run.Result, error) {
	d, notes, err := a.answer(ctx, f, settings.(*EvalSettings), false, tick)
	if err != nil {
		return run.Result{}, err
	}
	return run.Result{Split: f.Split, File: f.Path, Metrics: d.numbers(), Notes: notes, Detail: d}, nil
}

// PredictFile implements [run.FilePredictor].
func (a *Answerer) PredictFile(ctx context.Context, f run.File, settings run.Flags, tick run.Tick) (run.Result, error) {
	d, notes, err := a.answer(ctx, f, settings.(*EvalSettings), true, tick)
	if err != nil {
		return run.Result{}, err
	}
	return run.Result{Split: f.Split, File: f.Path, Metrics: train.Numbers{"examples": train.Number(len(d.said))}, Notes: notes, Detail: d}, nil
}

// answer answers the questions of a file.
func (a *Answerer) answer(ctx context.Context, f run.File, s *EvalSettings, unanswered bool, tick run.Tick) (*detail, []string, error) {
	speaker, err := a.calibrated()
	if err != nil {
		return nil, nil, err
	}
	r := reading{
		options: s.Options(a.Env.Log, a.Device.Limit()), folder: s.ImagesDir, unanswered: unanswered,
		extractor: a.Extractor, limits: a.Limits, cache: imageCache,
	}
	r.options.Model = a.Trained()
	set, err := r.questions(f.Path, a.Env.Log)
	if err != nil {
		return nil, nil, err
	}
	source, _, sets, err := r.pictures([]string{f.Split}, set)
	if err != nil {
		return nil, nil, err
	}
	defer source.Close()
	list, cut, _ := records(sets[0].Examples, a.Encoder, speaker)
	d, err := speaker.answer(ctx, source, sets[0], list, pairs.EvalBatch, tick)
	if err != nil {
		return nil, nil, err
	}
	d.sampled = !unanswered && a.answers.names != nil
	return d, append(r.options.Notes(), run.CutNotes(cut, len(list), "questions", a.Encoder.MaxLen)...), nil
}

// imageCache is the most memory for resized pictures in an evaluation.
const imageCache = 1 << 30
