package entail

import (
	"context"
	"fmt"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/classes"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
	"github.com/unimo-go/unimo/internal/train"
)

// Predictor is a finished model that says whether texts follow from pictures. It is not safe for concurrent use.
type Predictor struct{ *pairs.Opened }

// Open opens the model in the folder dir (or the best model of a run's folder). Its weights are mapped, not read.
func Open(dir string, env run.Env) (*Predictor, error) { return open(dir, env.Ready()) }

func open(dir string, env *run.Env) (*Predictor, error) {
	o, err := pairs.OpenModel(dir, env, model.Entailment)
	if err != nil {
		return nil, err
	}
	return &Predictor{o}, nil
}

// Labels returns the names of the classes.
func (p *Predictor) Labels() []string {
	labels := make([]string, p.Config.NumLabels)
	for i := range labels {
		labels[i] = p.Config.Label(i)
	}
	return labels
}

// Reply implements [run.Replying].
func (p *Predictor) Reply(ctx context.Context, pictures []*regions.Image, texts []string, tick run.Tick) ([]run.Reply, error) {
	c, err := p.Calibration()
	if err != nil {
		return nil, err
	}
	logits, cut, err := p.Logits(ctx, pictures, texts, tick)
	if err != nil {
		return nil, err
	}
	replies := make([]run.Reply, len(texts))
	for i, row := range logits {
		best := classes.Best(row)
		probs := c.Classes(row)
		replies[i] = run.Reply{Label: p.Config.Label(best), Class: best, Probability: probs[best], Probabilities: probs, Truncated: cut[i]}
	}
	return replies, nil
}

// Serve implements [run.Servable].
func (p *Predictor) Serve(*run.Task) (run.Serving, error) {
	s := run.Serving{Model: p.Opened.Opened, Labels: p.Labels()}
	if s.Pictures = p.Serves(); s.Pictures != nil {
		s.Judge = p
	}
	return s, nil
}

// Evaluate implements [run.Finished].
func (p *Predictor) Evaluate(ctx context.Context, _ *run.Task, f run.File, s run.Flags, tick run.Tick) (run.Result, error) {
	return p.file(ctx, f, s.(*EvalSettings), labelled.LabelsRequired, tick)
}

// PredictFile implements [run.FilePredictor].
func (p *Predictor) PredictFile(ctx context.Context, f run.File, s run.Flags, tick run.Tick) (run.Result, error) {
	return p.file(ctx, f, s.(*EvalSettings), labelled.LabelsOptional, tick)
}

func (p *Predictor) file(ctx context.Context, f run.File, s *EvalSettings, policy labelled.LabelPolicy, tick run.Tick) (run.Result, error) {
	c, err := p.Calibration()
	if err != nil {
		return run.Result{}, err
	}
	reading := s.reading(p.Labels())
	reading.Policy = policy
	set, err := read(f.Path, reading, p.Env.Log)
	if err != nil {
		return run.Result{}, err
	}
	o := s.Options(p.Env.Log, p.Device.Limit())
	o.Model = p.Trained()
	if set.Images != nil {
		o.Within = set.Images
	}
	source, spec, keep, err := pairs.Open(o, p.Extractor, p.Limits, 0, imagesOf(f, s.Folder, set.Examples))
	if err != nil {
		return run.Result{}, err
	}
	defer source.Close()
	if source.Dim() != p.Config.ImageEmbeddingSize {
		return run.Result{}, fmt.Errorf("%s: the images have %d values a region, but the model wants %d (image_embedding_size); give features like those it was trained on", f.Path, source.Dim(), p.Config.ImageEmbeddingSize)
	}
	examples := pairs.Keep(set.Examples, keep[0])
	list, cut, err := records(examples, p.Encoder)
	if err != nil {
		return run.Result{}, err
	}
	logits, err := p.Runner.Logits(ctx, source, list, pairs.EvalBatch, tick)
	if err != nil {
		return run.Result{}, err
	}
	pictures := ""
	if spec != nil && s.Features == "" {
		pictures = s.Folder.Of(f.Path)
	}
	r := run.Result{Split: f.Split, File: f.Path, Notes: append(o.Notes(), run.CutNotes(cut, len(list), "texts", p.Encoder.MaxLen)...)}
	if policy == labelled.LabelsOptional {
		r.Metrics = train.Numbers{"examples": train.Number(len(examples))}
		r.Detail = &detail{labels: p.Labels(), examples: examples, logits: logits, pictures: pictures, calibration: c}
		return r, nil
	}
	d := newDetail(p.Labels(), examples, logits, pictures, nil)
	d.calibration = c
	r.Metrics, r.Detail = d.score.Metrics, d
	return r, nil
}
