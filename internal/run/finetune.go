package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/compute/device"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/nn"
	"github.com/unimo-go/unimo/internal/model"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/internal/train/adversarial"
	"github.com/unimo-go/unimo/tokenizer"
)

// Options say what to fine-tune on what.
type Options struct {
	Env        // Out is the run's folder
	Task       *Task
	Size       string   // mini, base or large
	Data       string   // folder with the task's files, or the training file if Dev is given
	Dev        string   // the dev file; "" looks for it in Data
	Init       string   // checkpoint to start from; "" starts from random weights
	Vocab      string   // folder with the vocabulary; "" takes Init's, or trains one
	Resume     bool     // go on from the newest snapshot
	ConfigFile string   // settings in YAML or JSON
	Set        []string // settings as key=value, over the file
	Notice     string   // what a reader of the results must not miss
	Command    []string // to be noted in run.json
	Version    map[string]string

	inherited *train.Source // of the run that is gone on with
	file      train.File    // its run.json
	outside   bool          // the device came from outside, whatever the settings say
	lent      *lent         // the devices of all ranks of the process; nil: the run opens its own
}

// Summary is what a finished run has to say.
type Summary struct {
	Outcome  train.Outcome
	Metrics  train.Numbers // of the best model on the dev splits
	Results  []Result
	Notes    []string // what a reader of the metrics should know
	Dir      *train.Dir
	Resumed  bool
	Complete bool // the run had been complete before
}

// Finetune trains a model and scores the best one on dev. It returns ctx's error
// when it was interrupted; the run can then be resumed.
//
// All processes of a group call it with equal options. The first one has the folder and speaks; the summaries of the others have
// no results.
//
// Where the settings choose several devices, the ranks are goroutines of this process.
func Finetune(ctx context.Context, o Options) (*Summary, error) {
	if o.Device == nil && o.group().Size() == 1 {
		if s := o.chosen(); s != nil && s.Devices > 1 {
			return o.finetuneJointly(ctx, s)
		}
	}
	return finetune(ctx, o)
}

func finetune(ctx context.Context, o Options) (*Summary, error) {
	o.outside = o.Device != nil
	o.Env = *o.Ready()
	if !o.leads() {
		o.Log, o.Observer = slog.New(slog.DiscardHandler), Silent{}
	}
	err := o.inherit()
	if err == nil {
		err = o.check()
	}
	if err := o.agree(err); err != nil {
		return nil, err
	}
	r := &run{Options: o, started: time.Now()}
	defer r.close()
	if err = r.load(ctx); err == nil {
		err = r.describe()
	}
	if err := r.compare(err); err != nil {
		return nil, err
	}
	if done, err := r.openDir(); done != nil || err != nil {
		return done, err
	}
	var summary *Summary
	if err = r.agree(r.checkDisk()); err == nil {
		err = engine.Guard(func() (err error) {
			summary, err = r.train(ctx)
			return err
		})
		err = r.explain(err)
	}
	if err != nil && !r.leads() {
		return nil, err
	}
	if err != nil && r.fresh && (!r.begun || r.tooLarge(err)) && ctx.Err() == nil && !errors.Is(err, context.Canceled) && !r.computed() {
		return nil, errors.Join(err, r.dir.Discard()) // nothing is there that could be resumed
	}
	if err != nil {
		return nil, r.fail(err)
	}
	return summary, nil
}

// agree returns the error of one process on all of them.
func (e *Env) agree(err error) error { return collective.Agree(e.group(), err) }

// close gives the run's folder back, releases the checkpoint that it starts from, ends the device, and removes temporary folders.
func (r *run) close() {
	r.closeInit()
	if r.opened != nil && r.lent == nil {
		r.opened.Close()
	}
	if r.dir != nil {
		r.dir.Close()
	}
	for _, dir := range *r.temporary {
		os.RemoveAll(dir)
	}
}

// computed says whether the run's folder has features of pictures, which took long.
func (r *run) computed() bool {
	_, err := os.Stat(r.dir.Path(FeaturesFolder))
	return err == nil
}

