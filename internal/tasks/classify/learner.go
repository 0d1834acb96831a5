package classify

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/internal/train/adversarial"
	"github.com/unimo-go/unimo/tokenizer"
)

// job implements [run.Job].
type job struct {
	task          *run.Task
	kind          *Kind
	settings      *Settings
	env           *run.Env
	schema        labelled.Schema // the kind's, with the labels of the data
	scale         scale
	train, devSet []labelled.Example
	drawn         bool // the dev set, from the training file
}

// Read implements [run.Job].
func (c *job) Read(files []run.File) error {
	opt, log := labelled.ReadOptions{Columns: c.settings.columns()}, c.env.Log
	train, err := readLabelled(files[0].Path, c.schema, opt, log)
	if err != nil {
		return err
	}
	if c.schema, c.scale, err = withLabels(c.schema, train); err != nil {
		return err
	}
	c.train = train
	if c.settings.DevShare > 0 {
		if c.train, c.devSet = drawDev(train, c.settings.DevShare, c.settings.DevSeed); len(c.devSet) == 0 {
			return &textfile.FileError{File: files[0].Path, Problem: "has a single text, so no dev set can be drawn from it", Remedy: "name one with --dev"}
		}
		c.drawn = true
		log.Info(fmt.Sprintf("dev: %d of %d examples of %s, drawn with seed %d", len(c.devSet), len(train), files[0].Path, c.settings.DevSeed))
	} else if c.devSet, err = readLabelled(files[1].Path, c.schema, opt, log); err != nil {
		return err
	}
	if a, b := len(c.train[0].More), len(c.devSet[0].More); a != b || (c.train[0].TextB == "") != (c.devSet[0].TextB == "") {
		log.Warn("the first examples of the training and the dev file have different numbers of texts; if that is not meant, name the columns with --columns")
	}
	return nil
}

// Digests implements [run.Job].
func (c *job) Digests() (map[string]string, error) { return nil, nil }

// Texts implements [run.Job].
func (c *job) Texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, x := range c.train {
			for text := range x.Texts {
				if !yield(text) {
					return
				}
			}
		}
	}
}

// Specs implements [run.Job].
func (c *job) Specs(cfg model.Config) []model.Spec { return model.Specs(cfg) }

// Head implements [run.Job].
func (c *job) Head(cfg model.Config) (model.Config, error) {
	cfg.NumLabels, cfg.ScoreMean, cfg.ScoreScale, cfg.PoolerAct = outputs(c.schema), c.scale.mean, c.scale.deviation, c.settings.PoolerAct
	cfg.PairSeparators = c.settings.separators
	if !c.schema.Regression {
		cfg.ID2Label = map[string]string{}
		for i, label := range c.schema.Labels {
			cfg.ID2Label[fmt.Sprint(i)] = label
		}
	}
	return cfg.WithTextTokens(c.settings.MaxSeqLen)
}

// outputs is the number of the head's outputs.
func outputs(s labelled.Schema) int {
	if s.Regression {
		return 1
	}
	return s.Classes()
}

// Learner implements [run.Job].
func (c *job) Learner(_ context.Context, cfg model.Config, tok *tokenizer.Tokenizer) (run.Learner, error) {
	m, err := run.NewModel[*model.Classifier](c.env, cfg, c.settings.Seed)
	if err != nil {
		return nil, err
	}
	enc := labelled.Encoder{Tokenizer: tok, MaxLen: c.settings.MaxSeqLen, Separators: cfg.PairSeparators}
	records, cut := enc.EncodeAll(c.train)
	if cut > 0 {
		c.env.Log.Warn(fmt.Sprintf("%d of %d training texts are longer than %d tokens (max_seq_len) and were cut", cut, len(records), c.settings.MaxSeqLen))
	}
	for i := range records {
		records[i].Score = cfg.Target(records[i].Score)
	}
	devRecords, _ := enc.EncodeAll(c.devSet)
	epochs := run.NewEpochs(c.settings.Common(), labelled.Lengths(records), c.settings.BatchSize, func(i int) int { return records[i].Line })
	return &learner{
		Epochs: epochs, job: c, model: m, train: records, evalSet: devRecords, runner: newRunner(c.env.Device, m, enc, c.schema),
		attacks: adversarial.Trainer{Recipe: c.settings.Recipe},
		about:   run.About{Lines: append(c.about(), c.settings.Recipe.About()...), Examples: len(records), Tokens: epochs.Tokens(c.settings.Common()), Passes: c.settings.Recipe.Count().Work()},
	}, nil
}

// learner implements [run.Learner].
type learner struct {
	run.Epochs
	job     *job
	model   *model.Classifier
	about   run.About
	train   []labelled.Record
	in      model.Input
	attacks adversarial.Trainer
	evalSet []labelled.Record // of the first dev split
	runner  runner
}

