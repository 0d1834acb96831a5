package run

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/model"

	"github.com/unimo-go/unimo/internal/report"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/tokenizer"
)

// job is what the runs of one kind of task do in their own way.
type job interface {
	// read reads what the run trains on; files are those of train and dev, of a task that has them.
	read(files []splitFile, o *Options) error
	// digests says of what else than these files, by name, the run depends.
	digests() (map[string]string, error)
	// texts yields the training texts, for a vocabulary.
	texts() iter.Seq[string]
	// specs lists the parameters of the model.
	specs(cfg model.Config) []model.Spec
	// learner makes the task of what was read. It logs what had to be cut.
	learner(ctx context.Context, dev engine.Device, cfg model.Config, tok *tokenizer.Tokenizer, log *slog.Logger) (learner, error)
}

// learner is a task as the trainer sees it, and what a run does with it at its end.
type learner interface {
	train.Task
	base() *baseLearner
	// score scores the model as it is on a file.
	score(ctx context.Context, f splitFile, tick func(done, total int)) (Result, error)
	// predict writes predictions for a test file into the folder dir.
	predict(ctx context.Context, f splitFile, dir string, tick func(done, total int)) error
	// show adds to the report what people look at.
	show(page *report.Run, first Result, history train.History)
	// close ends what goes on beside training.
	close() error
}

// baseLearner is the part of a learner that every kind of task shares.
type baseLearner struct {
	preset           *Preset
	dev              engine.Device
	config           model.Config
	params           model.Parameters
	tok              *tokenizer.Tokenizer
	card             card
	files            map[string][]byte // further files of the model's folder
	batches          batches.Batches
	examples, devLen int             // training examples, dev examples
	about            []string        // lines about the data, for people
	line             func(i int) int // of a training example

	optimised []optim.Param
}

func newBase(p *Preset, s *CommonSettings, dev engine.Device, cfg model.Config, params model.Parameters, tok *tokenizer.Tokenizer, lengths []int) baseLearner {
	b := baseLearner{
		preset: p, dev: dev, config: cfg, params: params, tok: tok, examples: len(lengths),
		batches: batches.Batches{Lengths: lengths, Size: s.BatchSize, InTokens: s.InTokens, Shuffle: true, Seed: s.Seed},
	}
	for _, param := range params {
		b.optimised = append(b.optimised, optim.Param{Name: param.Name, Value: param.Value, Grad: param.Gradient()})
	}
	return b
}

func (b *baseLearner) base() *baseLearner { return b }
func (b *baseLearner) close() error       { return nil }

// Params implements [train.Task].
func (b *baseLearner) Params() []optim.Param { return b.optimised }

// Batches implements [train.Task].
func (b *baseLearner) Batches(epoch int) int { return b.batches.Count(epoch) }

// Total implements [train.Task].
func (b *baseLearner) Total(epochs int) int { return b.batches.Total(epochs) }

// Describe implements [train.Task].
func (b *baseLearner) Describe(epoch, batch int) string {
	return b.describe(b.batches.At(epoch, batch))
}

func (b *baseLearner) describe(idx []int) string {
	const show = 4
	lines := make([]string, 0, show)
	for _, i := range idx[:min(show, len(idx))] {
		lines = append(lines, fmt.Sprint(b.line(i)))
	}
	more := ""
	if len(idx) > show {
		more = fmt.Sprintf(" and %d more", len(idx)-show)
	}
	return fmt.Sprintf("lines %s%s of the training file", strings.Join(lines, ", "), more)
}

// Save implements [train.Task].
func (b *baseLearner) Save(dir string, note train.Note) error {
	return modeldir.Save(dir, modeldir.Content{
		Config: b.config, Tokenizer: b.tok, Tensors: b.params.Tensors(b.dev), Files: b.files,
		// Hugging Face's loader wants a format it knows.
		Metadata: map[string]string{"format": "pt", "task": b.preset.Name, "step": fmt.Sprint(note.Step)},
		Card:     b.card.text(note),
	})
}

