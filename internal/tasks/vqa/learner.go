package vqa

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/dataset/vqa"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
	"github.com/unimo-go/unimo/internal/tasks/texts"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/tokenizer"
)

// job implements [run.Job].
type job struct {
	task          *run.Task
	settings      *Settings
	env           *run.Env
	train, devSet *vqa.Set
	answers       answers
	source        regions.Source
	spec          *regions.Spec // nil: features from elsewhere
	dim           int           // of the features; 0 until they are read
}

// Files implements [run.Job].
func (j *job) Files(data, dev string) ([]run.File, error) {
	return j.task.FindOrDraw(data, dev, j.settings.DevShare, "pictures")
}

func (j *job) reading() reading {
	s := j.settings
	return reading{
		options: s.Settings.Options(j.env.Log, j.env.Device.Limit(), s.Seed), folder: s.ImagesDir,
		extractor: s.NewExtractor, limits: picture.DefaultLimits, cache: int64(s.ImageCache) << 20,
	}
}

// Read implements [run.Job].
func (j *job) Read(files []run.File) error {
	s, r := j.settings, j.reading()
	all, err := r.questions(files[0].Path, j.env.Log)
	if err != nil {
		return err
	}
	if j.train = all; s.DevShare > 0 {
		if j.train, j.devSet, err = all.Draw(s.DevShare, s.DevSeed); err != nil {
			return err
		}
	} else if j.devSet, err = r.questions(files[1].Path, j.env.Log); err != nil {
		return err
	}
	var sets []*vqa.Set
	if j.source, j.spec, sets, err = r.pictures(splits, j.train, j.devSet); err != nil {
		return err
	}
	j.train, j.devSet, j.dim = sets[0], sets[1], j.source.Dim()
	if j.writes() {
		return j.learnAll(files[0].Path)
	}
	j.answers = frequent(j.train.Examples, s.Answers, s.MinAnswerCount)
	if len(j.answers.names) < 2 {
		return &textfile.FileError{File: files[0].Path, Problem: fmt.Sprintf("has %d answers to choose from, want 2 or more", len(j.answers.names)),
			Remedy: "check the answers, and the settings answers and min_answer_count"}
	}
	return nil
}

// writes says whether the model writes answers.
func (j *job) writes() bool { return j.settings.AnswerBy == byWords }

// learnAll takes all answers of training, and leaves out the questions that have none to learn.
func (j *job) learnAll(file string) error {
	all := j.train.Examples
	j.answers = frequent(all, len(all), 1)
	j.train.Examples = slices.DeleteFunc(all, func(x vqa.Example) bool { return gold(x.Answers) == "" })
	if n := len(all) - len(j.train.Examples); n > 0 {
		j.env.Log.Warn(fmt.Sprintf("%s left out: nothing of the answer is left when it is normalised", run.Count(n, "training question")))
	}
	if len(j.train.Examples) == 0 {
		return &textfile.FileError{File: file, Problem: "has no answer to learn", Remedy: "check the answers"}
	}
	return nil
}

// splits are those of the sets of a run.
var splits = []string{"train", "dev"}

// Digests implements [run.Job]: pictures, and questions and answers, which may lie in several files.
func (j *job) Digests() (map[string]string, error) {
	sets := []*vqa.Set{j.train, j.devSet}
	pictures, err := pairs.Digest(j.reading().options, listed(splits, sets)...)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	for _, set := range sets {
		for _, x := range set.Examples {
			fmt.Fprintf(h, "%q %q %q %q\n", x.ID, x.Image, x.Question, x.Answers)
		}
	}
	return map[string]string{"images": pictures, "questions": hex.EncodeToString(h.Sum(nil))}, nil
}

// Head implements [run.Job].
func (j *job) Head(cfg model.Config) (_ model.Config, err error) {
	s := j.settings
	if cfg.ImageEmbeddingSize, err = s.Dim(j.dim); err != nil {
		return cfg, err
	}
	if cfg, err = cfg.WithTextTokens(s.MaxSeqLen); err != nil {
		return cfg, err
	}
	if j.writes() {
		cfg.ProblemType = model.FreeAnswering
		return cfg, s.Fits(cfg)
	}
	cfg.NumLabels = s.Answers
	if j.answers.names != nil {
		cfg.NumLabels, cfg.ID2Label = len(j.answers.names), j.answers.labels()
	}
	return cfg, nil
}

// Refit implements [run.Refitter].
func (j *job) Refit(r checkpoint.Reader, specs []model.Spec) checkpoint.Reader {
	return images.Fit(r, specs, j.env.Log)
}

// Texts implements [run.Job]: questions, and answers that are to be written.
func (j *job) Texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, x := range j.train.Examples {
			if !yield(x.Question) || j.writes() && !yield(gold(x.Answers)) {
				return
			}
		}
	}
}

// Specs implements [run.Job].
func (j *job) Specs(cfg model.Config) []model.Spec { return model.Specs(cfg) }