// FeaturesFolder is where a run keeps the features that a trained network computes of its pictures.
const FeaturesFolder = "features"

func (r *run) closeInit() {
	if r.init != nil {
		r.init.Close()
		r.init = nil
	}
}

// run is the work of Finetune.
type run struct {
	Options
	settings Settings
	job      Job
	files    []File // train, then dev
	tok      *tokenizer.Tokenizer
	from     *modeldir.Checkpoint // nil without Init
	init     checkpoint.Reader    // its weights
	config   model.Config
	beside   int            // parameters that are trained beside the model's
	opened   *device.Device // nil where the device came from outside
	planned  int64          // bytes of its memory that a step was said to need
	waited   bool           // it was said that the first steps wait for it
	dir      *train.Dir
	info     train.Info
	resumed  bool
	fresh    bool // the folder held no run before
	begun    bool // training
	scoring  bool // the model is evaluated
	started  time.Time
}

// load reads and checks everything that the run depends on, before the folder is
// touched: what is wrong is said at once and leaves nothing behind.
func (r *run) load(ctx context.Context) error {
	var err error
	if r.settings, err = Defaults(r.Task, r.Size); err != nil {
		return &SettingError{err}
	}
	base := r.Task.size(r.Size)
	if r.Init != "" {
		if err := r.openInit(&base); err != nil {
			return err
		}
	}
	if err := r.openVocabulary(); err != nil {
		return err
	}
	if err := r.restore(r.settings); err != nil {
		return err
	}
	if err := overlay(r.settings, r.ConfigFile, r.Set); err != nil {
		return err
	}
	common := r.settings.Common()
	collective.SetTimeout(r.Group, time.Duration(common.MPITimeout*float64(time.Minute)))
	if err := common.CheckRanks(r.Group.Size()); err != nil {
		return &SettingError{err}
	}
	if err := r.openDevice(ctx, common); err != nil {
		return err
	}
	if least := tokenizer.MinVocabSize; r.tok == nil && common.VocabSize < least {
		return &SettingError{fmt.Errorf("vocab_size is %d, want %d or more for a vocabulary that is trained", common.VocabSize, least)}
	}
	r.job = r.Task.Kind.Job(r.Task, r.settings, &r.Env)
	if err := r.readData(); err != nil {
		return err
	}
	if r.tok == nil {
		if err := r.trainVocabulary(ctx); err != nil {
			return err
		}
	}
	r.tok = r.tok.WithLowerCase(common.DoLowerCase)
	if err := r.fitVocabulary(&base); err != nil {
		return err
	}
	common.VocabSize = r.tok.VocabSize()
	if r.config, err = modelConfig(r.Task, r.settings, r.job, base); err != nil {
		return err
	}
	if r.init != nil {
		var left string
		if r.init, left = model.FitPooler(base, r.config, r.init); left != "" {
			r.Log.Info(left)
		}
		specs := r.job.Specs(r.config)
		if job, ok := r.job.(Refitter); ok {
			r.init = job.Refit(r.init, specs)
		}
		if _, err := nn.Compare(specs, r.init); err != nil {
			return fmt.Errorf("checkpoint %s: %w", r.Init, err)
		}
		if err := nn.CheckTensors(r.Device, specs, r.init); err != nil {
			return fmt.Errorf("checkpoint %s: %w", r.Init, err)
		}
	}
	return nil
}

// fitVocabulary gives base, and the checkpoint to start from, as many words as the vocabulary has.
func (r *run) fitVocabulary(base *model.Config) error {
	if r.init == nil {
		base.VocabSize = r.tok.VocabSize()
		return nil
	}
	if r.from.Config == nil { // the table itself says how many
		if info, err := r.init.Info("word_embedding"); err == nil && len(info.Shape) == 2 {
			base.VocabSize = info.Shape[0]
		}
	}
	if rows := base.VocabSize; rows > r.tok.VocabSize() {
		r.Log.Info(fmt.Sprintf("the model has rows for %d words and the vocabulary has %d: the rest is cut", rows, r.tok.VocabSize()))
	}
	var err error
	*base, r.init, err = modeldir.FitVocabulary(r.tok, *base, r.init)
	return err
}