// Repair implements [train.Task].
func (b *baseLearner) Repair(dir string, note train.Note) (int, error) {
	r, err := checkpoint.Open(filepath.Join(dir, modeldir.Weights))
	if err != nil {
		return 0, err
	}
	defer r.Close()
	step, err := strconv.Atoi(r.Metadata()["step"])
	if err != nil {
		return 0, fmt.Errorf("%s does not say of which step it is", r.Path())
	}
	for _, p := range b.params {
		if info, err := r.Info(p.Name); err != nil || !slices.Equal(info.Shape, p.Shape) {
			return 0, fmt.Errorf("%s is not this run's: tensor %s is missing, or of another shape", r.Path(), p.Name)
		}
	}
	content := modeldir.Content{Config: b.config, Tokenizer: b.tok, Files: b.files}
	if step == note.Step {
		content.Card = b.card.text(note)
	}
	return step, modeldir.Repair(dir, content)
}

// classification is a run's work on classification and regression.
type classification struct {
	preset        *Preset
	settings      *ClassificationSettings
	train, devSet []labelled.Example
	drawn         bool // the dev set, from the training file
}

func (c *classification) read(files []splitFile, o *Options) error {
	opt := labelled.ReadOptions{Columns: c.settings.columns()}
	train, err := readLabelled(files[0].Path, c.preset.Schema, opt, o.Log)
	if err != nil {
		return err
	}
	if c.preset, err = c.preset.WithLabels(train); err != nil {
		return err
	}
	o.Preset, c.train = c.preset, train
	if c.settings.DevShare > 0 {
		if c.train, c.devSet = drawDev(train, c.settings.DevShare, c.settings.DevSeed); len(c.devSet) == 0 {
			return &textfile.FileError{File: files[0].Path, Problem: "has a single text", Remedy: "no dev set can be drawn from it: name one with --dev"}
		}
		c.drawn = true
		o.Log.Info(fmt.Sprintf("dev: %d of %d examples of %s, drawn with seed %d", len(c.devSet), len(train), files[0].Path, c.settings.DevSeed))
	} else if c.devSet, err = readLabelled(files[1].Path, c.preset.Schema, opt, o.Log); err != nil {
		return err
	}
	if a, b := len(c.train[0].More), len(c.devSet[0].More); a != b || (c.train[0].TextB == "") != (c.devSet[0].TextB == "") {
		o.Log.Warn("the first examples of the training and the dev file have different numbers of texts; if that is not meant, name the columns with --columns")
	}
	return nil
}

func (c *classification) digests() (map[string]string, error) { return nil, nil }