// Learner implements [run.Job].
func (j *job) Learner(ctx context.Context, cfg model.Config, tok *tokenizer.Tokenizer) (_ run.Learner, err error) {
	if j.source, j.spec, err = images.Compute(ctx, j.env, j.reading().options, j.source, j.spec); err != nil {
		return nil, err
	}
	s := j.settings
	enc := images.Captions{Tokenizer: tok, MaxLen: s.MaxSeqLen}
	speaker, head, files, err := j.speaker(cfg, tok)
	if err != nil {
		return nil, err
	}
	list, cut, cutAnswers := records(j.train.Examples, enc, speaker)
	for _, note := range append(run.CutNotes(cut, len(list), "training questions", s.MaxSeqLen), run.CutNotes(cutAnswers, len(list), "training answers", s.MaxTgtLen)...) {
		j.env.Log.Warn(note)
	}
	change := picture.Augmentation{MinArea: s.MinCropArea}
	if s.Features != "" {
		change.MinArea = 1
	}
	base, err := pairs.NewLearner(pairs.Training{
		Env: j.env, Common: s.Common(), Model: head, Source: j.source, Spec: j.spec, Change: change, Attacks: s.Recipe, Files: files, Records: list,
	})
	if err != nil {
		return nil, err
	}
	devList, _, _ := records(j.devSet.Examples, enc, speaker)
	return &learner{
		Learner: base, job: j, devList: devList, encoder: enc, speaker: speaker,
		about: run.About{Lines: j.about(), Examples: len(list), Tokens: base.Tokens(s.Common()), Passes: s.Recipe.Count().Work()},
	}, nil
}

// speaker makes the model, what it is trained for, and the files beside its weights.
func (j *job) speaker(cfg model.Config, tok *tokenizer.Tokenizer) (speaker, pairs.Head, map[string][]byte, error) {
	s := j.settings
	if !j.writes() {
		m, err := run.NewModel[*model.Classifier](j.env, cfg, s.Seed)
		if err != nil {
			return nil, pairs.Head{}, nil, err
		}
		return &chooser{runner: pairs.NewRunner(j.env.Device, m), answers: j.answers}, pairs.Choosing(m), nil, nil
	}
	m, err := run.NewModel[*model.Generator](j.env, cfg, s.Seed)
	if err != nil {
		return nil, pairs.Head{}, nil, err
	}
	w := newWriter(j.env.Device, m, tok, limits{s.MaxTgtLen, s.Texts.Options()})
	files, err := texts.ConfigFile(w.limits)
	return w, pairs.Writing(m, float32(s.LabelSmooth)), files, err
}

// about describes the data of a run, and warns of what makes its score worth little.
func (j *job) about() []string {
	lists := listed(splits, []*vqa.Set{j.train, j.devSet})
	warnShared(j.env.Log, lists[0], lists[1])
	lines := make([]string, 0, 4)
	for i, set := range []*vqa.Set{j.train, j.devSet} {
		names, _ := set.Images()
		lines = append(lines, fmt.Sprintf("%s %s questions about %s pictures", run.Grouped(len(set.Examples)), splits[i], run.Grouped(len(names))))
	}
	lines = append(lines, j.settings.Recipe.About()...)
	first := j.train.Examples[0]
	return append(lines, j.aboutAnswers(), fmt.Sprintf("the first: %s %s", run.Excerpt(first.Question), run.Excerpt(gold(first.Answers))))
}

// aboutAnswers says what the answers of training can do.
func (j *job) aboutAnswers() string {
	if j.writes() {
		return fmt.Sprintf("%s different answers to learn to write; with these alone %.4f would be the best possible accuracy on dev", run.Grouped(j.answers.all), j.answers.reach(j.devSet.Examples))
	}
	known, n := j.answers.known(j.train.Examples), len(j.train.Examples)
	return fmt.Sprintf("%s of %s different answers, those of %.1f %% of the training questions; with them %.4f is the best possible accuracy on dev",
		run.Grouped(len(j.answers.names)), run.Grouped(j.answers.all), 100*float64(known)/float64(n), j.answers.reach(j.devSet.Examples))
}

// learner implements [run.Learner].
type learner struct {
	*pairs.Learner
	job     *job
	devList []pairs.Record
	encoder images.Captions
	speaker speaker
	about   run.About
}

var _ run.Submitter = (*learner)(nil)

// About implements [run.Learner].
func (l *learner) About() run.About { return l.about }

// Evaluate implements [run.Learner].
func (l *learner) Evaluate(ctx context.Context, _ int, tick run.Tick) (train.Evaluation, error) {
	defer l.speaker.Share(l.job.env.Group)()
	s, set := l.job.settings, *l.job.devSet
	list := l.devList
	if l.job.writes() {
		set.Examples, list = texts.Decoded(&s.Texts, set.Examples), texts.Decoded(&s.Texts, list)
	}
	d, err := l.speaker.answer(ctx, l.job.source, &set, list, s.EvalBatchSize, tick)
	if err != nil {
		return train.Evaluation{}, err
	}
	m := d.numbers()
	return train.Evaluation{Metric: l.job.task.Metric, Score: m[l.job.task.Metric], Lower: l.job.task.Lower, Metrics: m}, nil
}

// Score implements [run.Learner].
func (l *learner) Score(ctx context.Context, f run.File, tick run.Tick) (run.Result, error) {
	d, err := l.speaker.answer(ctx, l.job.source, l.job.devSet, l.devList, l.job.settings.EvalBatchSize, tick)
	if err != nil {
		return run.Result{}, err
	}
	_, d.sampled = l.speaker.(*chooser)
	return run.Result{Split: f.Split, File: f.Path, Metrics: d.numbers(), Notes: l.job.reading().options.Notes(), Detail: d}, nil
}

// Submit implements [run.Submitter].
func (l *learner) Submit(ctx context.Context, f run.File, dir string, tick run.Tick) error {
	r := l.job.reading()
	r.unanswered = true
	set, err := r.questions(f.Path, l.job.env.Log)
	if err != nil {
		return &run.UnusableError{Err: err}
	}
	source, _, sets, err := r.pictures([]string{f.Split}, set)
	if err != nil {
		return &run.UnusableError{Err: err}
	}
	defer source.Close()
	list, _, _ := records(sets[0].Examples, l.encoder, l.speaker)
	d, err := l.speaker.answer(ctx, source, sets[0], list, l.job.settings.EvalBatchSize, tick)
	if err != nil {
		return err
	}
	return d.WritePredictions(dir, f.Split)
}
