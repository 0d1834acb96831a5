package entail

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/dataset/entailment"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/classes"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/tokenizer"
)

// job implements [run.Job].
type job struct {
	task          *run.Task
	settings      *Settings
	env           *run.Env
	files         []run.File // train and dev
	train, devSet []entailment.Example
	within        *regions.Within // nil: the images are not in the files
	source        regions.Source
	spec          *regions.Spec // nil: features from elsewhere
	dim           int           // of the features; 0 until they are read
}

// Files implements [run.Job].
func (j *job) Files(data, dev string) ([]run.File, error) { return j.task.FindFiles(data, dev) }

// Read implements [run.Job].
func (j *job) Read(files []run.File) error {
	j.files = files[:2]
	o := j.settings.reading()
	train, err := read(files[0].Path, o, j.env.Log)
	if err != nil {
		return err
	}
	o.Images = train.Images
	dev, err := read(files[1].Path, o, j.env.Log)
	if err != nil {
		return err
	}
	if (train.Images == nil) != (dev.Images == nil) {
		return fmt.Errorf("only one of %s and %s has its images in it; name files of the same form", files[0].Path, files[1].Path)
	}
	j.train, j.devSet, j.within = train.Examples, dev.Examples, train.Images
	s := j.settings
	var keep []func(int) bool
	j.source, j.spec, keep, err = pairs.Open(j.options(), s.NewExtractor, picture.DefaultLimits, int64(s.ImageCache)<<20, j.images()...)
	if err != nil {
		return err
	}
	j.train, j.devSet, j.dim = pairs.Keep(j.train, keep[0]), pairs.Keep(j.devSet, keep[1]), j.source.Dim()
	return nil
}

func (j *job) options() images.Options {
	o := j.settings.Options(j.env.Log, j.env.Device.Limit(), j.settings.Seed)
	if j.within != nil {
		o.Within = j.within
	}
	return o
}

// images are those of train and dev. All pictures are in the folder of the first.
func (j *job) images() []pairs.Images {
	return []pairs.Images{imagesOf(j.files[0], j.settings.Folder, j.train), imagesOf(j.files[1], j.settings.Folder, j.devSet)}
}

// Digests implements [run.Job].
func (j *job) Digests() (map[string]string, error) {
	digest, err := pairs.Digest(j.options(), j.images()...)
	return map[string]string{"images": digest}, err
}

// Head implements [run.Job].
func (j *job) Head(cfg model.Config) (_ model.Config, err error) {
	s := j.settings
	if cfg.ImageEmbeddingSize, err = s.Dim(j.dim); err != nil {
		return cfg, err
	}
	labels := s.labels()
	cfg.NumLabels, cfg.ID2Label = len(labels), map[string]string{}
	for i, label := range labels {
		cfg.ID2Label[fmt.Sprint(i)] = label
	}
	return cfg.WithTextTokens(s.MaxSeqLen)
}

// Refit implements [run.Refitter].
func (j *job) Refit(r checkpoint.Reader, specs []model.Spec) checkpoint.Reader {
	return images.Fit(r, specs, j.env.Log)
}

// Texts implements [run.Job].
func (j *job) Texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, x := range j.train {
			if !yield(x.Text) {
				return
			}
		}
	}
}

// Specs implements [run.Job].
func (j *job) Specs(cfg model.Config) []model.Spec { return model.Specs(cfg) }