func (c *classification) texts() iter.Seq[string] {
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

func (c *classification) specs(cfg model.Config) []model.Spec { return model.Specs(cfg) }

func (c *classification) learner(_ context.Context, dev engine.Device, cfg model.Config, tok *tokenizer.Tokenizer, log *slog.Logger) (learner, error) {
	m, err := model.New[*model.Classifier](dev, cfg, c.settings.Seed)
	if err != nil {
		return nil, err
	}
	enc := labelled.Encoder{Tokenizer: tok, MaxLen: c.settings.MaxSeqLen}
	records, cut := enc.EncodeAll(c.train)
	if cut > 0 {
		log.Warn(fmt.Sprintf("%d of %d training texts are longer than %d tokens (max_seq_len) and were cut", cut, len(records), c.settings.MaxSeqLen))
	}
	for i := range records {
		records[i].Score = cfg.Target(records[i].Score)
	}
	devRecords, _ := enc.EncodeAll(c.devSet)
	l := &classificationLearner{
		baseLearner: newBase(c.preset, &c.settings.CommonSettings, dev, cfg, m.Params, tok, labelled.Lengths(records)),
		settings:    c.settings, model: m, train: records, evalSet: devRecords, encoder: enc, runner: newClassifier(dev, m),
	}
	l.devLen, l.about = len(devRecords), c.about(log)
	if c.drawn {
		l.drawn = c.devSet
	}
	l.line = func(i int) int { return records[i].Line }
	return l, nil
}

// classificationLearner implements [learner].
type classificationLearner struct {
	baseLearner
	settings *ClassificationSettings
	model    *model.Classifier
	train    []labelled.Record
	batch    labelled.Batch

	evalSet []labelled.Record  // of the first dev split
	drawn   []labelled.Example // its examples, where no file holds them alone
	encoder labelled.Encoder
	runner  Classifier
}

var _ learner = (*classificationLearner)(nil)

// Parts implements [train.Task]: a mean over the examples.
func (l *classificationLearner) Parts(epoch, batch int) ([]train.Part, error) {
	return []train.Part{{Weight: 1, Count: len(l.batches.At(epoch, batch))}}, nil
}

// Loss implements [train.Task].
func (l *classificationLearner) Loss(tape *autograd.Tape, epoch, batch int) ([]*autograd.Var, int, error) {
	l.batch.Pack(l.train, l.batches.At(epoch, batch))
	in := text(&l.batch)
	logits := l.model.Logits(tape, in)
	loss := l.model.Loss(tape, logits, model.Targets{Classes: l.batch.Classes, Scores: l.batch.Scores})
	return []*autograd.Var{loss}, len(in.Tokens), nil
}

// Evaluate implements [train.Task].
func (l *classificationLearner) Evaluate(ctx context.Context, _ int, tick func(done, total int)) (train.Evaluation, error) {
	out, err := l.runner.Run(ctx, l.evalSet, l.settings.EvalBatchSize, tick)
	if err != nil {
		return train.Evaluation{}, err
	}
	m := score(l.preset, l.config, l.evalSet, out).Metrics
	return train.Evaluation{Metric: l.preset.Metric, Score: m[l.preset.Metric], Metrics: m}, nil
}

func (l *classificationLearner) score(ctx context.Context, f splitFile, tick func(done, total int)) (Result, error) {
	if l.drawn != nil {
		out, err := l.runner.Run(ctx, l.evalSet, l.settings.EvalBatchSize, tick)
		if err != nil {
			return Result{}, err
		}
		return Result{Preset: l.preset, Split: f.Split, File: f.Path, Examples: l.drawn, Outputs: out, Scores: score(l.preset, l.config, l.evalSet, out)}, nil
	}
	opt := labelled.ReadOptions{Columns: l.settings.columns()}
	return evaluateFile(ctx, l.preset, &l.runner, &l.encoder, f, opt, l.settings.EvalBatchSize, tick, nil)
}

func (l *classificationLearner) predict(ctx context.Context, f splitFile, dir string, tick func(done, total int)) error {
	examples, err := readLabelled(f.Path, l.preset.Schema, labelled.ReadOptions{Labels: labelled.LabelsIgnored, Columns: l.settings.columns()}, nil)
	if err != nil {
		return &testSetError{err}
	}
	records, _ := l.encoder.EncodeAll(examples)
	out, err := l.runner.Run(ctx, records, l.settings.EvalBatchSize, tick)
	if err != nil {
		return err
	}
	return writePredictions(l.preset, dir, f.Split, examples, out)
}

func (l *classificationLearner) show(page *report.Run, first Result, _ train.History) {
	if l.preset.Schema.Regression {
		page.Scatter = scatter(first)
		return
	}
	if len(first.Confusion) <= matrixClasses {
		page.Confusion = &report.Confusion{Labels: l.preset.Schema.Labels, Counts: first.Confusion}
	}
	page.Tables = classTables(l.preset.Schema.Labels, first.Confusion)
	page.Mistakes, page.MistakesNote = mistakes(l.preset, first)
}

// testSetError is an error of a test set, which a run can do without.
type testSetError struct{ error }

func (e *testSetError) Unwrap() error { return e.error }
