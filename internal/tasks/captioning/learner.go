package captioning

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/texts"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/internal/train/adversarial"
	"github.com/unimo-go/unimo/tokenizer"
)

// job implements [run.Job].
type job struct {
	task          *run.Task
	settings      *Settings
	env           *run.Env
	train, devSet *captions.Set
	within        *regions.Within // images of the reference's lines; nil: there are none
	tags          Tagger
	source        regions.Source
	spec          *regions.Spec // nil: features from elsewhere
	dim           int           // of the features; 0 until they are read
}

// Files implements [run.Job].
func (j *job) Files(data, dev string) ([]run.File, error) { return j.task.FindFiles(data, dev) }

// Read implements [run.Job].
func (j *job) Read(files []run.File) error {
	s := j.settings
	sets, within, err := readSplits(s.MaxRegions, s.Features, files[0].Path, files[1].Path)
	if err != nil {
		return err
	}
	j.within = within
	for _, note := range within.Notes() {
		j.env.Log.Warn(note)
	}
	for i, set := range sets {
		if len(set.Captions) == 0 {
			return fmt.Errorf("%s has no captions; training and choosing the best model need them", files[i].Path)
		}
	}
	var eyes *regions.Spec
	if within == nil {
		if eyes, err = s.MadeBy(); err != nil {
			return err
		}
	}
	if j.tags, err = OpenTagger(TagSettings{Objects: s.Objects, ObjectVocab: s.ObjectVocab}, eyes); err != nil {
		return err
	}
	o := j.options()
	if j.source, j.spec, sets, err = s.Open(o, sets...); err != nil {
		return err
	}
	j.train, j.devSet, j.dim = sets[0], sets[1], j.source.Dim()
	if images.Once(j.source, j.spec) && (s.Flip || s.MinCropArea < 1) {
		if j.spec == nil || !j.spec.Trained() { // else it is said where they are computed
			j.env.Log.Info("region features are neither cropped nor mirrored")
		}
		s.Flip, s.MinCropArea = false, 1
	}
	for _, set := range sets {
		for _, note := range j.tags.notes(set.Images) {
			j.env.Log.Warn(set.Name + ": " + note)
		}
	}
	return nil
}

func (j *job) options() images.Options {
	o := j.settings.Images.Options(j.env.Log, j.env.Device.Limit(), j.settings.Seed)
	o.Classes = j.tags.Classes()
	takeWithin(&o, j.within)
	return o
}

// Digests implements [run.Job].
func (j *job) Digests() (map[string]string, error) {
	digest, err := images.Digest(j.options(), j.train, j.devSet)
	return map[string]string{"images": digest}, err
}

// Head implements [run.Job].
func (j *job) Head(cfg model.Config) (_ model.Config, err error) {
	if cfg.ImageEmbeddingSize, err = j.settings.Dim(j.dim); err != nil {
		return cfg, err
	}
	if err := texts.FitsTokens("max_obj_len", j.settings.MaxObjLen, cfg); err != nil {
		return cfg, err
	}
	return cfg, j.settings.Fits(cfg)
}

// Refit implements [run.Refitter].
func (j *job) Refit(r checkpoint.Reader, specs []model.Spec) checkpoint.Reader {
	return images.Fit(r, specs, j.env.Log)
}