// Learner implements [run.Job].
func (j *job) Learner(ctx context.Context, cfg model.Config, tok *tokenizer.Tokenizer) (_ run.Learner, err error) {
	if j.source, j.spec, err = images.Compute(ctx, j.env, j.options(), j.source, j.spec); err != nil {
		return nil, err
	}
	s := j.settings
	m, err := run.NewModel[*model.Classifier](j.env, cfg, s.Seed)
	if err != nil {
		return nil, err
	}
	enc := images.Captions{Tokenizer: tok, MaxLen: s.MaxSeqLen}
	train, cut, err := records(j.train, enc)
	if err != nil {
		return nil, err
	}
	dev, devCut, err := records(j.devSet, enc)
	if err != nil {
		return nil, err
	}
	if cut > 0 {
		j.env.Log.Warn(fmt.Sprintf("%d of %d training texts are longer than %d tokens (max_seq_len) and were cut", cut, len(train), s.MaxSeqLen))
	}
	core, err := pairs.NewLearner(pairs.Training{
		Env: j.env, Common: s.Common(), Model: pairs.Choosing(m), Source: j.source, Spec: j.spec, Change: s.change(), Attacks: s.Recipe, Records: train,
	})
	if err != nil {
		return nil, err
	}
	return &learner{
		Learner: core, job: j, runner: pairs.NewRunner(j.env.Device, m),
		dev: dev, devNotes: run.CutNotes(devCut, len(dev), "texts", s.MaxSeqLen),
		about: run.About{Lines: j.about(), Examples: len(train), Tokens: core.Tokens(s.Common()), Passes: s.Recipe.Count().Work()},
	}, nil
}

// learner implements [run.Learner].
type learner struct {
	*pairs.Learner
	job      *job
	about    run.About
	dev      []pairs.Record
	devNotes []string
	runner   *pairs.Runner
}

// About implements [run.Learner].
func (l *learner) About() run.About { return l.about }

// Evaluate implements [run.Learner].
func (l *learner) Evaluate(ctx context.Context, _ int, tick run.Tick) (train.Evaluation, error) {
	defer l.runner.Share(l.job.env.Group)()
	d, err := l.score(ctx, tick)
	if err != nil {
		return train.Evaluation{}, err
	}
	metric, m := l.job.task.Metric, d.score.Metrics
	return train.Evaluation{Metric: metric, Score: m[metric], Lower: l.job.task.Lower, Metrics: m}, nil
}

// Score implements [run.Learner].
func (l *learner) Score(ctx context.Context, f run.File, tick run.Tick) (run.Result, error) {
	d, err := l.score(ctx, tick)
	if err != nil {
		return run.Result{}, err
	}
	return run.Result{Split: f.Split, File: f.Path, Metrics: d.score.Metrics, Detail: d, Notes: append(l.job.options().Notes(), d.notes...)}, nil
}

func (l *learner) score(ctx context.Context, tick run.Tick) (*detail, error) {
	s := l.job.settings
	logits, err := l.runner.Logits(ctx, l.job.source, l.dev, s.EvalBatchSize, tick)
	if err != nil {
		return nil, err
	}
	return newDetail(s.labels(), l.job.devSet, logits, l.job.pictures(), l.devNotes), nil
}

// pictures is the folder of the pictures; "" where there are features alone.
func (j *job) pictures() string {
	if j.spec == nil || j.settings.Pictures == images.Hidden {
		return ""
	}
	return j.settings.Folder.Of(j.files[0].Path)
}

// about describes the data of a run, and warns of what makes its score worth little.
func (j *job) about() []string {
	all := j.images()
	shared, of := pairs.Shared(all[0], all[1])
	run.WarnShared(j.env.Log, shared, of, "images")
	first, labels := j.train[0], j.settings.labels()
	lines := []string{
		fmt.Sprintf("%s training examples: %s", run.Grouped(len(j.train)), shares(labels, j.train)),
		fmt.Sprintf("%s dev examples: %s", run.Grouped(len(j.devSet)), shares(labels, j.devSet)),
		fmt.Sprintf("the first: %s of %s is %s", run.Excerpt(first.Shown()), first.Image, labels[first.Class]),
	}
	return slices.Concat(lines, j.options().Notes(), j.settings.Recipe.About())
}

// newScore compares what a model says of examples with their labels.
func newScore(examples []entailment.Example, logits [][]float32, labels []string) classes.Score {
	s := classes.NewScore(logits, golds(examples), len(labels))
	perClass(s, labels)
	return s
}