var (
	_ run.Submitter = (*learner)(nil)
	_ run.Passer    = (*learner)(nil)
)

// Model implements [run.Learner].
func (l *learner) Model() run.Model { return run.Model{Params: l.model.Params} }

// About implements [run.Learner].
func (l *learner) About() run.About { return l.about }

// Close implements [run.Learner].
func (l *learner) Close() error { return nil }

// Parts implements [run.Learner]: means over the examples.
func (l *learner) Parts(epoch, batch int) ([]train.Part, error) {
	return l.attacks.Parts(len(l.Plan.At(epoch, batch))), nil
}

// Loss implements [run.Learner].
func (l *learner) Loss(tape *autograd.Tape, epoch, batch int) ([]*autograd.Var, int, error) {
	o := l.batch(epoch, batch)
	return []*autograd.Var{o.Loss(tape, o.Output(tape, l.in))}, l.in.Rows(), nil
}

// Passes implements [run.Passer].
func (l *learner) Passes(tape *autograd.Tape, epoch, batch int, scales []float32) (train.Reading, int, error) {
	o := l.batch(epoch, batch)
	return l.attacks.Passes(tape, l.in, o, scales)
}

// batch packs a batch and returns what the model is trained for on it.
func (l *learner) batch(epoch, batch int) model.Objective {
	numbers := l.Plan.At(epoch, batch)
	pack(&l.in, l.train, numbers)
	var targets model.Targets
	for _, i := range numbers {
		targets.Classes, targets.Scores = append(targets.Classes, int32(l.train[i].Class)), append(targets.Scores, l.train[i].Score)
	}
	return l.model.Objective(targets)
}

// Evaluate implements [run.Learner].
func (l *learner) Evaluate(ctx context.Context, _ int, tick run.Tick) (train.Evaluation, error) {
	defer l.runner.Share(l.job.env.Group)()
	out, err := l.runner.run(ctx, l.evalSet, l.job.settings.EvalBatchSize, tick)
	if err != nil {
		return train.Evaluation{}, err
	}
	metric, m := l.job.task.Metric, l.runner.score(l.evalSet, out).Metrics
	return train.Evaluation{Metric: metric, Score: m[metric], Lower: l.job.task.Lower, Metrics: m}, nil
}

// Score implements [run.Learner].
func (l *learner) Score(ctx context.Context, f run.File, tick run.Tick) (run.Result, error) {
	size := l.job.settings.EvalBatchSize
	if l.job.drawn { // no file holds them alone
		out, err := l.runner.run(ctx, l.evalSet, size, tick)
		if err != nil {
			return run.Result{}, err
		}
		return l.job.kind.result(f, l.job.devSet, out, &l.runner, l.runner.score(l.evalSet, out)), nil
	}
	return l.job.kind.evaluateFile(ctx, &l.runner, f, labelled.ReadOptions{Columns: l.job.settings.columns()}, size, tick, nil)
}

// Submit implements [run.Submitter].
func (l *learner) Submit(ctx context.Context, f run.File, dir string, tick run.Tick) error {
	examples, err := readLabelled(f.Path, l.job.schema, labelled.ReadOptions{Labels: labelled.LabelsIgnored, Columns: l.job.settings.columns()}, nil)
	if err != nil {
		return &run.UnusableError{Err: err}
	}
	records, _ := l.runner.encoder.EncodeAll(examples)
	out, err := l.runner.run(ctx, records, l.job.settings.EvalBatchSize, tick)
	if err != nil {
		return err
	}
	return l.job.kind.writePredictions(dir, f.Split, l.job.schema, examples, out, nil)
}

// about describes the data of a run, and warns of what makes its score worth little.
func (c *job) about() []string {
	run.WarnShared(c.env.Log, labelled.Shared(c.train, c.devSet), len(c.devSet), "examples")
	first := c.train[0]
	if !c.schema.Regression && !slices.ContainsFunc(c.train, func(x labelled.Example) bool { return x.Class != first.Class }) {
		c.env.Log.Warn(fmt.Sprintf("all %d training examples have the label %s: a model learns nothing from them but that", len(c.train), first.Label))
	}
	var quoted []string
	for part := range first.Texts {
		quoted = append(quoted, run.Excerpt(part))
	}
	return []string{
		fmt.Sprintf("%s training examples: %s", run.Grouped(len(c.train)), shares(c.schema, c.train)),
		fmt.Sprintf("%s dev examples: %s", run.Grouped(len(c.devSet)), shares(c.schema, c.devSet)),
		"the first: " + strings.Join(quoted, " / ") + " is " + first.Label,
	}
}