// openInit opens the checkpoint to start from; a model folder's configuration
// replaces the preset's.
func (r *run) openInit(base *model.Config) error {
	r.Observer.Stage("reading " + r.Init)
	from, err := modeldir.OpenCheckpoint(r.Init)
	if err != nil {
		return err
	}
	from.NewHead()
	r.init, r.from = from.Weights, from
	if from.Config != nil && slices.Contains(from.Config.TaskNames(), r.Task.Name) {
		r.init = from.Config.ViewTask(r.init, r.Task.Name) // with the task's head
	}
	if from.Config != nil {
		*base = *from.Config
		adoptModel(r.settings, *from.Config)
		if s, ok := r.settings.(Starter); ok {
			if err := s.Start(modeldir.Resolve(r.Init), *from.Config); err != nil {
				return err
			}
		}
	}
	for _, l := range from.LeftOut {
		r.Log.Info(fmt.Sprintf("tensor %s of the checkpoint is left out: %s", l.Name, l.Reason))
	}
	return nil
}

func (r *run) readData() error {
	r.Observer.Stage("reading data")
	var err error
	if r.files, err = r.job.Files(r.Data, r.Dev); err != nil {
		return err
	}
	return r.job.Read(r.files)
}

// openVocabulary loads the vocabulary of --vocab or --init; its case rule is the
// default of do_lower_case. Without either there is none yet.
func (r *run) openVocabulary() error {
	var err error
	switch {
	case r.Init != "" && r.Vocab != "":
		r.tok, err = r.from.Vocabulary(r.Vocab)
	case r.Vocab != "":
		r.tok, err = tokenizer.Load(modeldir.Resolve(r.Vocab))
	case r.Init != "":
		if r.tok, err = r.from.Vocabulary(r.Init); err != nil {
			err = fmt.Errorf("%w; as --init %s has no vocabulary, give its folder with --vocab", err, r.Init)
		}
	}
	if r.tok != nil {
		r.settings.Common().DoLowerCase = r.tok.LowerCase()
	}
	return err
}

func (r *run) trainVocabulary(ctx context.Context) error {
	r.Observer.Stage("training a vocabulary")
	var err error
	s := r.settings.Common()
	texts := r.job.Texts()
	if !anyText(texts) {
		return errors.New("the data have no text to train a vocabulary on; name with --vocab that of their tokens")
	}
	r.tok, err = tokenizer.Train(ctx, texts, s.VocabSize, tokenizer.TrainOptions{
		KeepCase: !s.DoLowerCase, Progress: r.Observer.Tick,
	})
	if err != nil {
		if ctx.Err() != nil { // no vocabulary is at fault
			return err
		}
		return fmt.Errorf("train a vocabulary: %w; or name one with --vocab", err)
	}
	return nil
}

func anyText(texts iter.Seq[string]) bool {
	for text := range texts {
		if text != "" {
			return true
		}
	}
	return false
}

// describe notes what the run computes with.
func (r *run) describe() error {
	r.info = train.Info{
		Task: r.Task.Name, Status: train.Running, Command: r.Command, Version: r.Version, Random: random.Version, Seed: r.settings.Common().Seed,
		Config: r.settings, Data: map[string]string{},
	}
	if r.accelerated() {
		r.info.Version = map[string]string{versionDevice: r.opened.Version()}
		maps.Copy(r.info.Version, r.Version)
	}
	if r.settings.Common().GradientAccumulation > 1 {
		r.info.Batches = batches.Version
	}
	if s, ok := r.settings.(Attacker); ok && s.Attacked() {
		r.info.Attacks = adversarial.Version
	}
	var err error
	if r.info.From, err = r.source(); err != nil {
		return err
	}
	for _, f := range r.files {
		if f.Path == "" {
			continue // the job's digests say more
		}
		digest, err := DigestFile(f.Path)
		if err != nil {
			return err
		}
		r.info.Data[f.Split] = digest
	}
	more, err := r.job.Digests()
	if err != nil {
		return err
	}
	maps.Copy(r.info.Data, more)
	r.info.Data["vocabulary"] = digestVocabulary(r.tok)
	if r.Init != "" {
		digest, err := DigestTensors(r.init)
		if err != nil {
			return err
		}
		r.info.Data["init"] = digest
	}
	return nil
}