// Texts implements [run.Job].
func (j *job) Texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, c := range j.train.Captions {
			if !yield(c.Text) {
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
	s, log := j.settings, j.env.Log
	m, err := run.NewModel[*model.Generator](j.env, cfg, s.Seed)
	if err != nil {
		return nil, err
	}
	eyes := images.EyesOf(j.source)
	if err := eyes.Check(s.Recipe); err != nil {
		return nil, err
	}
	l := &learner{job: j, eyes: eyes, attacks: adversarial.Trainer{Recipe: s.Recipe}, writer: newWriter(j.env.Device, m, tok, limits{MaxTgtLen: s.MaxTgtLen, MaxObjLen: s.MaxObjLen, MaxRegions: s.MaxRegions, Options: s.Texts.Options()})}
	if l.files, err = texts.ConfigFile(l.writer.limits); err != nil {
		return nil, err
	}
	files, copies := images.Companions(j.spec)
	maps.Copy(l.files, files)
	l.copies = copies
	if l.train, err = newSplit(j.train, j.source, j.tags, tok, s.MaxTgtLen); err != nil {
		return nil, err
	}
	if l.devSet, err = newSplit(j.devSet, j.source, j.tags, tok, s.MaxTgtLen); err != nil {
		return nil, err
	}
	for _, note := range run.CutNotes(l.train.cut, len(j.train.Captions), "training captions", s.MaxTgtLen) {
		log.Warn(note)
	}
	var first regions.Image // the others have about as many regions and objects
	if err := l.train.read(0, &first); err != nil {
		return nil, err
	}
	objects, err := j.tags.tokens(&first, tok, s.MaxObjLen)
	if err != nil {
		return nil, err
	}
	lengths := make([]int, len(l.train.tokens))
	for i, t := range l.train.tokens {
		lengths[i] = first.Regions() + 1 + len(objects) + len(t) - 1
	}
	l.Epochs = run.NewEpochs(s.Common(), lengths, s.BatchSize, func(i int) int { return j.train.Captions[i].Line })
	l.about = run.About{Lines: append(images.About(log, j.train, j.devSet), s.Recipe.About()...), Examples: len(lengths), Tokens: l.Tokens(s.Common()), Passes: s.Recipe.Count().Work()}
	return l, nil
}

// learner implements [run.Learner].
type learner struct {
	run.Epochs
	job           *job
	writer        *writer
	eyes          *images.Eyes // the network in training that sees the pictures; nil: none is
	train, devSet *split
	attacks       adversarial.Trainer
	files         map[string][]byte
	copies        map[string]string
	about         run.About
}

var (
	_ run.Submitter = (*learner)(nil)
	_ run.Passer    = (*learner)(nil)
)

// Model implements [run.Learner].
func (l *learner) Model() run.Model {
	return l.eyes.Model(run.Model{Params: l.writer.Model.Params, Files: l.files, Copies: l.copies})
}

// About implements [run.Learner].
func (l *learner) About() run.About { return l.about }

// Close implements [run.Learner].
func (l *learner) Close() error { return l.job.source.Close() }

// Parts implements [run.Learner]: a mean over the tokens of the captions.
func (l *learner) Parts(epoch, batch int) ([]train.Part, error) {
	labels := 0
	for _, c := range l.Plan.At(epoch, batch) {
		labels += len(l.train.tokens[c]) - 1
	}
	return l.attacks.Parts(labels), nil
}

// Loss implements [run.Learner].
func (l *learner) Loss(tape *autograd.Tape, epoch, batch int) ([]*autograd.Var, int, error) {
	in, labels, err := l.pack(tape, epoch, batch)
	if err != nil {
		return nil, 0, err
	}
	loss := l.writer.Model.Loss(tape, in, labels, float32(l.job.settings.LabelSmooth))
	return []*autograd.Var{loss}, in.Rows(), nil
}

// Passes implements [run.Passer].
func (l *learner) Passes(tape *autograd.Tape, epoch, batch int, scales []float32) (train.Reading, int, error) {
	in, labels, err := l.pack(tape, epoch, batch)
	if err != nil {
		return nil, 0, err
	}
	return l.attacks.Passes(tape, in, l.writer.Model.Objective(labels, float32(l.job.settings.LabelSmooth)), scales)
}

// pack makes a batch of training captions.
func (l *learner) pack(tape *autograd.Tape, epoch, batch int) (model.Input, []int32, error) {
	in, labels, err := l.writer.pack(l.train, l.Plan.At(epoch, batch), func(number int, dst *regions.Image) error { return l.augmented(epoch, number, dst) })
	if err == nil {
		err = l.eyes.See(tape, &in, l.writer.prepared)
	}
	return in, labels, err
}

// augmented reads a training image, changed at random where the settings say so.
func (l *learner) augmented(epoch, number int, dst *regions.Image) error {
	s := l.job.settings
	change := picture.Augmentation{MinArea: s.MinCropArea, Flip: s.Flip && l.mirrors(number)}
	dst.Late = l.eyes != nil
	_, err := images.Augmented(l.train.source, l.train.Images[number], change, func() *random.Stream {
		return random.New(s.Seed, "augmentation", epoch, number)
	}, dst)
	dst.ID = l.train.Images[number]
	return err
}

// mirrors says whether an image may be mirrored: no caption of it names a side, and all can be read.
func (l *learner) mirrors(number int) bool {
	return !slices.ContainsFunc(l.train.Of(number), func(c int) bool {
		caption := l.train.Captions[c]
		return caption.Tokens != nil || captions.MirrorText(caption.Text) != caption.Text
	})
}

// Evaluate implements [run.Learner].
func (l *learner) Evaluate(ctx context.Context, _ int, tick run.Tick) (train.Evaluation, error) {
	defer l.writer.Share(l.job.env.Group)()
	s := l.job.settings
	_, m, err := l.writer.assess(ctx, l.devSet, texts.Decoded(&s.Texts, l.devSet.every()), l.writer.limits.Options, s.EvalBatchSize, tick)
	if err != nil {
		return train.Evaluation{}, err
	}
	return train.Evaluation{Metric: l.job.task.Metric, Score: m[l.job.task.Metric], Lower: l.job.task.Lower, Metrics: m}, nil
}

// Score implements [run.Learner].
func (l *learner) Score(ctx context.Context, f run.File, tick run.Tick) (run.Result, error) {
	return l.writer.evaluate(ctx, l.job.task, f, l.devSet, l.writer.limits.Options, l.job.settings.EvalBatchSize, l.job.options().Notes(), tick)
}

// Submit implements [run.Submitter].
func (l *learner) Submit(ctx context.Context, f run.File, dir string, tick run.Tick) error {
	s := l.job.settings
	sets, within, err := readSplits(s.MaxRegions, s.Features, f.Path)
	if err != nil {
		return &run.UnusableError{Err: err}
	}
	o := l.job.options()
	takeWithin(&o, within)
	source, _, sets, err := s.Open(o, sets...)
	if err != nil {
		return &run.UnusableError{Err: err}
	}
	defer source.Close()
	test, err := newSplit(sets[0], source, l.job.tags, l.writer.Tokenizer, s.MaxTgtLen)
	if err != nil {
		return &run.UnusableError{Err: err}
	}
	written, err := l.writer.writeSplit(ctx, test, test.every(), l.writer.limits.Options, tick)
	if err != nil {
		return err
	}
	return writeCaptions(dir, f.Split, written)
}