// opening is what the first process says of the run's folder.
type opening struct {
	Resumed, Fresh bool
	Done           *train.Outcome // of a complete run
}

// openDir makes or opens the run's folder, in the first process. A complete run that is resumed is
// answered with its summary.
func (r *run) openDir() (*Summary, error) {
	var done *Summary
	var err error
	var o opening
	if r.leads() {
		done, err = r.ownDir()
		if o = (opening{Resumed: r.resumed, Fresh: r.fresh}); done != nil {
			o.Done = &done.Outcome
		}
	}
	if o, err = collective.Tell(r.Group, o, err); err != nil {
		return nil, err
	}
	r.resumed, r.fresh = o.Resumed, o.Fresh
	if o.Done != nil && done == nil {
		done = &Summary{Outcome: *o.Done, Dir: train.ReadOnly(r.Out), Complete: true}
	}
	return done, nil
}

func (r *run) ownDir() (_ *Summary, err error) {
	if !r.Resume {
		if r.dir, err = train.NewDir(r.Out); err != nil {
			return nil, err
		}
		r.fresh = true
		return nil, r.dir.WriteInfo(r.info)
	}
	dir, fresh, err := train.OpenDir(r.Out)
	if err != nil {
		return nil, err
	}
	r.dir, r.resumed, r.fresh = dir, true, fresh
	if fresh {
		return nil, r.dir.WriteInfo(r.info)
	}
	old, err := dir.ReadInfo()
	if err != nil {
		return nil, err
	}
	if old.Status != train.Done && !train.HasSnapshot(r.Out) && !maps.Equal(old.Data, r.info.Data) {
		r.Log.Info("the data have changed; nothing was trained on them yet, so they are taken as they are now")
		old.Data = r.info.Data
	}
	if err := old.CheckSame(r.info, free(r.settings)...); err != nil {
		return nil, err
	}
	r.warnOfAnother(old)
	r.info.Command = old.Command // that began it
	if old.Status == train.Done && old.Outcome != nil {
		r.Log.Info("the run is complete")
		return &Summary{Outcome: *old.Outcome, Metrics: old.Metrics, Notes: Notes([]Result{{Split: r.Task.Dev[0].Name, Notes: r.Task.Doubts(old.Metrics)}}), Dir: dir, Complete: true}, nil
	}
	return nil, r.dir.WriteInfo(r.info)
}

func (r *run) train(ctx context.Context) (*Summary, error) {
	l, err := r.job.Learner(ctx, r.config, r.tok)
	if err == nil {
		defer l.Close()
	}
	if err := r.agree(err); err != nil {
		return nil, err
	}
	m, about := l.Model(), l.About()
	params := m.Params
	origin := "Trained from random weights."
	if r.init != nil {
		report, err := params.Load(r.Device, r.init)
		if err != nil {
			return nil, fmt.Errorf("checkpoint %s: %w", r.Init, err)
		}
		r.reportLoad(report)
		r.closeInit()
		origin = fmt.Sprintf("Trained further from %s.", filepath.Base(r.Init))
	}
	r.Log.Info(fmt.Sprintf("model   %s; %s parameters", r.config, Grouped(params.Count())))
	if m.Beside != nil {
		r.beside = m.Beside.Params().Count()
		if err := r.agree(r.checkDisk()); err != nil {
			return nil, err
		}
		r.Log.Info(fmt.Sprintf("        %s is trained with it; %s parameters", m.Beside.Name(), Grouped(m.Beside.Params().Count())))
	}
	for i, line := range about.Lines {
		r.Log.Info([]string{"data    ", "        "}[min(i, 1)] + line)
	}
	computes := r.Device.Name()
	if r.accelerated() {
		computes = r.opened.About()
	}
	r.Log.Info("device  " + computes)
	r.Log.Info("needs   " + r.needs(about))
	if ranks := r.Group.Size(); ranks > 1 {
		r.Log.Info("shared  " + r.settings.Common().Shared(ranks))
	}
	observer := r.Observer
	if r.leads() {
		observer = reporter{r.Observer, func() { r.writeUnfinished(l, "running") }}
	}
	trainer := &train.Trainer{
		Config: r.settings.Common().Config, Device: r.Device, Task: newTrained(r, l, r.card(params.Count(), origin)), Dir: r.dir, Group: r.Group,
		Observer: observer, Log: r.Log,
	}
	r.Observer.Stage("training")
	r.begun = true
	outcome, err := trainer.Run(ctx, r.resumed)
	s := &Summary{Outcome: outcome, Dir: train.ReadOnly(r.Out), Resumed: r.resumed} // of a rank that only helps
	if err == nil {
		_, err = collective.First(r.Group, func() (_ bool, err error) {
			s, err = r.finish(ctx, l, outcome)
			return false, err
		})
	}
	if err != nil && ctx.Err() != nil && r.leads() {
		r.writeUnfinished(l, "interrupted")
	}
	if err == nil && r.accelerated() {
		r.Log.Info("device  " + r.opened.Report())
	}
	return s, err
}

func (r *run) reportLoad(report model.LoadReport) {
	if len(report.Missing) > 0 {
		r.Log.Warn(fmt.Sprintf("the checkpoint lacks %d parameters, which start from random values: %s", len(report.Missing), strings.Join(report.Missing, ", ")))
	}
	if len(report.Unused) > 0 {
		r.Log.Info(fmt.Sprintf("%d tensors of the checkpoint are of no use for this task, as %s", len(report.Unused), report.Unused[0]))
	}
}

func (r *run) card(params int, origin string) card {
	c := card{Task: r.Task, Config: r.config, Params: params, Origin: origin, Notice: r.Notice, Version: r.Version["unimo"]}
	for _, f := range r.files {
		if f.Path == "" {
			continue
		}
		c.Data = append(c.Data, fmt.Sprintf("%s: %s, sha256 %s", f.Split, filepath.Base(f.Path), r.info.Data[f.Split]))
	}
	for _, s := range settings.List(r.settings) {
		c.Settings = append(c.Settings, fmt.Sprintf("%s: %v", s.Key, s.Value))
	}
	return c
}

// finish scores the best model on every dev split, predicts the test sets, and
// writes the report.
func (r *run) finish(ctx context.Context, l Learner, outcome train.Outcome) (*Summary, error) {
	best, err := checkpoint.Open(r.dir.Best())
	if err != nil {
		return nil, fmt.Errorf("best model: %w; go on with --resume, which mends what it can", err)
	}
	defer best.Close()
	m := l.Model()
	if _, err := m.Params.Load(r.Device, best); err != nil {
		return nil, err
	}
	if b := m.Beside; b != nil {
		if err := loadBeside(r.Device, b, r.dir.Best()); err != nil {
			return nil, err
		}
	}
	r.scoring = true
	s := &Summary{Outcome: outcome, Dir: r.dir, Resumed: r.resumed}
	for i, f := range r.files[1:] {
		r.Observer.Stage("scoring " + f.Split)
		result, err := l.Score(ctx, f, r.Observer.Tick)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if err := r.calibrate(f, &result, best); err != nil {
				return nil, err
			}
		}
		result.Notes = append(result.Notes, r.Task.Doubts(result.Metrics)...)
		s.Results = append(s.Results, result)
		if err := writeAnswers(r.dir.Root(), result); err != nil {
			return nil, err
		}
	}
	s.Metrics, s.Notes = Metrics(s.Results), Notes(s.Results)
	if err := r.predictTests(ctx, l); err != nil {
		return nil, err
	}
	r.Observer.Stage("writing the report")
	if err := r.writePage(s, l); err != nil {
		return nil, err
	}
	r.info.Status, r.info.Outcome, r.info.Metrics = train.Done, &outcome, s.Metrics
	if err := r.dir.WriteInfo(r.info); err != nil {
		return nil, err
	}
	return s, r.dir.LogDone(time.Since(r.started))
}

// calibrate keeps with the best model what makes probabilities of its scores, where its kind has any.
func (r *run) calibrate(f File, result *Result, best checkpoint.Reader) error {
	sample := sampleOf(result)
	if sample == nil || f.Path == "" || sample.Examples() < leastExamples {
		return nil
	}
	c, err := fitCalibration(r.Task, f, result, sample)
	if err != nil {
		return err
	}
	digest, err := DigestTensors(best)
	if err != nil {
		return err
	}
	return c.Write(filepath.Join(r.dir.Best(), modeldir.CalibrationFile), digest)
}

// predictTests writes prediction files for the test sets the data folder has.
func (r *run) predictTests(ctx context.Context, l Learner) error {
	submitter, ok := l.(Submitter)
	if !ok {
		return nil // a test set is scored by "unimo evaluate"; there is nothing to hand in
	}
	for _, split := range r.Task.Test {
		path, err := r.Task.resolve(r.Data, split)
		if errors.Is(err, fs.ErrNotExist) || path == r.files[0].Path {
			continue // test sets are optional
		}
		if err != nil {
			return err
		}
		r.Observer.Stage("predicting " + split.Name)
		err = submitter.Submit(ctx, File{split.Name, path}, r.dir.Path("predictions"), r.Observer.Tick)
		var bad *UnusableError
		if errors.As(err, &bad) {
			r.Log.Warn(fmt.Sprintf("no predictions for %s: %v", split.Name, err))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// fail notes in run.json how the run ended and returns err.
func (r *run) fail(err error) error {
	if _, gone := os.Stat(r.dir.Root()); errors.Is(gone, fs.ErrNotExist) {
		return fmt.Errorf("the run's folder %s was removed or moved while it was written: %w; begin again, or move it back and go on with --resume", r.dir.Root(), err)
	}
	r.info.Status = train.Failed
	if common, ok := err.(*collective.RankError); ok && errors.Is(err, context.Canceled) {
		err = common.Unwrap()
	}
	if err == context.Canceled || err == train.ErrTimeUp || errors.As(err, new(*pjrt.EndedError)) { // nothing else went wrong
		r.info.Status = train.Interrupted
	} else {
		if atomicfile.Place(err) {
			err = fmt.Errorf("%w; then go on with --resume", atomicfile.Explain(err))
		}
		r.info.Error = err.Error()
	}
	return errors.Join(err, r.dir.WriteInfo(r.info))
}

// DigestFile returns the SHA-256 of a file.
func DigestFile(path string) (string, error) {
	f, err := infile.Open(path)
	if err != nil {
		return "", fmt.Errorf("read data: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read data %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// digestVocabulary returns a SHA-256 over the entries of a vocabulary in order.
func digestVocabulary(tok *tokenizer.Tokenizer) string {
	h := sha256.New()
	for id := range tok.VocabSize() {
		fmt.Fprintf(h, "%s %q\n", tok.VocabLine(int32(id)), tok.Token(int32(id)))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// DigestTensors returns a digest over names, shapes and values of a checkpoint. The
// values, of which there are many, go in by their CRC-32C.
func DigestTensors(r checkpoint.Reader) (string, error) {
	h := sha256.New()
	for _, info := range r.Tensors() {
		raw, err := r.Bytes(info.Name)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, info.Name, info.DType, info.Shape, crc32.Checksum(raw, crc32.MakeTable(crc32.Castagnoli)))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
